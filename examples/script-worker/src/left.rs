//! What a script leaves: whatever is in the folders for it, below names that say who may read it.

use schemars::JsonSchema;
use serde::Deserialize;
use taskcluster_worker::plugins::Artifacts;
use taskcluster_worker::plugins::artifacts::{Declared, Kind};

/// Folders in the script's directory, and what the names of the artifacts begin with that are made of their files.
pub(crate) const FOLDERS: [(&str, &str); 2] = [("artifacts/public", "public"), ("artifacts/private", "private")];

/// The plugin that keeps it.
pub(crate) fn artifacts() -> Artifacts {
    Artifacts::reading::<Nothing>()
}

/// Payloads do not say what is kept.
#[derive(Debug, Deserialize, JsonSchema)]
struct Nothing {}

impl From<Nothing> for Vec<Declared> {
    fn from(Nothing {}: Nothing) -> Self {
        FOLDERS.map(|(path, name)| Declared::new(Kind::Directory, path, name).required(false)).into()
    }
}
