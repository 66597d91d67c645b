//! What is left of a build: how it ended, and its properties.

use std::io;
use std::path::Path;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use taskcluster_worker::engine::Extracted;
use taskcluster_worker::engine::Missing;
use taskcluster_worker::plugins::Artifacts;
use taskcluster_worker::plugins::artifacts::{Declared, Kind};
use taskcluster_worker::{Error, Exit, Result, ResultSet};
use tempfile::TempPath;

/// The one file that a build leaves here.
const PROPERTIES: &str = "properties.json";

/// The artifact that it becomes.
const ARTIFACT: &str = "public/properties.json";

/// The plugin that makes an artifact of the properties.
pub(crate) fn artifacts() -> Artifacts {
    Artifacts::reading::<Nothing>()
}

/// Payloads do not say what is kept.
#[derive(Debug, Deserialize, JsonSchema)]
struct Nothing {}

impl From<Nothing> for Vec<Declared> {
    fn from(Nothing {}: Nothing) -> Self {
        vec![Declared::new(Kind::File, PROPERTIES, ARTIFACT)]
    }
}

/// A build that has ended, or that nobody waits for any more.
#[derive(Debug)]
pub(crate) struct BuildResults {
    exit: Exit,
    properties: Option<TempPath>,
}

impl BuildResults {
    /// Of a build that ended by itself; its properties are kept in the folder `scratch`.
    pub(crate) async fn of(exit: Exit, properties: &Value, scratch: &Path) -> Result<Self> {
        let failed = |error: io::Error| Error::worker_caused("cannot keep the properties of the build", error);
        let file = tempfile::NamedTempFile::new_in(scratch).map_err(failed)?.into_temp_path();
        tokio::fs::write(&file, format!("{properties:#}\n")).await.map_err(failed)?;
        Ok(Self { exit, properties: Some(file) })
    }

    pub(crate) fn killed() -> Self {
        Self { exit: Exit::Killed, properties: None }
    }
}

#[async_trait]
impl ResultSet for BuildResults {
    fn exit(&self) -> &Exit {
        &self.exit
    }

    async fn file(&self, path: &str) -> Result<Extracted, Missing> {
        match &self.properties {
            Some(properties) if path == PROPERTIES => Ok(Extracted::in_place(&**properties)),
            Some(_) | None => Err(Missing::NotFound(path.to_owned())),
        }
    }

    async fn directory(&self, path: &str) -> Result<Vec<String>, Missing> {
        Err(Missing::NotFound(path.to_owned()))
    }

    async fn dispose(self: Box<Self>) {}
}
