//! Writes a whole crate, for those who want the client of their own deployment.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use quote::quote;

use crate::emit::docs::{doc, first_sentence, safe};
use crate::emit::{self, ident};
use crate::error::{Error, Result};
use crate::model::Service;
use crate::{Examples, Generator, write_if_changed};

/// What an emitted crate has besides the modules of services.
const TAKEN: &[&str] = &["lib", "main", "server", "taskcluster_core"];

/// How a manifest begins that may be written over.
const MARK: &str = "# Made by taskcluster-codegen.\n";

/// Where an emitted crate finds the SDK.
#[derive(Clone, Debug)]
pub enum Sdk {
    /// A folder: the repository, its `taskcluster` or the runtime's crate.
    Path(PathBuf),
    /// A version on the registry.
    Version(String),
}

impl Default for Sdk {
    fn default() -> Self {
        Self::Version(env!("CARGO_PKG_VERSION").to_owned())
    }
}

impl Generator {
    /// Writes a crate of its own into a folder: the client side, and the server side too where that was asked for.
    ///
    /// Everything is made before anything is written.
    ///
    /// # Errors
    /// The references do not make sense, the SDK is not where it is said to be, the folder holds something that was not
    /// written by this, or a file cannot be written.
    pub fn write_crate(&self, folder: impl AsRef<Path>, sdk: &Sdk) -> Result<()> {
        let folder = folder.as_ref();
        let server = self.settings.server.is_some();
        refuse_foreign(folder)?;
        let root = package_name(folder).replace('-', "_");
        let examples = Examples::new(root.as_str(), format!("{root}::taskcluster_core"));
        let mut generator = self.clone().client(true).modules_path("crate").examples(examples);
        for service in self.model()?.services.iter().filter(|service| TAKEN.contains(&service.module.as_str())) {
            generator = generator.module(&service.module, format!("{}_service", service.module));
        }
        let client =
            Self { settings: crate::Settings { server: None, ..generator.settings.clone() }, ..generator.clone() };
        let client = client.generate_formatted()?;
        let services = &client.model.services;
        let mut files = vec![
            ("Cargo.toml".to_owned(), manifest(folder, sdk, server)?),
            ("src/lib.rs".to_owned(), lib(services, server)?),
        ];
        files.extend(client.files.iter().map(|file| (format!("src/{}", file.name), file.code.clone())));
        if server {
            let with_api: Vec<&Service> = services.iter().filter(|service| service.client.is_some()).collect();
            let output = generator.client(false).server("crate").generate_formatted()?;
            files.push(("src/server.rs".to_owned(), server_lib(&with_api)?));
            files.extend(output.files.into_iter().map(|file| (format!("src/server/{}", file.name), file.code)));
        }
        for (name, text) in files {
            let path = folder.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(|reason| Error::Io { path: parent.to_owned(), reason })?;
            }
            write_if_changed(&path, &text)?;
        }
        Ok(())
    }
}

/// What somebody wrote is not written over: a folder is new, empty but for hidden files, or a crate made here before.
fn refuse_foreign(folder: &Path) -> Result<()> {
    let left_alone = |message: String| Err(Error::Setting { setting: "out", message });
    let manifest = folder.join("Cargo.toml");
    match fs::read(&manifest) {
        Ok(text) if text.starts_with(MARK.as_bytes()) => Ok(()),
        Ok(_) => left_alone(format!("{} was not made by taskcluster-codegen and is left alone", manifest.display())),
        Err(reason) if reason.kind() != ErrorKind::NotFound => Err(Error::Io { path: manifest, reason }),
        Err(_) if holds_something(folder)? => left_alone(format!(
            "{} holds something that was not made by taskcluster-codegen and is left alone",
            folder.display()
        )),
        Err(_) => Ok(()),
    }
}

fn holds_something(folder: &Path) -> Result<bool> {
    let io = |reason| Error::Io { path: folder.to_owned(), reason };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(reason) if reason.kind() == ErrorKind::NotFound => return Ok(false),
        Err(reason) => return Err(io(reason)),
    };
    for entry in entries {
        if !entry.map_err(io)?.file_name().as_encoded_bytes().starts_with(b".") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn manifest(folder: &Path, sdk: &Sdk, server: bool) -> Result<String> {
    let crates: &[(&str, &str)] = if server {
        &[("taskcluster-core", "core"), ("taskcluster-server", "server")]
    } else {
        &[("taskcluster-core", "core")]
    };
    let mut dependencies = String::new();
    if server {
        dependencies.push_str("async-trait = \"0.1\"\n");
    }
    dependencies.push_str("serde = { version = \"1\", features = [\"derive\"] }\nserde_json = \"1\"\n");
    for (name, place) in crates {
        let source = match sdk {
            Sdk::Version(version) => toml_string(version),
            Sdk::Path(path) => format!("{{ path = {} }}", toml_string(&crate_folder(path, name, place)?)),
        };
        dependencies.push_str(&format!("{name} = {source}\n"));
    }
    let name = package_name(folder);
    let version = env!("CARGO_PKG_RUST_VERSION");
    Ok(format!(
        "{MARK}[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\nrust-version = \"{version}\"\npublish = false\n\n\
         [dependencies]\n{dependencies}\n\
         # For the examples of methods that give lists.\n[dev-dependencies]\nfutures-util = {{ version = \"0.3\", default-features = false }}\n\n\
         # A workspace of its own; take this away to make it a member of yours.\n[workspace]\n"
    ))
}

/// The absolute folder of one of the SDK's crates.
fn crate_folder(path: &Path, name: &str, place: &str) -> Result<String> {
    let candidates = [path.join("taskcluster").join(place), path.join(place), path.join("..").join(place)];
    let found = candidates.iter().find(|folder| folder.join("Cargo.toml").is_file()).ok_or_else(|| {
        let [first, second, third] = candidates.each_ref().map(|folder| folder.display());
        let message = format!(
            "{} does not hold the SDK: the crate {name} is neither in {first} nor {second} nor {third}",
            path.display()
        );
        Error::Setting { setting: "sdk", message }
    })?;
    let found = found.canonicalize().map_err(|reason| Error::Io { path: found.clone(), reason })?;
    Ok(found.display().to_string())
}

/// A crate is called as its folder, as far as that is possible.
fn package_name(folder: &Path) -> String {
    let name = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().to_ascii_lowercase());
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
    let name = name.trim_matches(|c| c == '-' || c == '_');
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) && !crate::resolve::is_keyword(name) && name != "test" {
        name.to_owned()
    } else {
        format!("taskcluster-{name}").trim_end_matches('-').to_owned()
    }
}

fn toml_string(text: &str) -> String {
    let escaped: String = text
        .chars()
        .flat_map(|c| match c {
            '\\' | '"' => vec!['\\', c],
            c => vec![c],
        })
        .collect();
    format!("\"{escaped}\"")
}

fn lib(services: &[Service], server: bool) -> Result<String> {
    let modules = services.iter().map(|service| {
        let name = ident(&service.module);
        let summary = first_sentence(&service.description);
        let title =
            if service.title.is_empty() { format!("Schemas of {}.", service.name) } else { safe(&service.title) };
        let doc = doc(&[title, summary]);
        quote!(#doc pub mod #name;)
    });
    let server = server.then(|| {
        quote!(
            #[doc = " What to implement to be one of the services."]
            pub mod server;
        )
    });
    let code = quote! {
        #![doc = " Clients of the services of a TaskCluster deployment."]
        #![doc = ""]
        #![doc = " Made by `taskcluster-codegen` from the references of the deployment. Each module holds the client of a"]
        #![doc = " service, its types, its operations as data and its events."]
        #![allow(clippy::all, clippy::pedantic)]
        #(#modules)*
        #server
        pub use ::taskcluster_core;
    };
    emit::format("lib", &code)
}

fn server_lib(services: &[&Service]) -> Result<String> {
    let modules = services.iter().map(|service| {
        let name = ident(&service.module);
        let doc = doc(&[format!("Service {}: what to implement, its routes, a mock.", service.name)]);
        quote!(#doc pub mod #name;)
    });
    emit::format("server", &quote!(#(#modules)*))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_called_as_their_folders() {
        assert_eq!(package_name(Path::new("/tmp/My Clients")), "my-clients");
        assert_eq!(package_name(Path::new("/tmp/2020")), "taskcluster-2020");
        assert_eq!(package_name(Path::new("/")), "taskcluster");
        assert_eq!(package_name(Path::new("async")), "taskcluster-async");
    }
}
