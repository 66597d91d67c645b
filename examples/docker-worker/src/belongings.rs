//! What a run has with the engine: its container, and its network if it has one of its own. Held by whoever has the run at the
//! time, from the builder to the results.

use crate::docker::Docker;
use crate::leftovers::{remove_container, remove_network};

/// Removed when dropped, which goes on beside; [`Belongings::remove`] waits for it. What a process that ends could not
/// remove any more is found by its label at the next start.
#[derive(Debug)]
pub(crate) struct Belongings {
    docker: Docker,
    things: Things,
}

#[derive(Debug, Default)]
struct Things {
    container: Option<String>,
    network: Option<String>,
}

impl Belongings {
    /// Nothing yet.
    pub(crate) fn new(docker: Docker) -> Self {
        Self { docker, things: Things::default() }
    }

    /// The container is the run's as well.
    pub(crate) fn own_container(&mut self, id: String) {
        self.things.container = Some(id);
    }

    /// The network is the run's as well.
    pub(crate) fn own_network(&mut self, name: String) {
        self.things.network = Some(name);
    }

    pub(crate) fn network(&self) -> Option<&str> {
        self.things.network.as_deref()
    }

    /// Remove everything, and wait until that is done.
    pub(crate) async fn remove(mut self) {
        std::mem::take(&mut self.things).remove(&self.docker).await;
    }
}

impl Drop for Belongings {
    fn drop(&mut self) {
        let (docker, things) = (self.docker.clone(), std::mem::take(&mut self.things));
        let is_empty = things.container.is_none() && things.network.is_none();
        if !is_empty && let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { things.remove(&docker).await });
        }
    }
}

impl Things {
    /// The container first: a network goes when nobody is in it.
    async fn remove(self, docker: &Docker) {
        if let Some(id) = self.container
            && let Err(error) = remove_container(docker, &id).await
        {
            tracing::error!(container = id, error = error.reasons().join("; "), "cannot remove a container");
        }
        if let Some(name) = self.network
            && let Err(error) = remove_network(docker, &name).await
        {
            tracing::error!(network = name, error = error.reasons().join("; "), "cannot remove a task's network");
        }
    }
}
