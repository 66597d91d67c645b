//! What a former life of this worker left with the engine.
//!
//! It is looked for at the start, and again while tasks are run: what the engine was just making for a worker that was killed may
//! come into being after the next life has begun.

use std::collections::HashMap;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder,
};
use sha2::{Digest, Sha256};
use taskcluster_core::TaskId;
use taskcluster_worker::error::Result;

use crate::docker::{Docker, failed, is_not_found};
use crate::image::{OF_ARTIFACTS, hex};

/// The label that says whose a container or network is.
const OWNER: &str = "taskcluster.worker";

/// The label that says of which run it is.
const RUN: &str = "taskcluster.run";

/// The label that says in which life of the worker it was made.
const LIFE: &str = "taskcluster.life";

/// What is written on everything that a worker makes in one of its lives.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    owner: String,
    life: String,
}

impl Mark {
    /// The mark of a life that begins now.
    pub(crate) fn new(owner: &str) -> Self {
        Self { owner: owner.to_owned(), life: TaskId::new().to_string() }
    }

    /// The labels of what is made for a run.
    pub(crate) fn labels(&self, run: &str) -> HashMap<String, String> {
        let labels = [(OWNER, &*self.owner), (LIFE, &*self.life), (RUN, run)];
        labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// What takes the place of a run's labels where nothing of them is to be passed on.
    pub(crate) fn no_labels() -> HashMap<String, String> {
        [OWNER, LIFE, RUN].into_iter().map(|name| (name.to_owned(), String::new())).collect()
    }

    /// The name of the image that a run's container becomes for a while. No payload can say it.
    pub(crate) fn image_name(&self, run: &str) -> String {
        format!("{}{}-{}", self.image_names(), self.life, run.replace('/', "-"))
    }

    /// What all such names begin with, whatever the life.
    fn image_names(&self) -> String {
        let owner = hex(&Sha256::digest(&self.owner));
        format!("{OF_ARTIFACTS}:saved-{}-", &owner[..16])
    }

    /// Whether something of the same worker was made in another life.
    fn is_of_another_life(&self, labels: Option<&HashMap<String, String>>) -> bool {
        labels.and_then(|labels| labels.get(LIFE)) != Some(&self.life)
    }
}

/// Remove all containers, networks and passing images that former lives of the worker made.
pub(crate) async fn remove(docker: &Docker, mark: &Mark) -> Result<()> {
    remove_images(docker, mark).await?;
    let filters = HashMap::from([("label", vec![format!("{OWNER}={}", mark.owner)])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let containers = docker.api.list_containers(Some(options)).await.map_err(failed("list containers"))?;
    let left = containers.into_iter().filter(|container| mark.is_of_another_life(container.labels.as_ref()));
    for id in left.filter_map(|container| container.id) {
        tracing::info!(container = id, "removing what a former worker left");
        remove_container(docker, &id).await?;
    }
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    let networks = docker.api.list_networks(Some(options)).await.map_err(failed("list networks"))?;
    let left = networks.into_iter().filter(|network| mark.is_of_another_life(network.labels.as_ref()));
    for id in left.filter_map(|network| network.id) {
        remove_network(docker, &id).await?;
    }
    Ok(())
}

async fn remove_images(docker: &Docker, mark: &Mark) -> Result<()> {
    let filters = HashMap::from([("reference", vec![format!("{}*", mark.image_names())])]);
    let options = ListImagesOptionsBuilder::new().filters(&filters).build();
    let images = docker.api.list_images(Some(options)).await.map_err(failed("list images"))?;
    let of_this_life = format!("{}{}-", mark.image_names(), mark.life);
    let names = images.into_iter().flat_map(|image| image.repo_tags);
    for name in names.filter(|name| name.starts_with(&mark.image_names()) && !name.starts_with(&of_this_life)) {
        remove_image(docker, &name).await?;
    }
    Ok(())
}

/// Remove an image, or its name if it has another. One that is gone is fine.
pub(crate) async fn remove_image(docker: &Docker, name: &str) -> Result<()> {
    let options = RemoveImageOptionsBuilder::new().force(true).build();
    match docker.api.remove_image(name, Some(options), None).await {
        Ok(_) => Ok(()),
        Err(error) if is_not_found(&error) => Ok(()),
        Err(error) => Err(failed("remove an image")(error)),
    }
}

/// Remove a container with everything in it, also while it runs. One that is gone is fine.
pub(crate) async fn remove_container(docker: &Docker, id: &str) -> Result<()> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match docker.api.remove_container(id, Some(options)).await {
        Ok(()) => Ok(()),
        Err(error) if is_not_found(&error) || is_being_removed(&error) => Ok(()),
        Err(error) => Err(failed("remove a container")(error)),
    }
}

fn is_being_removed(error: &bollard::errors::Error) -> bool {
    matches!(crate::docker::answer(error), Some((409, message)) if message.contains("already in progress"))
}

/// Remove a network in which no container is left. One that is gone is fine.
pub(crate) async fn remove_network(docker: &Docker, id: &str) -> Result<()> {
    match docker.api.remove_network(id).await {
        Ok(()) => Ok(()),
        Err(error) if is_not_found(&error) => Ok(()),
        Err(error) => Err(failed("remove a network")(error)),
    }
}
