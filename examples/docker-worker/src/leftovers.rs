//! What a former life of this worker left with the engine.
//!
//! It is looked for at the start, and again while tasks are run: what the engine was just making for a worker that was killed may
//! come into being after the next life has begun.

use std::collections::HashMap;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder,
};
use taskcluster_core::TaskId;
use taskcluster_worker::error::Result;

use crate::docker::{Docker, failed, is_not_found};

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

    /// Whether something of the same worker was made in another life.
    fn is_of_another_life(&self, labels: Option<&HashMap<String, String>>) -> bool {
        labels.and_then(|labels| labels.get(LIFE)) != Some(&self.life)
    }
}

/// Remove all containers and networks that former lives of the worker made.
pub(crate) async fn remove(docker: &Docker, mark: &Mark) -> Result<()> {
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
