//! Generates typed Rust from the references of TaskCluster services.
//!
//! References say which methods a service has, which scopes they ask for, what goes in and out, and which events it
//! publishes. [`Generator`] makes of them the types, the client, the operations as data, the events, and for those who
//! write a service the trait to implement with its routes and a mock. It is made for build scripts:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let output = taskcluster_codegen::Generator::new()
//!     .references("api-references")
//!     .services(["auth", "queue"])
//!     .generate()?;
//! output.write_to(std::env::var("OUT_DIR")?)?;
//! output.print_cargo_lines();
//! # Ok(())
//! # }
//! ```
//!
//! Work is done in three steps that know nothing of each other: documents are *loaded*, *resolved* to a plain
//! [`model`], and *emitted*. What a document says that the generator does not understand is an error that names the
//! file and the place in it, never a silent guess.

mod emit;
mod error;
#[cfg(feature = "pin")]
mod fingerprint;
mod idempotency;
mod json;
mod load;
pub mod model;
mod package;
mod reference;
mod resolve;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

pub use error::{Error, Result};
use load::Library;
use model::Model;
pub use package::Sdk;

/// How code is generated.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The folder of references, or a file with all of them.
    pub references: PathBuf,
    /// The services; none means all.
    pub services: Option<Vec<String>>,
    /// Path of the crate `taskcluster_core` in generated code.
    pub runtime_path: String,
    /// Path of the crate `taskcluster_server` in generated code.
    pub server_path: String,
    /// Path to the modules of services as seen from one of them.
    pub modules_path: String,
    /// Only the services whose module is called like one of these, in snake case; none means no such choice.
    pub features: Option<BTreeSet<String>>,
    /// Modules that are called otherwise than their service, such as `events` and `event_stream`.
    pub modules: Vec<(String, String)>,
    /// The fingerprint that the references must have.
    #[cfg(feature = "pin")]
    pub pinned: Option<String>,
    /// How users name what is generated, if the docs of methods are to have examples, which are compiled as tests.
    pub examples: Option<Examples>,
    /// Whether types, client, operations and events are made.
    pub client: bool,
    /// Whether traits, routes and mocks are made, and the path to the modules whose types they use.
    pub server: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            references: PathBuf::from("api-references"),
            services: None,
            features: None,
            runtime_path: "::taskcluster_core".to_owned(),
            server_path: "::taskcluster_server".to_owned(),
            modules_path: "super".to_owned(),
            modules: Vec::new(),
            #[cfg(feature = "pin")]
            pinned: None,
            examples: None,
            client: true,
            server: None,
        }
    }
}

/// How users of generated code name what examples need.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examples {
    /// Path of the module that holds those of services, such as `my_crate::taskcluster`.
    pub modules: String,
    /// Path to what the crate `taskcluster_core` holds.
    pub runtime: String,
    /// Path of a type that has a method for each service, which gives its client. Without it an example has a client at hand.
    pub handle: Option<String>,
}

impl Examples {
    /// Examples of modules that are found here, with the items of `taskcluster_core` found there.
    #[must_use]
    pub fn new(modules: impl Into<String>, runtime: impl Into<String>) -> Self {
        Self { modules: modules.into(), runtime: runtime.into(), handle: None }
    }

    /// With a type that has a method for each service.
    #[must_use]
    pub fn with_handle(mut self, handle: impl Into<String>) -> Self {
        self.handle = Some(handle.into());
        self
    }
}

/// Makes code of references.
#[derive(Clone, Debug, Default)]
pub struct Generator {
    settings: Settings,
    /// References in memory instead of files.
    texts: Option<Vec<(String, String)>>,
}

impl Generator {
    /// One that makes the client side of all services in `./api-references`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One with these settings.
    #[must_use]
    pub fn with_settings(settings: Settings) -> Self {
        Self { settings, texts: None }
    }

    /// Reads references from a folder, or from one file.
    #[must_use]
    pub fn references(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings.references = path.into();
        self
    }

    /// Takes references from memory: names of files and their texts.
    #[must_use]
    pub fn texts(mut self, texts: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>) -> Self {
        self.texts = Some(texts.into_iter().map(|(file, text)| (file.into(), text.into())).collect());
        self
    }

    /// Takes no other references than those with this fingerprint, which `taskcluster-codegen check` prints and
    /// [`fingerprint`](Self::fingerprint) gives. So nothing that came along with an update becomes part of a program unseen.
    #[cfg(feature = "pin")]
    #[must_use]
    pub fn pinned(mut self, fingerprint: impl Into<String>) -> Self {
        self.settings.pinned = Some(fingerprint.into());
        self
    }

    /// Makes code only for these services.
    #[must_use]
    pub fn services(mut self, services: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.settings.services = Some(services.into_iter().map(Into::into).collect());
        self
    }

    /// Makes code only for the services with a feature among these. The feature of a service is called as its module, with
    /// `-` or `_` between words and in any case: `worker-manager`.
    ///
    /// A service whose types refer to those of another without its feature is an error that says so.
    #[must_use]
    pub fn features(mut self, features: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let modules = features.into_iter().map(|feature| feature.as_ref().to_ascii_lowercase().replace('-', "_"));
        self.settings.features = Some(modules.collect());
        self
    }

    /// The same with the features of the package that this is called from the build script of.
    #[must_use]
    pub fn cargo_features(self) -> Self {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        self.features(names.filter_map(|name| name.strip_prefix("CARGO_FEATURE_").map(str::to_owned)))
    }

    /// Where generated code finds `taskcluster_core`.
    #[must_use]
    pub fn runtime_path(mut self, path: impl Into<String>) -> Self {
        self.settings.runtime_path = path.into();
        self
    }

    /// Where generated code finds `taskcluster_server`.
    #[must_use]
    pub fn server_path(mut self, path: impl Into<String>) -> Self {
        self.settings.server_path = path.into();
        self
    }

    /// Where the module of one service finds those of others.
    #[must_use]
    pub fn modules_path(mut self, path: impl Into<String>) -> Self {
        self.settings.modules_path = path.into();
        self
    }

    /// Calls the module of a service otherwise; without this it is called as the service.
    #[must_use]
    pub fn module(mut self, module: impl Into<String>, name: impl Into<String>) -> Self {
        self.settings.modules.push((module.into(), name.into()));
        self
    }

    /// The same for several.
    #[must_use]
    pub fn modules<'a>(self, names: impl IntoIterator<Item = &'a (&'a str, &'a str)>) -> Self {
        names.into_iter().fold(self, |generator, (module, name)| generator.module(*module, *name))
    }

    /// Gives each method of a client an example, which names things like this. Where the code stands in a library the
    /// examples are tests of its documentation; they use `futures_util` and `serde_json`.
    #[must_use]
    pub fn examples(mut self, examples: Examples) -> Self {
        self.settings.examples = Some(examples);
        self
    }

    /// Whether to make types, client, operations and events. It does by itself.
    #[must_use]
    pub fn client(mut self, yes: bool) -> Self {
        self.settings.client = yes;
        self
    }

    /// Makes traits, routes and mocks too, over the types in the modules below this path, such as `::taskcluster`.
    #[must_use]
    pub fn server(mut self, types_path: impl Into<String>) -> Self {
        self.settings.server = Some(types_path.into());
        self
    }

    /// The names of all services in the references.
    ///
    /// # Errors
    /// The references cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        Ok(resolve::services(&self.library()?)?.into_iter().collect())
    }

    /// A hash of the references: `sha256-` and 64 hex digits. Where the documents stand does not count, nor in which files, nor
    /// how they are indented.
    ///
    /// # Errors
    /// The references cannot be read.
    #[cfg(feature = "pin")]
    pub fn fingerprint(&self) -> Result<String> {
        Ok(fingerprint::of(&self.library()?))
    }

    /// The plain model, as far as all languages share it.
    ///
    /// # Errors
    /// The references cannot be read, or do not make sense.
    pub fn model(&self) -> Result<Model> {
        self.resolve(&self.library()?)
    }

    fn resolve(&self, library: &Library) -> Result<Model> {
        #[cfg(feature = "pin")]
        if let Some(pinned) = &self.settings.pinned {
            fingerprint::check(library, pinned)?;
        }
        let modules = resolve::modules(library)?;
        let chosen = self.chosen(&modules);
        let mut model = resolve::resolve(library, chosen.as_deref())?;
        for (module, name) in &self.settings.modules {
            let is_plain = name.starts_with(|c: char| c.is_ascii_lowercase())
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if !is_plain || model.services.iter().any(|service| service.module == *name) {
                let message = format!("{name:?} cannot be the name of a module, or is one already");
                return Err(Error::Setting { setting: "module", message });
            }
            model.rename_module(module, name);
        }
        if self.settings.features.is_some() {
            self.refuse_missing_features(&model, &modules)?;
        }
        Ok(model)
    }

    /// The names of the services that code is made for; nothing means all.
    fn chosen(&self, modules: &BTreeMap<String, String>) -> Option<Vec<String>> {
        let Some(features) = &self.settings.features else { return self.settings.services.clone() };
        let is_wanted = |name: &String| self.settings.services.as_ref().is_none_or(|wanted| wanted.contains(name));
        let on = modules.iter().filter(|(module, _)| features.contains(self.renamed(module)));
        let names: BTreeSet<&String> = on.map(|(_, name)| name).filter(|name| is_wanted(name)).collect();
        Some(names.into_iter().cloned().collect())
    }

    /// What the module of a service is called in the end.
    fn renamed<'a>(&'a self, module: &'a str) -> &'a str {
        self.settings.modules.iter().find(|(from, _)| from == module).map_or(module, |(_, to)| to)
    }

    /// A feature implies those of the services whose types its own service refers to; their modules would be missing.
    fn refuse_missing_features(&self, model: &Model, modules: &BTreeMap<String, String>) -> Result<()> {
        let of_services: BTreeSet<&str> = modules.keys().map(|module| self.renamed(module)).collect();
        for service in model.services.iter().filter(|service| service.client.is_some()) {
            let missing = service.referred().into_iter().find(|module| {
                let known = model.services.iter().find(|known| known.module == *module);
                of_services.contains(module.as_str()) && known.is_none_or(|known| known.client.is_none())
            });
            if let Some(missing) = missing {
                let (feature, missing) = (service.module.replace('_', "-"), missing.replace('_', "-"));
                let message = format!("{feature:?} must imply {missing:?}, whose types its own refer to");
                return Err(Error::Setting { setting: "features", message });
            }
        }
        Ok(())
    }

    /// Makes the code.
    ///
    /// # Errors
    /// The references cannot be read, or do not make sense.
    pub fn generate(&self) -> Result<Output> {
        self.render(|_, code| Ok(code.to_string()))
    }

    /// Makes the code, and formats it for people.
    ///
    /// # Errors
    /// The references cannot be read, or do not make sense.
    pub fn generate_formatted(&self) -> Result<Output> {
        self.render(emit::format)
    }

    fn render(&self, text: impl Fn(&str, &proc_macro2::TokenStream) -> Result<String>) -> Result<Output> {
        let settings = &self.settings;
        let library = self.library()?;
        let model = self.resolve(&library)?;
        let emitter =
            |modules: &str| emit::Emitter::new(&model, &settings.runtime_path, &settings.server_path, modules);
        let mut files = Vec::new();
        if settings.client {
            let emitter = emitter(&settings.modules_path)?.with_examples(settings.examples.clone());
            for service in &model.services {
                let code = text(&service.name, &emitter.client(service))?;
                files.push(File { service: service.name.clone(), name: format!("{}.rs", service.module), code });
            }
        }
        if let Some(types) = &settings.server {
            let emitter = emitter(types)?;
            for service in model.services.iter().filter(|service| service.client.is_some()) {
                let code = text(&service.name, &emitter.server(service))?;
                let name = if settings.client { "_server.rs" } else { ".rs" };
                files.push(File { service: service.name.clone(), name: format!("{}{name}", service.module), code });
            }
        }
        Ok(Output { files, inputs: library.inputs, model })
    }

    /// What is wrong with the references: each file that is none, or else the first fault of each service. None if code can
    /// be made of them.
    pub fn faults(&self) -> Vec<Error> {
        if self.texts.is_none() {
            let unreadable = Library::faults(&self.settings.references);
            if !unreadable.is_empty() {
                return unreadable;
            }
        }
        let library = match self.library() {
            Ok(library) => library,
            Err(error) => return vec![error],
        };
        let all = || library.apis().filter_map(|api| api.text("serviceName").ok()?.map(str::to_owned)).collect();
        let mut faults: Vec<Error> = Vec::new();
        let mut note = |found: Result<Output>| {
            if let Err(error) = found
                // A schema that several services use is wrong once.
                && !faults.iter().any(|known| known.to_string() == error.to_string())
            {
                faults.push(error);
            }
        };
        for service in self.settings.services.clone().unwrap_or_else(all) {
            note(self.clone().services([service]).generate_formatted());
        }
        note(self.generate_formatted());
        faults
    }

    fn library(&self) -> Result<Library> {
        let library = match &self.texts {
            Some(texts) => Library::from_texts(texts.iter().map(|(file, text)| (file.as_str(), text.as_str())))?,
            None => Library::read(&self.settings.references)?,
        };
        if library.is_empty() {
            // Most likely another folder was meant.
            let place = self.settings.references.display();
            return Err(Error::NoReferences { place: place.to_string() });
        }
        Ok(library)
    }
}

/// Generated code.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Output {
    /// A file per service and side.
    pub files: Vec<File>,
    /// What was read.
    pub inputs: Vec<PathBuf>,
    /// What was made code of.
    pub model: Model,
}

/// The code of one side of a service: the inside of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct File {
    /// Name of the service.
    pub service: String,
    /// Name of the file: that of the module, with `_server` before the extension where both sides are made.
    pub name: String,
    /// The code.
    pub code: String,
}

impl Output {
    /// Writes the files into a folder that exists. A file that says the same already is left alone, so that
    /// whatever was built from it stays fresh.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_to(&self, folder: impl AsRef<Path>) -> Result<()> {
        for file in &self.files {
            write_if_changed(&folder.as_ref().join(&file.name), &file.code)?;
        }
        Ok(())
    }

    /// The lines by which a build script tells cargo when to run it again.
    #[must_use]
    pub fn cargo_lines(&self) -> String {
        self.inputs.iter().map(|path| format!("cargo:rerun-if-changed={}\n", path.display())).collect()
    }

    /// Prints [`Output::cargo_lines`].
    pub fn print_cargo_lines(&self) {
        print!("{}", self.cargo_lines());
    }
}

pub(crate) fn write_if_changed(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|known| known == text) {
        return Ok(());
    }
    fs::write(path, text).map_err(|reason| Error::Io { path: path.to_owned(), reason })
}
