//! Images: fetched once, however many tasks ask for them at the same time, and told apart by what they are, not by name.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::query_parameters::TagImageOptionsBuilder;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;
use taskcluster_worker::TaskContext;
use taskcluster_worker::error::{Error, Result};

use crate::docker::{Docker, failed, is_not_found};
use crate::engine::Options;
use crate::payload::{Image, ImageFrom};

mod archive;
mod artifact;
mod encoded;
mod gauge;
mod ledger;
mod progress;
mod reference;
mod registry;
mod sweep;

pub(crate) use reference::{OF_ARTIFACTS, hex};
pub use registry::Registry;

use artifact::NotLoaded;
use gauge::Bounds;
use ledger::{Ledger, Use};
use reference::{Names, Reference};

/// Copy an archive as `docker save` writes it, whose image is to have this name.
///
/// # Errors
/// It is none, or cannot be written.
pub(crate) fn rename(from: impl Read, to: impl Write, name: &str) -> io::Result<()> {
    archive::rename(from, to, &[name.to_owned()], &Bounds::new(u64::MAX, None))
}

/// The images of the engine.
#[derive(Debug)]
pub(crate) struct Images {
    docker: Docker,
    registries: Vec<Registry>,
    /// For how long a tag is believed to mean what it meant.
    fresh_for: Duration,
    /// The most that an artifact may take, unpacked.
    most_bytes: u64,
    /// Held by whoever fetches an image.
    fetching: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// When a registry was last asked for a name.
    asked: Mutex<HashMap<String, Timestamp>>,
    ledger: Arc<Ledger>,
    /// Where the engine keeps images, if that can be looked at.
    store: Option<PathBuf>,
}

/// Bytes of Docker's disk that images which are artifacts leave free.
const FREE_DISK: u64 = 1 << 30;

/// An image that is here.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Its digest, which nobody else's image can have.
    pub(crate) id: String,
    /// SHA-256 of the artifact that it was, in hexadecimal.
    pub(crate) artifact_sha256: Option<String>,
    /// Where its commands start.
    pub(crate) working_dir: String,
    /// What it begins with, and what is given to that, or is the whole command.
    pub(crate) entry_point: Vec<String>,
    pub(crate) command: Vec<String>,
    /// By what its programs are asked to end, if not by `SIGTERM`.
    pub(crate) stop_signal: Option<String>,
    /// Whether a registry has it.
    has_registry: bool,
    /// As long as this is held, it stays.
    _in_use: Option<Arc<Use>>,
}

impl Images {
    pub(crate) fn new(docker: Docker, options: &Options, store: Option<PathBuf>) -> Self {
        Self {
            docker,
            registries: options.registries.clone(),
            fresh_for: options.image_fresh_for,
            most_bytes: options.image_bytes,
            fetching: Mutex::default(),
            asked: Mutex::default(),
            ledger: Arc::new(Ledger::open(options.image_record.clone())),
            store,
        }
    }

    /// Have an image here.
    ///
    /// # Errors
    /// [`Error::Payload`]: there is none, or the task may not use it. [`Error::Worker`], [`Error::Unavailable`]: it cannot be
    /// fetched now.
    pub(crate) async fn obtain(&self, task: &TaskContext, image: &Image) -> Result<Found> {
        match image {
            Image::Name(name) | Image::From(ImageFrom::Registry { name }) => self.named(task, name).await,
            Image::From(ImageFrom::Task { task_id, path }) => self.of_task(task, task_id, path).await,
            Image::From(ImageFrom::Index { namespace, path }) => {
                let task_id = artifact::indexed(task, namespace).await?;
                self.of_task(task, &task_id, path).await
            }
        }
    }

    async fn named(&self, task: &TaskContext, name: &str) -> Result<Found> {
        let reference = Reference::parse(name)?;
        let registry = registry::of(&self.registries, &reference);
        if registry.is_some() {
            let scope = format!("docker-worker:image:{}", reference.as_str());
            if !task.has_scope(&scope) {
                return Err(Error::payload(format!("the image {name:?} needs the scope {scope}")));
            }
        }
        let _turn = self.turn(reference.as_str()).await;
        let here = self.find(reference.as_str()).await?;
        if let Some(here) = &here
            && self.is_fresh(task, &reference, here)
        {
            return Ok(self.used(task, here.clone()));
        }
        let is_new = here.is_none();
        if is_new {
            self.announce(reference.as_str())?;
        }
        match registry::pull(&self.docker, task, &reference, registry).await {
            Ok(()) => {}
            // An image that is here is better than none, and the log says that it may be old.
            Err(error @ (Error::Worker { .. } | Error::Unavailable { .. })) if here.is_some() => {
                task.log().warn(format!("{}; the image that is here is used", error.reasons().join("; ")));
            }
            Err(error) => {
                self.came_to_nothing(reference.as_str()).await;
                return Err(error);
            }
        }
        self.asked.lock().expect("nothing panics holding it").insert(reference.as_str().to_owned(), task.clock().now());
        let found = self.find(reference.as_str()).await?;
        let found = found.ok_or_else(|| Error::worker(format!("the image {name:?} is gone as soon as it was here")))?;
        let changed = here.is_none_or(|here| here.id != found.id);
        if changed {
            // A name that somebody else gave stays theirs, whatever it means now.
            let ours = is_new || self.ledger.is_ours(reference.as_str());
            let names = if ours { vec![reference.as_str().to_owned()] } else { Vec::new() };
            self.came(task, &found, &names)?;
        }
        Ok(self.used(task, found))
    }

    /// Whether no registry need be asked for an image that is here.
    fn is_fresh(&self, task: &TaskContext, reference: &Reference, here: &Found) -> bool {
        let asked = self.asked.lock().expect("nothing panics holding it").get(reference.as_str()).copied();
        let lately = asked.is_some_and(|asked| asked + self.fresh_for > task.clock().now());
        lately || reference.has_digest() || !here.has_registry
    }

    async fn of_task(&self, task: &TaskContext, task_id: &TaskId, path: &str) -> Result<Found> {
        let artifact = artifact::locate(task, task_id, path).await?;
        let name = artifact.image_name();
        let _turn_of_run = self.turn(&name).await;
        // One without its hash was only half named when the worker was killed.
        if let Some(here) = self.find(&name).await?
            && here.artifact_sha256.is_some()
        {
            return Ok(self.used(task, here));
        }
        let fetched = artifact::fetch(task, &artifact, self.most_bytes).await?;
        let _turn = self.turn(&fetched.names.of_content).await;
        if self.find(&fetched.names.of_content).await?.is_some()
            && let Some(found) = self.name_again(task, &fetched.names).await?
        {
            return Ok(self.used(task, found));
        }
        let mut ours = Vec::new();
        for name in fetched.names.all() {
            if self.find(&name).await?.is_none() || self.ledger.is_ours(&name) {
                self.announce(&name)?;
                ours.push(name);
            }
        }
        if let Err(error) = self.load(task, &fetched).await {
            for name in &ours {
                self.came_to_nothing(name).await;
            }
            return Err(error);
        }
        let found = self.find(&name).await?;
        let found =
            found.ok_or_else(|| Error::payload(format!("the artifact {path:?} of task {task_id} holds no image")))?;
        self.came(task, &found, &ours)?;
        Ok(self.used(task, found))
    }

    /// An image that is here by its content gets the names of one more artifact. `None`: it has gone meanwhile.
    async fn name_again(&self, task: &TaskContext, names: &Names) -> Result<Option<Found>> {
        let more = [names.of_both.clone(), names.of_run.clone()];
        for name in &more {
            self.announce(name)?;
            let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
            let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
            if let Err(error) = self.docker.api.tag_image(&names.of_content, Some(options)).await {
                for name in &more {
                    self.came_to_nothing(name).await;
                }
                return if is_not_found(&error) { Ok(None) } else { Err(failed("name an image")(error)) };
            }
        }
        let found = self.find(&names.of_run).await?;
        if let Some(found) = &found {
            task.log().info("the image is here already, from another task");
            self.came(task, found, &more)?;
        }
        Ok(found)
    }

    /// Load it; where there is no room for it, others have to go.
    async fn load(&self, task: &TaskContext, fetched: &artifact::Fetched) -> Result<()> {
        loop {
            let disk = self.store.clone().map(|store| (store, FREE_DISK));
            match artifact::load(&self.docker, task, fetched, Bounds::new(self.most_bytes, disk)).await {
                Ok(()) => return Ok(()),
                Err(NotLoaded::Failed(error)) => return Err(error),
                Err(NotLoaded::NoRoom(error)) => {
                    if !self.make_room(task.clock().now()).await? {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Note that something is about to be fetched under this name.
    fn announce(&self, name: &str) -> Result<()> {
        self.ledger.announce(name).map_err(|error| Error::worker_caused("cannot note that an image is fetched", error))
    }

    /// Nothing was fetched under this name; unless Docker has it all the same, of which it is then known whose it is.
    async fn came_to_nothing(&self, name: &str) {
        if let Ok(None) = self.find(name).await
            && let Err(error) = self.ledger.forget_announced(name)
        {
            tracing::warn!(%error, name, "cannot note that an image has not come");
        }
    }

    fn came(&self, task: &TaskContext, found: &Found, names: &[String]) -> Result<()> {
        let noted = self.ledger.came(&found.id, names, task.clock().now());
        noted.map_err(|error| Error::worker_caused("cannot note that an image is here", error))
    }

    /// Keep it from being removed as long as the answer lives.
    fn used(&self, task: &TaskContext, found: Found) -> Found {
        let in_use = self.ledger.in_use(&found.id, task.clock().now());
        Found { _in_use: Some(Arc::new(in_use)), ..found }
    }

    /// Wait until nobody else fetches the image of that name.
    async fn turn(&self, name: &str) -> tokio::sync::OwnedMutexGuard<()> {
        self.turns(name).lock_owned().await
    }

    /// The same, if nobody fetches it now.
    fn try_turn(&self, name: &str) -> Option<tokio::sync::OwnedMutexGuard<()>> {
        self.turns(name).try_lock_owned().ok()
    }

    fn turns(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetching = self.fetching.lock().expect("nothing panics holding it");
        fetching.retain(|_, turns| Arc::strong_count(turns) > 1);
        fetching.entry(name.to_owned()).or_default().clone()
    }

    async fn find(&self, name: &str) -> Result<Option<Found>> {
        match self.docker.api.inspect_image(name).await {
            Ok(image) => {
                let id = image.id.ok_or_else(|| Error::worker(format!("Docker knows no id of the image {name:?}")))?;
                let config = image.config.unwrap_or_default();
                let working_dir = config.working_dir.filter(|dir| !dir.is_empty());
                let names = image.repo_tags.unwrap_or_default();
                Ok(Some(Found {
                    id,
                    artifact_sha256: reference::sha256_of_artifact(name, &names).map(str::to_owned),
                    working_dir: working_dir.unwrap_or_else(|| "/".to_owned()),
                    entry_point: config.entrypoint.unwrap_or_default(),
                    command: config.cmd.unwrap_or_default(),
                    stop_signal: config.stop_signal.filter(|signal| !signal.is_empty()),
                    has_registry: image.repo_digests.is_some_and(|digests| !digests.is_empty()),
                    _in_use: None,
                }))
            }
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(failed(format!("look for the image {name:?}"))(error)),
        }
    }
}
