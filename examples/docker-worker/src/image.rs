//! Images: fetched once, however many tasks ask for them at the same time, and told apart by what they are, not by name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;
use taskcluster_worker::TaskContext;
use taskcluster_worker::error::{Error, Result};

use crate::docker::{Docker, failed, is_not_found};
use crate::engine::Options;
use crate::payload::{Image, ImageFrom};

mod archive;
mod artifact;
mod reference;
mod registry;

pub use registry::Registry;

use reference::Reference;

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
}

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
    /// Whether a registry has it.
    has_registry: bool,
}

impl Images {
    pub(crate) fn new(docker: Docker, options: &Options) -> Self {
        Self {
            docker,
            registries: options.registries.clone(),
            fresh_for: options.image_fresh_for,
            most_bytes: options.image_bytes,
            fetching: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    /// Have an image here.
    ///
    /// # Errors
    /// [`Error::Payload`]: there is none, or the task may not use it. [`Error::Worker`]: it cannot be fetched now.
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
            return Ok(here.clone());
        }
        match registry::pull(&self.docker, task, &reference, registry).await {
            Ok(()) => {}
            // An image that is here is better than none, and the log says that it may be old.
            Err(error @ Error::Worker { .. }) if here.is_some() => {
                task.log().warn(format!("{}; the image that is here is used", error.reasons().join("; ")));
            }
            Err(error) => return Err(error),
        }
        self.asked.lock().expect("nothing panics holding it").insert(reference.as_str().to_owned(), task.clock().now());
        let found = self.find(reference.as_str()).await?;
        found.ok_or_else(|| Error::worker(format!("the image {name:?} is gone as soon as it was here")))
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
        let _turn = self.turn(&name).await;
        if let Some(here) = self.find(&name).await? {
            return Ok(here);
        }
        artifact::load(&self.docker, task, &artifact, self.most_bytes).await?;
        let found = self.find(&name).await?;
        found.ok_or_else(|| Error::payload(format!("the artifact {path:?} of task {task_id} holds no image")))
    }

    /// Wait until nobody else fetches the image of that name.
    async fn turn(&self, name: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let turns = {
            let mut fetching = self.fetching.lock().expect("nothing panics holding it");
            fetching.retain(|_, turns| Arc::strong_count(turns) > 1);
            fetching.entry(name.to_owned()).or_default().clone()
        };
        turns.lock_owned().await
    }

    async fn find(&self, name: &str) -> Result<Option<Found>> {
        match self.docker.api.inspect_image(name).await {
            Ok(image) => {
                let id = image.id.ok_or_else(|| Error::worker(format!("Docker knows no id of the image {name:?}")))?;
                let config = image.config.unwrap_or_default();
                let working_dir = config.working_dir.filter(|dir| !dir.is_empty());
                let hashed = |tag: &String| reference::sha256_of_artifact(tag).map(str::to_owned);
                Ok(Some(Found {
                    id,
                    artifact_sha256: image.repo_tags.and_then(|tags| tags.iter().find_map(hashed)),
                    working_dir: working_dir.unwrap_or_else(|| "/".to_owned()),
                    entry_point: config.entrypoint.unwrap_or_default(),
                    command: config.cmd.unwrap_or_default(),
                    has_registry: image.repo_digests.is_some_and(|digests| !digests.is_empty()),
                }))
            }
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(failed(format!("look for the image {name:?}"))(error)),
        }
    }
}
