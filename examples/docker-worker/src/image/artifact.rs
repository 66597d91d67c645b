//! Images that are artifacts of tasks.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

use bollard::errors::Error as ApiError;
use bollard::query_parameters::ImportImageOptionsBuilder;
use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use taskcluster::artifacts::{Artifacts, Progress};
use taskcluster::index::Index;
use taskcluster_core::chain;
use taskcluster_core::ids::{RunId, TaskId};
use taskcluster_worker::TaskContext;
use taskcluster_worker::artifacts::{is_final, is_final_answer};
use taskcluster_worker::decode::{Lz4Decoder, ZstdDecoder};
use taskcluster_worker::error::{Error, Result};
use taskcluster_worker::size;
use tempfile::TempPath;

use super::gauge::Bounds;
use super::progress::{Pace, Passed};
use super::reference::{Names, hex, name_of_run};
use super::{archive, encoded};
use crate::docker::Docker;
use crate::pipe;

/// An artifact that the task may read.
#[derive(Debug)]
pub(super) struct Located {
    task_id: TaskId,
    /// The run that made it, where this task may know that.
    run_id: Option<RunId>,
    path: String,
}

impl Located {
    /// The name that its image gets here. An artifact of a run never changes, so that the image need not be fetched again.
    pub(super) fn image_name(&self) -> String {
        let run = self.run_id.map_or_else(|| "latest".to_owned(), |run| run.to_string());
        name_of_run(&hex(&Sha256::digest(format!("{}/{run}/{}", self.task_id, self.path))))
    }
}

/// The task that the index knows by a namespace.
pub(super) async fn indexed(task: &TaskContext, namespace: &str) -> Result<TaskId> {
    match Index::new(task.caller().clone()).find_task(namespace).await {
        Ok(found) => Ok(found.task_id),
        Err(error) if is_final_answer(&error) => {
            Err(Error::payload(format!("no image is indexed as {namespace:?}: {}", chain(&error))))
        }
        Err(error) => Err(Error::worker_caused(format!("cannot look {namespace:?} up in the index"), error)),
    }
}

/// Find the artifact of the task's latest run, and make sure that this task may read it: the image may be here already.
pub(super) async fn locate(task: &TaskContext, task_id: &TaskId, path: &str) -> Result<Located> {
    let refused = |error: taskcluster_core::Error| {
        if is_final_answer(&error) {
            Error::payload(format!("the image {path:?} of task {task_id} cannot be had: {}", chain(&error)))
        } else {
            Error::worker_caused(format!("cannot look for the image {path:?} of task {task_id}"), error)
        }
    };
    task.queue().latest_artifact(task_id, path).await.map_err(refused)?;
    let run_id = match task.queue().status(task_id).await {
        Ok(answer) => answer.status.runs.last().map(|run| run.run_id),
        Err(error) if error.is_forbidden() => None,
        Err(error) => return Err(refused(error)),
    };
    Ok(Located { task_id: *task_id, run_id, path: path.to_owned() })
}

/// An artifact that has been fetched, for Docker to load.
#[derive(Debug)]
pub(super) struct Fetched {
    what: String,
    file: TempPath,
    packed: Packed,
    /// The names that the image is to have.
    pub(super) names: Names,
}

/// Why an artifact has not become an image.
#[derive(Debug)]
pub(super) enum NotLoaded {
    /// There is no room for it on Docker's disk.
    NoRoom(Error),
    /// Whatever else.
    Failed(Error),
}

impl From<Error> for NotLoaded {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Fetch the artifact, which may take so many bytes.
pub(super) async fn fetch(task: &TaskContext, artifact: &Located, most_bytes: u64) -> Result<Fetched> {
    let Located { task_id, path, .. } = artifact;
    let what = format!("the image {path:?} of task {task_id}");
    let packed = Packed::by_name(path)
        .ok_or_else(|| Error::payload(format!("{what} is neither .tar nor .tar.lz4 nor .tar.zst")))?;
    task.log().info(format!("fetching {what}"));
    let file = encoded::temporary(task.scratch())?;
    let (pace, log, clock, named) =
        (Pace::new(task.clock().now()), task.log().clone(), task.clock().clone(), what.clone());
    let tell = move |progress: Progress| {
        if pace.is_due(clock.now()) {
            let of_all = progress.total.map(|total| format!(" of {}", size(total))).unwrap_or_default();
            log.info(format!("fetching {named}: {}{of_all}", size(progress.done)));
        }
    };
    let downloaded = Artifacts::new(task.caller())
        .download_latest(task_id, path)
        .as_stored()
        .progress(tell)
        .to_file(&file)
        .await
        .map_err(|error| match is_final(&error) {
            true => Error::payload(format!("{what} cannot be had: {}", chain(&error))),
            false => Error::worker_caused(format!("cannot fetch {what}"), error),
        })?;
    // Stored compressed or not, it is the same artifact.
    let (file, sha256) = match downloaded.content_encoding.as_deref() {
        None | Some("identity") => (file, downloaded.sha256),
        Some("gzip" | "x-gzip") => encoded::gunzip(&what, file, task.scratch(), most_bytes).await?,
        Some(other) => return Err(Error::payload(format!("{what} is encoded as {other:?}, which is unknown here"))),
    };
    Ok(Fetched { what, file, packed, names: Names::new(artifact.image_name(), &sha256) })
}

/// Have Docker load what was fetched, under its own names. Unpacked, it may be no larger than the bounds allow.
pub(super) async fn load(
    docker: &Docker,
    task: &TaskContext,
    fetched: &Fetched,
    bounds: Arc<Bounds>,
) -> Result<(), NotLoaded> {
    let Fetched { what, file, packed, names } = fetched;
    task.log().info(format!("loading {what}"));
    let (path, packed, names) = (file.to_path_buf(), *packed, names.all());
    let passed = Arc::new(Passed::default());
    let counted = passed.clone();
    let renaming = move |out: &mut dyn Write| {
        archive::rename(packed.open(&path)?, Counting { out, passed: &counted }, &names, &bounds)
    };
    tokio::select! {
        loaded = import(docker, what, renaming) => loaded,
        never = passed.tell(task, what) => match never {},
    }
}

/// Counts what is written.
struct Counting<'a> {
    out: &'a mut dyn Write,
    passed: &'a Passed,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.passed.add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packed {
    Not,
    Lz4,
    Zstd,
}

impl Packed {
    fn by_name(name: &str) -> Option<Self> {
        let endings = [(".tar", Self::Not), (".tar.lz4", Self::Lz4), (".tar.zst", Self::Zstd)];
        endings.into_iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, packed)| packed)
    }

    fn open(self, path: &Path) -> io::Result<Box<dyn Read>> {
        let file = BufReader::with_capacity(128 * 1024, File::open(path)?);
        Ok(match self {
            Self::Not => Box::new(file),
            Self::Lz4 => Box::new(Lz4Decoder::new(file)),
            Self::Zstd => Box::new(ZstdDecoder::new(file)),
        })
    }
}

/// Unpack, rename and load in one go, so that the image is never on disk a second time.
async fn import(
    docker: &Docker,
    what: &str,
    rename: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> Result<(), NotLoaded> {
    let (renaming, chunks) = pipe::write_to_stream(rename);
    let options = ImportImageOptionsBuilder::new().build();
    let loading = docker.api.import_image_stream(options, chunks, None).try_for_each(|_| async { Ok(()) });
    let (renamed, loaded) = tokio::join!(renaming, loading);
    let renamed = renamed.map_err(|error| Error::worker_caused(format!("cannot unpack {what}"), error))?;
    match (renamed, loaded) {
        (Ok(()), Ok(())) => Ok(()),
        (Err(error), _) if error.kind() == io::ErrorKind::StorageFull => {
            Err(NotLoaded::NoRoom(Error::worker(format!("{what} cannot be loaded: {error}"))))
        }
        (_, Err(error)) if error.to_string().contains("no space left") => {
            Err(NotLoaded::NoRoom(Error::worker_caused(format!("cannot load {what}"), error)))
        }
        // What Docker says counts where it stopped reading; otherwise the archive broke first.
        (Err(error), _) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::payload(format!("{what} cannot be loaded: {error}")).into())
        }
        (_, Err(error)) if is_content_at_fault(&error) => {
            Err(Error::payload(format!("{what} cannot be loaded: {error}")).into())
        }
        (_, Err(error)) => Err(Error::worker_caused(format!("cannot load {what}"), error).into()),
        (Err(error), Ok(())) => Err(Error::worker_caused(format!("cannot load {what}"), error).into()),
    }
}

fn is_content_at_fault(error: &ApiError) -> bool {
    match error {
        ApiError::DockerStreamError { error } => {
            !error.contains("no space left") && !error.contains("input/output error")
        }
        ApiError::DockerResponseServerError { status_code, .. } => *status_code == 400,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_says_how_an_image_is_packed() {
        assert_eq!(Packed::by_name("public/image.tar"), Some(Packed::Not));
        assert_eq!(Packed::by_name("public/image.tar.zst"), Some(Packed::Zstd));
        assert_eq!(Packed::by_name("public/image.tar.gz"), None);
    }
}
