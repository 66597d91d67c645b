//! What can be wrong with a set of references, and where.

use std::path::PathBuf;

/// Why code could not be generated, in one line that says all: build scripts and programs print it as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// A file is not JSON.
    #[error("{file}: not JSON: {reason}")]
    Json {
        /// The file, relative to the folder of references.
        file: String,
        /// What the parser said, with line and column.
        reason: serde_json::Error,
    },
    /// A document says something that makes no sense, or that the generator does not know.
    #[error("{file}#{pointer}: {message}")]
    Invalid {
        /// The file, relative to the folder of references.
        file: String,
        /// JSON pointer of the culprit inside the file.
        pointer: String,
        /// What is wrong, in one sentence.
        message: String,
    },
    /// The references hold no service of that name.
    #[error("there is no service {name:?} in the references, only {known}")]
    UnknownService {
        /// The name that was asked for.
        name: String,
        /// The names that exist, separated by commas.
        known: String,
    },
    /// The folder holds no service at all; most likely another was meant.
    #[error("there is no reference of a service in {place}")]
    NoReferences {
        /// The folder.
        place: String,
    },
    /// A setting of the generator is unusable.
    #[error("{setting}: {message}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The generator wrote something that is not Rust: a fault of its own, please report it.
    #[error("generated code of {service} does not parse: {message}")]
    Generated {
        /// The service whose code it is.
        service: String,
        /// What the parser of Rust said.
        message: String,
    },
}

/// Shorthand of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
