//! Writes a whole crate.

use std::path::PathBuf;

/// Where an emitted crate finds the SDK.
#[derive(Clone, Debug)]
pub enum Sdk {
    /// A folder: the repository, its `taskcluster` or the runtime's crate.
    Path(PathBuf),
    /// A version on the registry.
    Version(String),
}
