//! Containers that are being stopped: each may take its time, and nobody waits for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bollard::errors::Error as ApiError;
use bollard::query_parameters::StopContainerOptionsBuilder;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// How long a container may take to end that was told to, before it is ended. The engine keeps to it even if the provisioner is gone.
pub(super) const GRACE: Duration = Duration::from_secs(60);

/// By the engine's names of containers.
#[derive(Debug, Default)]
pub(super) struct Stops {
    going: Mutex<HashMap<String, AbortOnDropHandle<()>>>,
    tracker: TaskTracker,
}

impl Stops {
    /// Have it stopped, unless it is told so already.
    pub(super) fn begin(&self, api: &bollard::Docker, container: String) {
        let mut going = self.going.lock().unwrap_or_else(PoisonError::into_inner);
        going.retain(|_, stop| !stop.is_finished());
        going.entry(container).or_insert_with_key(|container| {
            AbortOnDropHandle::new(self.tracker.spawn(stop(api.clone(), container.clone())))
        });
    }

    /// Whether it is told to end.
    pub(super) fn is_told(&self, container: &str) -> bool {
        let going = self.going.lock().unwrap_or_else(PoisonError::into_inner);
        going.get(container).is_some_and(|stop| !stop.is_finished())
    }
}

async fn stop(api: bollard::Docker, container: String) {
    let grace = i32::try_from(GRACE.as_secs()).unwrap_or(i32::MAX);
    let options = StopContainerOptionsBuilder::new().t(grace).build();
    match api.stop_container(&container, Some(options)).await {
        // It had ended by itself, or is gone.
        Ok(()) | Err(ApiError::DockerResponseServerError { status_code: 304 | 404, .. }) => {}
        Err(error) => {
            let error = taskcluster_core::chain(&error).to_string();
            tracing::warn!(container, error, "a container cannot be stopped, and is told again");
        }
    }
}
