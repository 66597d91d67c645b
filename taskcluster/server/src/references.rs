//! The documents that describe services: read once, published under the root URL of a deployment.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use serde_json::{Value, json};

/// References and schemas of any number of services.
///
/// On disk they are *abstract*: they name each other by paths such as `/schemas/queue/v1/task.json#`. Published they
/// are *absolute*: the same with the root URL in front.
#[derive(Clone, Debug, Default)]
pub struct References {
    /// By the path under which a deployment publishes them.
    documents: Arc<BTreeMap<String, Cow<'static, str>>>,
}

/// A document is missing or is no JSON.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// Nothing of that name is there.
    #[error("there is no document {0}")]
    Missing(String),
    /// It is there but not readable.
    #[error("{document} is not JSON")]
    Json {
        /// The path under which it would be published.
        document: String,
        /// What the parser found.
        source: serde_json::Error,
    },
}

impl References {
    /// Those of all services that this crate was built with.
    #[must_use]
    pub fn embedded() -> Self {
        Self::from_files(taskcluster_api_references::FILES.iter().map(|&(name, text)| (name, Cow::Borrowed(text))))
    }

    /// Those in a folder that holds one folder per service, such as a checkout of `api-references`.
    ///
    /// # Errors
    /// When the folder or a file in it cannot be read.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        read_folder(folder, "", &mut files)?;
        Ok(Self::from_files(files.iter().map(|(name, text)| (name.as_str(), Cow::Owned(text.clone())))))
    }

    /// From (path, text) pairs, with paths such as `queue/v1/api.json` and `queue/v1/schemas/task.json`.
    pub fn from_files<'n>(files: impl IntoIterator<Item = (&'n str, Cow<'static, str>)>) -> Self {
        let documents = files.into_iter().filter_map(|(name, text)| Some((published_as(name)?, text)));
        Self { documents: Arc::new(documents.collect()) }
    }

    /// The paths of all documents, such as `/references/queue/v1/api.json`.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.documents.keys().map(String::as_str)
    }

    /// One document in its abstract form.
    ///
    /// # Errors
    /// When it does not exist or is no JSON.
    pub fn document(&self, path: &str) -> Result<Value, ReferenceError> {
        let text = self.documents.get(path).ok_or_else(|| ReferenceError::Missing(path.to_owned()))?;
        serde_json::from_str(text).map_err(|source| ReferenceError::Json { document: path.to_owned(), source })
    }

    /// One document in its absolute form, as a deployment at `root_url` publishes it.
    ///
    /// # Errors
    /// When it does not exist or is no JSON.
    pub fn absolute(&self, root_url: &str, path: &str) -> Result<Value, ReferenceError> {
        let mut document = self.document(path)?;
        make_absolute(&mut document, root_url.trim_end_matches('/'));
        Ok(document)
    }

    /// The list of references that a deployment of some services publishes as `/references/manifest.json`.
    #[must_use]
    pub fn manifest(&self, root_url: &str, services: &[&str]) -> Value {
        let root_url = root_url.trim_end_matches('/');
        let listed = self.paths().filter(|path| {
            path.strip_prefix("/references/")
                .and_then(|rest| rest.split_once('/'))
                .is_some_and(|(service, _)| services.contains(&service))
        });
        let urls: Vec<String> = listed.map(|path| format!("{root_url}{path}")).collect();
        json!({ "$schema": format!("{root_url}/schemas/common/manifest-v3.json#"), "references": urls })
    }
}

/// `queue/v1/schemas/task.json` is published as `/schemas/queue/v1/task.json`, `queue/v1/api.json` below `/references`.
fn published_as(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        ["common", "schemas", file] => Some(format!("/schemas/common/{file}")),
        [service, version, "schemas", file] => Some(format!("/schemas/{service}/{version}/{file}")),
        [service, version, file] => Some(format!("/references/{service}/{version}/{file}")),
        _ => None,
    }
}

fn make_absolute(value: &mut Value, root_url: &str) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text)
                        if matches!(key.as_str(), "$id" | "$schema" | "$ref") && text.starts_with('/') =>
                    {
                        text.insert_str(0, root_url);
                    }
                    other => make_absolute(other, root_url),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| make_absolute(item, root_url)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn read_folder(folder: &Path, name: &str, files: &mut Vec<(String, String)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let below = format!("{name}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            read_folder(&entry.path(), &format!("{below}/"), files)?;
        } else if below.ends_with(".json") {
            files.push((below, fs::read_to_string(entry.path())?));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_documents_are_absolute() {
        let references = References::from_files([
            ("tiny/v1/api.json", r##"{"$schema": "/schemas/common/api-reference-v0.json#", "entries": []}"##.into()),
            ("tiny/v1/schemas/a.json", r##"{"$id": "/schemas/tiny/v1/a.json#", "x": {"$ref": "b.json#"}}"##.into()),
            ("README.md", "".into()),
        ]);
        let schema = references.absolute("https://tc.example/", "/schemas/tiny/v1/a.json").unwrap();
        assert_eq!(schema["$id"], "https://tc.example/schemas/tiny/v1/a.json#");
        assert_eq!(schema["x"]["$ref"], "b.json#");
        let manifest = references.manifest("https://tc.example", &["tiny"]);
        assert_eq!(manifest["references"], json!(["https://tc.example/references/tiny/v1/api.json"]));
        assert_eq!(references.manifest("https://tc.example", &[])["references"], json!([]));
        assert!(matches!(references.document("/schemas/none.json"), Err(ReferenceError::Missing(_))));
    }

    #[test]
    fn the_folder_and_the_embedded_files_are_the_same() {
        let read = References::read(Path::new(taskcluster_api_references::DIR)).unwrap();
        assert!(read.paths().eq(References::embedded().paths()));
    }
}
