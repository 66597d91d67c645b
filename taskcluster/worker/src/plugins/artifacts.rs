//! `artifacts`: files and directories that are kept.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream;
use schemars::JsonSchema;
use serde::Deserialize;
use taskcluster_core::time::Timestamp;

use crate::artifacts::Upload;
use crate::context::TaskContext;
use crate::engine::{Extracted, Missing, ResultSet};
use crate::error::{Error, Result};
use crate::payload::{Payload, PayloadPart};
use crate::plugin::{Plugin, TaskPlugin, Verdict};

/// Uploads the declared artifacts once the user's code has ended, also after it failed.
///
/// What is missing or of the wrong type becomes an `error` artifact, and the run `failed` unless the artifact is optional.
/// An upload that fails does not keep the others from being tried.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Artifacts;

const PARALLEL_UPLOADS: usize = 4;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct ArtifactsPayload {
    /// What to keep once the commands have ended.
    artifacts: Vec<Declared>,
}

/// A file or directory to keep.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Declared {
    /// What is expected at the path.
    #[serde(rename = "type")]
    kind: Kind,
    /// Where it is: absolute, or relative to the task's directory.
    #[schemars(length(min = 1))]
    path: String,
    /// Name of the artifact, or what the names of a directory's files begin with. Default: the path.
    #[schemars(length(min = 1, max = 1024))]
    name: Option<String>,
    /// Until when it is kept. Default: as long as the task.
    #[schemars(extend("format" = "date-time"), with = "Option<String>")]
    expires: Option<Timestamp>,
    /// Default: guessed from the name.
    content_type: Option<String>,
    /// Accepted for tasks written for other workers. Content is stored as it is.
    #[serde(rename = "contentEncoding")]
    _content_encoding: Option<Encoding>,
    /// Whether the run may succeed without it.
    #[serde(default)]
    optional: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    File,
    Directory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Identity,
    Gzip,
}

impl Declared {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.path).trim_end_matches('/')
    }

    fn upload(&self, file: &Extracted) -> Upload {
        let mut upload = Upload::new(file.path());
        if let Some(content_type) = &self.content_type {
            upload = upload.content_type(content_type);
        }
        if let Some(expires) = self.expires {
            upload = upload.expires(expires);
        }
        upload
    }
}

impl Plugin for Artifacts {
    fn name(&self) -> &'static str {
        "artifacts"
    }

    fn payload(&self) -> PayloadPart {
        PayloadPart::of::<ArtifactsPayload>()
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(TaskArtifacts { task: task.clone(), declared: Vec::new() })
    }
}

struct TaskArtifacts {
    task: Arc<TaskContext>,
    declared: Vec<Declared>,
}

/// A file on its way to becoming an artifact.
struct Found<'a> {
    declared: &'a Declared,
    name: String,
    path: String,
}

#[async_trait]
impl TaskPlugin for TaskArtifacts {
    async fn prepare(&mut self, payload: &Payload) -> Result<()> {
        self.declared = payload.part::<ArtifactsPayload>()?.artifacts;
        let mut errors = Vec::new();
        for declared in &self.declared {
            let name = declared.name();
            if declared.expires.is_some_and(|expires| expires > self.task.expires()) {
                let end = self.task.expires();
                errors.push(Error::payload(format!(
                    "artifact {name:?} expires after the task itself, which does at {end}"
                )));
            }
            if let Err(error) = self.task.reserve_artifact(name) {
                errors.push(error);
            }
        }
        Error::combine(errors).map_or(Ok(()), Err)
    }

    async fn stopped(&mut self, results: &dyn ResultSet) -> Result<Verdict> {
        let mut verdict = Verdict::Good;
        let mut errors = Vec::new();
        let mut found = Vec::new();
        for declared in &self.declared {
            match self.find(declared, results).await {
                Ok(Ok(files)) => found.extend(files),
                Ok(Err(missing)) => match self.missing(declared, &missing).await {
                    Ok(judgement) => verdict = verdict.max(judgement),
                    Err(error) => errors.push(error),
                },
                Err(error) => errors.push(error),
            }
        }
        let this = &*self;
        // Collected first: a closure over borrowed items, inside a stream inside an async trait, is beyond the compiler.
        let uploads: Vec<_> = found.iter().map(|file| this.keep(file, results)).collect();
        let ends: Vec<_> = stream::iter(uploads).buffer_unordered(PARALLEL_UPLOADS).collect().await;
        for end in ends {
            match end {
                Ok(judgement) => verdict = verdict.max(judgement),
                Err(error) => errors.push(error),
            }
        }
        match Error::combine(errors) {
            Some(error) => Err(error),
            None => Ok(verdict),
        }
    }
}

impl TaskArtifacts {
    async fn find<'a>(
        &self,
        declared: &'a Declared,
        results: &dyn ResultSet,
    ) -> Result<Result<Vec<Found<'a>>, Missing>> {
        match declared.kind {
            Kind::File => {
                Ok(Ok(vec![Found { declared, name: declared.name().to_owned(), path: declared.path.clone() }]))
            }
            Kind::Directory => {
                let paths = match results.directory(&declared.path).await {
                    Ok(paths) => paths,
                    Err(missing) => return Ok(Err(missing)),
                };
                let base = declared.path.trim_end_matches('/');
                let mut found = Vec::new();
                for path in paths {
                    let name = format!("{}/{path}", declared.name());
                    self.task.reserve_artifact(&name)?;
                    found.push(Found { declared, name, path: format!("{base}/{path}") });
                }
                Ok(Ok(found))
            }
        }
    }

    async fn keep(&self, found: &Found<'_>, results: &dyn ResultSet) -> Result<Verdict> {
        match results.file(&found.path).await {
            Ok(file) => {
                let upload = found.declared.upload(&file);
                self.task.upload(&found.name, &upload).await?;
                Ok(Verdict::Good)
            }
            Err(missing) => self.missing_named(found.declared, &found.name, &missing).await,
        }
    }

    async fn missing(&self, declared: &Declared, missing: &Missing) -> Result<Verdict> {
        self.missing_named(declared, declared.name(), missing).await
    }

    async fn missing_named(&self, declared: &Declared, name: &str, missing: &Missing) -> Result<Verdict> {
        let line = format!("artifact {name:?}: {missing}");
        self.task.create_error_artifact(name, missing, declared.expires).await?;
        if declared.optional {
            self.task.log().info(format!("{line} (it is optional)"));
            Ok(Verdict::Good)
        } else {
            self.task.log().error(line);
            Ok(Verdict::Failed)
        }
    }
}
