//! What a former life of this worker left with the engine.

use std::collections::HashMap;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder,
};
use taskcluster_worker::error::Result;

use crate::docker::{Docker, failed, is_not_found};

/// The label that says whose a container or network is.
pub(crate) const OWNER: &str = "taskcluster.worker";

/// The label that says of which run it is.
pub(crate) const RUN: &str = "taskcluster.run";

/// Remove all containers and networks of the worker with that label.
pub(crate) async fn remove(docker: &Docker, label: &str) -> Result<()> {
    let filters = HashMap::from([("label", vec![format!("{OWNER}={label}")])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let containers = docker.api.list_containers(Some(options)).await.map_err(failed("list containers"))?;
    for id in containers.into_iter().filter_map(|container| container.id) {
        tracing::info!(container = id, "removing what a former worker left");
        remove_container(docker, &id).await?;
    }
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    let networks = docker.api.list_networks(Some(options)).await.map_err(failed("list networks"))?;
    for id in networks.into_iter().filter_map(|network| network.id) {
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
