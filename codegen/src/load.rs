//! The first step: reads a folder of references into documents that are known by their id.
//!
//! Files are told apart by what they hold, not by where they stand, so that the layout of a
//! repository (`queue/v1/api.json`, `queue/v1/schemas/…`), that of a deployment
//! (`references/queue/v1/api.json`, `schemas/queue/v1/…`) and a bundle in one file all work.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::json;

/// One JSON document of the references.
#[derive(Debug)]
pub(crate) struct Document {
    /// Path relative to the folder of references, for messages.
    pub(crate) file: String,
    /// Id without the `#` at its end; empty for documents that are no schema.
    pub(crate) id: String,
    pub(crate) value: Value,
}

/// All documents of a folder.
#[derive(Debug, Default)]
pub(crate) struct Library {
    documents: Vec<Document>,
    schemas: BTreeMap<String, usize>,
    /// The same by the path of the id, for references that leave out the host.
    by_path: BTreeMap<String, usize>,
    apis: Vec<usize>,
    exchanges: Vec<usize>,
    /// The files and folders read, for build scripts.
    pub(crate) inputs: Vec<PathBuf>,
}

/// A value inside a document, with the way to it.
#[derive(Clone, Debug)]
pub(crate) struct At<'a> {
    pub(crate) document: &'a Document,
    pub(crate) pointer: String,
    pub(crate) value: &'a Value,
}

impl Library {
    /// Reads each `.json` below a folder, or one file: a document or a bundle of them.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let mut library = Self::default();
        library.read_path(path, &mut Err)?;
        Ok(library)
    }

    /// What keeps the files from being read, all of it.
    pub(crate) fn faults(path: &Path) -> Vec<Error> {
        let mut faults = Vec::new();
        let mut note = |error| {
            faults.push(error);
            Ok(())
        };
        if let Err(error) = Self::default().read_path(path, &mut note) {
            faults.push(error);
        }
        faults
    }

    /// What is wrong with a file goes to `wrong`, which says whether to go on.
    fn read_path(&mut self, path: &Path, wrong: &mut dyn FnMut(Error) -> Result<()>) -> Result<()> {
        let is_folder = fs::metadata(path).map_err(|source| io(path, source))?.is_dir();
        if is_folder {
            return self.read_folder(path, path, wrong);
        }
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        self.read_file(path, name).or_else(wrong)
    }

    /// Documents that stand in memory: pairs of a file name and its text.
    pub(crate) fn from_texts<'t>(texts: impl IntoIterator<Item = (&'t str, &'t str)>) -> Result<Self> {
        let mut library = Self::default();
        for (file, text) in texts {
            library.add_text(file.to_owned(), text)?;
        }
        Ok(library)
    }

    fn read_folder(&mut self, root: &Path, folder: &Path, wrong: &mut dyn FnMut(Error) -> Result<()>) -> Result<()> {
        self.inputs.push(folder.to_owned());
        let mut entries = fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>())
            .map_err(|source| io(folder, source))?;
        entries.sort();
        for path in entries {
            let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            if path.is_dir() {
                // Build output and hidden folders beside the references are not ours.
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    self.read_folder(root, &path, wrong)?;
                }
            } else if path.extension().is_some_and(|extension| extension == "json") {
                let file = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                self.read_file(&path, file).or_else(&mut *wrong)?;
            }
        }
        Ok(())
    }

    fn read_file(&mut self, path: &Path, file: String) -> Result<()> {
        self.inputs.push(path.to_owned());
        let text = fs::read_to_string(path).map_err(|source| io(path, source))?;
        self.add_text(file, &text)
    }

    fn add_text(&mut self, file: String, text: &str) -> Result<()> {
        let value = match json::read(text) {
            Ok(value) => value,
            Err(json::Refused::Syntax(reason)) => return Err(Error::Json { file, reason }),
            Err(json::Refused::Twice { pointer }) => {
                let message = "the key is there twice".to_owned();
                return Err(Error::Invalid { file, pointer, message });
            }
        };
        match value {
            // The bundle of all references that a release publishes.
            Value::Array(parts) if parts.iter().any(|part| part.get("content").is_some()) => {
                for part in parts {
                    let Value::Object(mut part) = part else { continue };
                    let name = part.get("filename").and_then(Value::as_str).unwrap_or_default().to_owned();
                    if let Some(content) = part.remove("content") {
                        self.add(format!("{file}!{name}"), content)?;
                    }
                }
                Ok(())
            }
            value => self.add(file, value),
        }
    }

    fn add(&mut self, file: String, value: Value) -> Result<()> {
        let number = self.documents.len();
        let Some(object) = value.as_object() else {
            return Ok(());
        };
        let mut id = String::new();
        if is_reference(object) {
            let kind = if object.contains_key("exchangePrefix") { &mut self.exchanges } else { &mut self.apis };
            kind.push(number);
        } else if let Some(text) = object.get("$id").or_else(|| object.get("id")).and_then(Value::as_str) {
            id = text.split('#').next().unwrap_or_default().to_owned();
            if let Some(other) = self.schemas.insert(id.clone(), number) {
                let key = if object.contains_key("$id") { "/$id" } else { "/id" };
                return Err(Error::Invalid {
                    message: format!("{} has the same id {id:?}", self.documents[other].file),
                    file,
                    pointer: key.to_owned(),
                });
            }
            self.by_path.entry(path_of(&id).to_owned()).or_insert(number);
        } else {
            return Ok(()); // a manifest, a schema that nothing can refer to
        }
        self.documents.push(Document { file, id, value });
        Ok(())
    }

    /// Whether it describes no service at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.apis.is_empty() && self.exchanges.is_empty()
    }

    /// All documents, those that code is made of.
    #[cfg(feature = "pin")]
    pub(crate) fn values(&self) -> impl Iterator<Item = &Value> {
        self.documents.iter().map(|document| &document.value)
    }

    /// The references of methods.
    pub(crate) fn apis(&self) -> impl Iterator<Item = At<'_>> {
        self.apis.iter().map(|number| At::root(&self.documents[*number]))
    }

    /// The references of exchanges.
    pub(crate) fn exchanges(&self) -> impl Iterator<Item = At<'_>> {
        self.exchanges.iter().map(|number| At::root(&self.documents[*number]))
    }

    /// Follows a `$ref` that stands at `from`, seen from the schema `base`.
    pub(crate) fn follow<'a>(&'a self, from: &At<'_>, base: &str, reference: &str) -> Result<At<'a>> {
        let (target, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let document =
            if target.is_empty() && !base.is_empty() { self.schema(base) } else { self.schema(&join(base, target)) };
        let Some(document) = document else {
            return Err(from.error(format!("there is no schema {:?}", join(base, target))));
        };
        let pointer = decode_fragment(fragment);
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(from.error(format!("{reference:?} must point by a path as in #/definitions/name")));
        }
        match document.value.pointer(&pointer) {
            Some(value) => Ok(At { document, pointer, value }),
            None => Err(from.error(format!("there is no {pointer:?} in {}", document.file))),
        }
    }

    fn schema(&self, id: &str) -> Option<&Document> {
        let number = self.schemas.get(id).or_else(|| self.by_path.get(path_of(id)))?;
        self.documents.get(*number)
    }
}

impl<'a> At<'a> {
    pub(crate) fn root(document: &'a Document) -> Self {
        Self { document, pointer: String::new(), value: &document.value }
    }

    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        Error::Invalid { file: self.document.file.clone(), pointer: self.pointer.clone(), message: message.into() }
    }

    /// The member of an object, if it is there and not null.
    pub(crate) fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(self.child(key, value))
    }

    pub(crate) fn required(&self, key: &str) -> Result<Self> {
        self.get(key).ok_or_else(|| self.error(format!("{key:?} is missing")))
    }

    pub(crate) fn child(&self, step: &str, value: &'a Value) -> Self {
        let step = step.replace('~', "~0").replace('/', "~1");
        Self { document: self.document, pointer: format!("{}/{step}", self.pointer), value }
    }

    pub(crate) fn string(&self) -> Result<&'a str> {
        self.value.as_str().ok_or_else(|| self.error("a string is expected"))
    }

    pub(crate) fn boolean(&self) -> Result<bool> {
        self.value.as_bool().ok_or_else(|| self.error("true or false is expected"))
    }

    pub(crate) fn number(&self) -> Result<f64> {
        self.value.as_f64().ok_or_else(|| self.error("a number is expected"))
    }

    pub(crate) fn object(&self) -> Result<&'a Map<String, Value>> {
        self.value.as_object().ok_or_else(|| self.error("an object is expected"))
    }

    pub(crate) fn items(&self) -> Result<Vec<Self>> {
        let items = self.value.as_array().ok_or_else(|| self.error("a list is expected"))?;
        Ok(items.iter().enumerate().map(|(index, value)| self.child(&index.to_string(), value)).collect())
    }

    pub(crate) fn strings(&self) -> Result<Vec<&'a str>> {
        self.items()?.iter().map(At::string).collect()
    }

    /// The string at a key, or nothing.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.get(key).map(|at| at.string()).transpose()
    }
}

fn io(path: &Path, reason: std::io::Error) -> Error {
    Error::Io { path: path.to_owned(), reason }
}

fn is_reference(object: &Map<String, Value>) -> bool {
    let named = ["serviceName", "baseUrl", "exchangePrefix"].iter().any(|key| object.contains_key(*key));
    named && object.contains_key("entries")
}

/// The path of an id that may begin with scheme and host.
fn path_of(id: &str) -> &str {
    match id.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |slash| &rest[slash..]),
        None => id,
    }
}

/// Resolves a reference against the id of the document it stands in.
fn join(base: &str, reference: &str) -> String {
    if reference.is_empty() {
        return base.to_owned();
    }
    if reference.contains("://") {
        return reference.to_owned();
    }
    let path = path_of(base);
    let origin = &base[..base.len() - path.len()];
    if reference.starts_with('/') {
        return format!("{origin}{reference}");
    }
    let folder = path.rfind('/').map_or("", |slash| &path[..slash]);
    let mut steps: Vec<&str> = folder.split('/').collect();
    for step in reference.split('/') {
        match step {
            "." => {}
            ".." => {
                if steps.len() > 1 {
                    steps.pop();
                }
            }
            step => steps.push(step),
        }
    }
    format!("{origin}{}", steps.join("/"))
}

/// Undoes percent encoding in the fragment of a reference.
fn decode_fragment(fragment: &str) -> String {
    let bytes = fragment.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        let hex = bytes.get(index + 1..index + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| bytes[index] == b'%') {
            Some(byte) => {
                decoded.push(byte);
                index += 3;
            }
            None => {
                decoded.push(bytes[index]);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_joined_as_urls_are() {
        let base = "/schemas/queue/v1/task.json";
        assert_eq!(join(base, "run.json"), "/schemas/queue/v1/run.json");
        assert_eq!(join(base, "../../auth/v1/x.json"), "/schemas/auth/v1/x.json");
        assert_eq!(join(base, "/schemas/a.json"), "/schemas/a.json");
        assert_eq!(join("https://tc/schemas/q/v1/a.json", "b.json"), "https://tc/schemas/q/v1/b.json");
        assert_eq!(join("https://tc/schemas/q/v1/a.json", "/b.json"), "https://tc/b.json");
        assert_eq!(join("x.json", "../../y.json"), "/y.json");
    }

    #[test]
    fn fragments_are_decoded() {
        assert_eq!(decode_fragment("/properties/a%20b%"), "/properties/a b%");
    }
}
