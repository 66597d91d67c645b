//! `artifacts`: files and directories that are kept.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::artifacts::{RULE_OF_NAMES, Upload, is_name, is_printable};
use crate::context::TaskContext;
use crate::engine::{Extracted, Missing, ResultSet, SandboxBuilder, Volume};
use crate::error::{Error, Result};
use crate::payload::{Payload, PayloadForm, PayloadPart};
use crate::plugin::{Plugin, TaskPlugin, Verdict};

mod compressed;
mod declared;

use declared::ListedArtifacts;
pub use declared::{Declared, Kind};

/// Uploads the declared artifacts once the user's code has ended, also after it failed.
///
/// What is missing or of the wrong type becomes an `error` artifact, and the run `failed` if the artifact is required; so it does
/// if a file of a directory has a name that no artifact can have, which is told in the log. So does what is larger than the
/// worker's [limits](crate::artifacts::ArtifactLimits).
/// An upload that fails does not keep the others from being tried.
#[derive(Clone, Debug)]
pub struct Artifacts {
    form: PayloadForm<Vec<Declared>>,
}

const PARALLEL_UPLOADS: usize = 4;

impl Artifacts {
    /// They stand in the payload as `P` says.
    #[must_use]
    pub fn reading<P: DeserializeOwned + JsonSchema + Into<Vec<Declared>>>() -> Self {
        Self { form: PayloadForm::of::<P>() }
    }
}

impl Default for Artifacts {
    /// They stand in a list, `artifacts`.
    fn default() -> Self {
        Self::reading::<ListedArtifacts>()
    }
}

impl Plugin for Artifacts {
    fn name(&self) -> &'static str {
        "artifacts"
    }

    fn payload(&self) -> PayloadPart {
        self.form.part()
    }

    fn task(&self, task: &Arc<TaskContext>) -> Box<dyn TaskPlugin> {
        Box::new(TaskArtifacts { task: task.clone(), form: self.form.clone(), declared: Vec::new() })
    }
}

struct TaskArtifacts {
    task: Arc<TaskContext>,
    form: PayloadForm<Vec<Declared>>,
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
        self.declared = self.form.read(payload)?;
        let mut errors = Vec::new();
        for declared in &self.declared {
            let name = &declared.name;
            if declared.expires.is_some_and(|expires| expires > self.task.expires()) {
                let end = self.task.expires();
                errors.push(Error::payload(format!(
                    "artifact {name:?} expires after the task itself, which does at {end}"
                )));
            }
            if declared.expires.is_some_and(|expires| expires <= self.task.clock().now()) {
                errors.push(Error::payload(format!("artifact {name:?} expires before it can be made")));
            }
            if declared.content_type.as_deref().is_some_and(|content_type| !is_printable(content_type)) {
                errors
                    .push(Error::payload(format!("artifact {name:?} has a content type that is not printable ASCII")));
            }
            if let Err(error) = self.task.reserve_artifact(name) {
                errors.push(error);
            }
        }
        Error::combine(errors).map_or(Ok(()), Err)
    }

    async fn build(&mut self, builder: &mut dyn SandboxBuilder) -> Result<()> {
        let volumes = self.declared.iter().filter(|declared| declared.kind == Kind::Volume);
        for (number, declared) in volumes.enumerate() {
            let folder = self.task.scratch().join(format!("volume-{number}"));
            open_folder(&folder).map_err(|error| Error::worker_caused("cannot make a volume", error))?;
            builder.mount_directory(&declared.path, Volume::writable(folder)).await?;
        }
        Ok(())
    }

    async fn stopped(&mut self, results: &dyn ResultSet) -> Result<Verdict> {
        let mut verdict = Verdict::Good;
        let mut errors = Vec::new();
        let mut found = Vec::new();
        for declared in &self.declared {
            match self.find(declared, results).await {
                Ok(Ok(files)) => found.extend(files),
                Ok(Err(missing)) => match self.missing(declared, &declared.name, &missing).await {
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

/// A folder that any user of a sandbox can write to; the worker's own directory above it keeps others out.
fn open_folder(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))
}

impl TaskArtifacts {
    async fn find<'a>(
        &self,
        declared: &'a Declared,
        results: &dyn ResultSet,
    ) -> Result<Result<Vec<Found<'a>>, Missing>> {
        match declared.kind {
            Kind::File => Ok(Ok(vec![Found { declared, name: declared.name.clone(), path: declared.path.clone() }])),
            Kind::Directory | Kind::Volume => {
                let paths = match results.directory(&declared.path).await {
                    Ok(paths) => paths,
                    Err(missing) => return Ok(Err(missing)),
                };
                let base = declared.path.trim_end_matches('/');
                let mut found = Vec::new();
                for path in paths {
                    let name = format!("{}/{path}", declared.name);
                    if is_name(&name) {
                        self.task.reserve_artifact(&name)?;
                    }
                    found.push(Found { declared, name, path: format!("{base}/{path}") });
                }
                Ok(Ok(found))
            }
        }
    }

    async fn keep(&self, found: &Found<'_>, results: &dyn ResultSet) -> Result<Verdict> {
        if !is_name(&found.name) {
            let line = format!("no artifact can have the name {:?}: {RULE_OF_NAMES}", found.name);
            return Ok(self.judge(found.declared, line));
        }
        let file = match results.file(&found.path).await {
            Ok(file) => self.allowed(found, file).await?,
            Err(missing) => Err(missing),
        };
        match file {
            Ok(file) => {
                self.task.upload(&found.name, &upload(found, &file)).await?;
                Ok(Verdict::Good)
            }
            Err(missing) => self.missing(found.declared, &found.name, &missing).await,
        }
    }

    /// The file, unless it is too large.
    async fn allowed(&self, found: &Found<'_>, file: Extracted) -> Result<Result<Extracted, Missing>> {
        let failed = |error| Error::worker_caused(format!("cannot look at the artifact {:?}", found.name), error);
        let bytes = tokio::fs::metadata(file.path()).await.map_err(failed)?.len();
        Ok(self.task.parts.artifacts.take(&found.path, bytes).map(|()| file))
    }

    async fn missing(&self, declared: &Declared, name: &str, missing: &Missing) -> Result<Verdict> {
        let line = format!("artifact {name:?}: {missing}");
        self.task.create_error_artifact(name, missing, declared.expires).await?;
        Ok(self.judge(declared, line))
    }

    /// Say why there is no such artifact, and what that means.
    fn judge(&self, declared: &Declared, line: String) -> Verdict {
        if declared.required {
            self.task.log().error(line);
            Verdict::Failed
        } else {
            self.task.log().info(format!("{line} (the task does not fail for that)"));
            Verdict::Good
        }
    }
}

fn upload(found: &Found<'_>, file: &Extracted) -> Upload {
    let declared = found.declared;
    let mut upload = Upload::new(file.path()).gzip(declared.gzip.unwrap_or(!compressed::is_compressed(&found.name)));
    if let Some(content_type) = &declared.content_type {
        upload = upload.content_type(content_type);
    }
    if let Some(expires) = declared.expires {
        upload = upload.expires(expires);
    }
    upload
}
