//! An engine that is one function: for workers whose tasks are done in the worker's own process.
//!
//! ```
//! use taskcluster_worker::function::{Job, engine};
//! use taskcluster_worker::{Error, Exit};
//!
//! /// What a task says.
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Count {
//!     /// How far to count.
//!     count: u32,
//! }
//!
//! let counter = engine("counter", |job: Job<Count>| async move {
//!     for number in 1..=job.payload.count {
//!         job.task.log().write(format!("{number}\n").as_bytes());
//!     }
//!     std::fs::write(job.folder.join("sum"), "…").map_err(|error| Error::worker_caused("no sum", error))?;
//!     Ok(Exit::Code(0))
//! });
//! # let _ = counter;
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::context::TaskContext;
use crate::engine::{Engine, Exit, Extracted, Missing, ResultSet, Sandbox, SandboxBuilder, SandboxHandle, Volume};
use crate::error::{Error, Result};
use crate::payload::{Payload, PayloadPart};

/// A run of a task, for the function.
#[derive(Debug)]
#[non_exhaustive]
pub struct Job<P> {
    /// The engine's part of the payload.
    pub payload: P,
    /// The task; output goes to its `log()`.
    pub task: Arc<TaskContext>,
    /// A folder of the run's own. Files that the payload mounts stand there, artifacts are looked for there, and it is
    /// removed afterwards.
    pub folder: PathBuf,
    /// The environment that payload and plugins ask for.
    pub env: BTreeMap<String, String>,
    mounted: Vec<PathBuf>,
}

impl<P> Job<P> {
    /// Where a path is that the payload names: in the [folder](Self::folder), or in a directory that is mounted there. It need not
    /// be there yet.
    ///
    /// # Errors
    /// The payload's fault, if the path leads elsewhere, be it by a link. What a link comes to that is made later is another matter.
    pub fn path(&self, path: &str) -> Result<PathBuf> {
        let place = inside(&self.folder, path).ok_or_else(|| Error::payload(outside(path)))?;
        let there = place.ancestors().find_map(|place| place.canonicalize().ok());
        match there.is_some_and(|there| is_at_home(&there, &self.folder, &self.mounted)) {
            true => Ok(place),
            false => Err(Error::payload(outside(path))),
        }
    }
}

type Run<P> = dyn Fn(Job<P>) -> BoxFuture<'static, Result<Exit>> + Send + Sync;

/// An engine that is one function; [`engine`] makes it.
pub struct FunctionEngine<P> {
    name: &'static str,
    run: Arc<Run<P>>,
}

/// An engine of this name that does what a task asks for by calling `run`, whose answer is how the task ended:
/// [`Exit::Code`] with 0 for success, another code for a failure of the task's own. An error says whose fault it is.
///
/// A task that is cancelled, or runs for too long, is ended by dropping the function's future, so let it come to an
/// `.await` now and then. What it has started elsewhere (threads, processes without `kill_on_drop`) is its own to end. A
/// panic is the worker's fault, and ends that run only.
pub fn engine<P, F, R>(name: &'static str, run: F) -> FunctionEngine<P>
where
    P: DeserializeOwned + JsonSchema + Send + 'static,
    F: Fn(Job<P>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Exit>> + Send + 'static,
{
    FunctionEngine { name, run: Arc::new(move |job| Box::pin(run(job))) }
}

#[async_trait]
impl<P: DeserializeOwned + JsonSchema + Send + 'static> Engine for FunctionEngine<P> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn payload(&self) -> PayloadPart {
        PayloadPart::of::<P>()
    }

    async fn prepare(&self, task: &Arc<TaskContext>, payload: &Payload) -> Result<Box<dyn SandboxBuilder>> {
        let payload = payload.part::<P>()?;
        let folder = tempfile::tempdir_in(task.scratch()).map_err(|error| failed("make a folder", error))?;
        let (task, run) = (task.clone(), self.run.clone());
        Ok(Box::new(Furnished { payload, task, run, folder, mounted: Vec::new(), env: BTreeMap::new() }))
    }
}

impl<P> fmt::Debug for FunctionEngine<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionEngine").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A folder that is being furnished.
struct Furnished<P> {
    payload: P,
    task: Arc<TaskContext>,
    run: Arc<Run<P>>,
    folder: TempDir,
    mounted: Vec<PathBuf>,
    env: BTreeMap<String, String>,
}

impl<P> Furnished<P> {
    /// Where a path of the payload is, with its folder made.
    fn place(&self, path: &str) -> Result<PathBuf> {
        let place = inside(self.folder.path(), path).ok_or_else(|| Error::payload(outside(path)))?;
        let made = place.parent().map_or(Ok(()), fs::create_dir_all);
        made.map_err(|error| failed("make a folder", error))?;
        Ok(place)
    }
}

#[async_trait]
impl<P: Send + 'static> SandboxBuilder for Furnished<P> {
    fn set_env(&mut self, name: &str, value: &str) -> Result<()> {
        self.env.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    async fn mount_directory(&mut self, path: &str, volume: Volume) -> Result<()> {
        if volume.read_only {
            // The function is the worker itself: nothing would keep it from writing.
            return Err(Error::Unsupported("directories that may only be read"));
        }
        let place = self.place(path)?;
        std::os::unix::fs::symlink(&volume.path, place).map_err(|error| failed("mount a directory", error))?;
        self.mounted.push(volume.path);
        Ok(())
    }

    async fn add_file(&mut self, path: &str, source: &Path) -> Result<()> {
        let place = self.place(path)?;
        tokio::fs::copy(source, place).await.map_err(|error| failed("mount a file", error))?;
        Ok(())
    }

    async fn add_directory(&mut self, path: &str, source: &Path) -> Result<()> {
        let place = self.place(path)?;
        tokio::fs::rename(source, place).await.map_err(|error| failed("mount a directory", error))
    }

    async fn start(self: Box<Self>) -> Result<Box<dyn Sandbox>> {
        let Self { payload, task, run, folder, mounted, env } = *self;
        let job = Job { payload, task, folder: folder.path().to_owned(), env, mounted: mounted.clone() };
        // In a task of its own, so that a panic of the function is caught.
        let running = AbortOnDropHandle::new(tokio::spawn(run(job)));
        Ok(Box::new(Running {
            running,
            kill: CancellationToken::new(),
            left: Left { exit: Exit::Killed, folder, mounted },
        }))
    }

    async fn discard(self: Box<Self>) {}
}

impl<P> fmt::Debug for Furnished<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Furnished").field("folder", &self.folder).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Running {
    running: AbortOnDropHandle<Result<Exit>>,
    kill: CancellationToken,
    left: Left,
}

#[async_trait]
impl Sandbox for Running {
    fn handle(&self) -> Arc<dyn SandboxHandle> {
        Arc::new(self.kill.clone())
    }

    async fn wait(mut self: Box<Self>) -> Result<Box<dyn ResultSet>> {
        let ended = tokio::select! {
            ended = &mut self.running => ended,
            () = self.kill.cancelled() => {
                self.running.abort();
                (&mut self.running).await
            }
        };
        self.left.exit = match ended {
            Ok(end) => end?,
            Err(error) if error.is_cancelled() => Exit::Killed,
            Err(error) => return Err(Error::worker_caused("the engine's function has panicked", error)),
        };
        Ok(Box::new(self.left))
    }
}

/// What is left of a run.
#[derive(Debug)]
struct Left {
    exit: Exit,
    folder: TempDir,
    mounted: Vec<PathBuf>,
}

impl Left {
    /// A path as the payload writes it, where it really is: in the folder, or in a directory that was mounted there. Links that
    /// lead elsewhere lead nowhere.
    fn find(&self, path: &str) -> Result<(PathBuf, fs::Metadata), Missing> {
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Missing::NotFound(path.to_owned()),
            _ => Missing::NotReadable(format!("{path} cannot be read: {error}")),
        };
        let place = inside(self.folder.path(), path).ok_or_else(|| Missing::NotReadable(outside(path)))?;
        let place = place.canonicalize().map_err(unreadable)?;
        if !is_at_home(&place, self.folder.path(), &self.mounted) {
            return Err(Missing::NotReadable(outside(path)));
        }
        let found = fs::metadata(&place).map_err(unreadable)?;
        Ok((place, found))
    }
}

#[async_trait]
impl ResultSet for Left {
    fn exit(&self) -> &Exit {
        &self.exit
    }

    async fn file(&self, path: &str) -> Result<Extracted, Missing> {
        let (place, found) = self.find(path)?;
        if !found.is_file() {
            return Err(Missing::WrongType(format!("{path} is not a regular file")));
        }
        Ok(Extracted::in_place(place))
    }

    async fn directory(&self, path: &str) -> Result<Vec<String>, Missing> {
        let (place, found) = self.find(path)?;
        if !found.is_dir() {
            return Err(Missing::WrongType(format!("{path} is not a directory")));
        }
        let mut files = Vec::new();
        list(&place, &place, &mut files).map_err(|error| Missing::NotReadable(error.to_string()))?;
        files.sort();
        Ok(files)
    }

    async fn dispose(self: Box<Self>) {}
}

/// The regular files below a directory; links are left out.
fn list(root: &Path, folder: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            list(root, &path, files)?;
        } else if kind.is_file()
            && let Ok(relative) = path.strip_prefix(root)
        {
            files.push(relative.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

/// A path of the payload below the folder; `None` if it leads out of it.
fn inside(folder: &Path, path: &str) -> Option<PathBuf> {
    let stays = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    Path::new(path).components().all(stays).then(|| folder.join(path))
}

/// Whether a place, as it is once all links are followed, is in the folder or in what is mounted there.
fn is_at_home(place: &Path, folder: &Path, mounted: &[PathBuf]) -> bool {
    let mut homes = std::iter::once(folder).chain(mounted.iter().map(PathBuf::as_path));
    homes.any(|home| home.canonicalize().is_ok_and(|home| place.starts_with(home)))
}

fn outside(path: &str) -> String {
    format!("{path} leads out of the task's folder")
}

fn failed(what: &str, error: io::Error) -> Error {
    Error::worker_caused(format!("cannot {what}"), error)
}
