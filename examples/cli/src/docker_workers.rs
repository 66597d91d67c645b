//! `up --serve-docker`: workers whose tasks run in containers. Only a build with the feature `docker` has them, since few people
//! who try a deployment need what speaks to Docker.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use taskcluster_core::ids::TaskQueueId;

/// Refuse what cannot be served, before anything is started.
///
/// # Errors
/// A queue is to be served twice, or this build has no Docker workers.
pub(crate) fn check(native: &BTreeSet<TaskQueueId>, docker: &BTreeSet<TaskQueueId>) -> Result<()> {
    if let Some(twice) = native.intersection(docker).next() {
        bail!("{twice} is served by either a native or a Docker worker: their tasks are not the same");
    }
    if !docker.is_empty() && !cfg!(feature = "docker") {
        bail!(
            "this build has no Docker workers: cargo run --features docker --bin taskcluster -- up --serve-docker QUEUE"
        );
    }
    Ok(())
}

#[cfg(feature = "docker")]
pub(crate) use with_docker::start;

/// Never asked for anything: see [`check`].
#[cfg(not(feature = "docker"))]
pub(crate) async fn start(_: &crate::assemble::Deployment, _: &BTreeSet<TaskQueueId>) -> Result<()> {
    Ok(())
}

#[cfg(feature = "docker")]
mod with_docker {
    use std::collections::BTreeSet;

    use anyhow::{Context as _, Result};
    use taskcluster_core::ids::TaskQueueId;
    use taskcluster_docker_worker::DockerWorker;
    use taskcluster_worker::{Identity, Settings};

    use crate::assemble::{Deployment, WORKER_GROUP};
    use crate::disk;

    /// Starts a Docker worker for each of these queues.
    pub(crate) async fn start(deployment: &Deployment, queues: &BTreeSet<TaskQueueId>) -> Result<()> {
        for queue in queues {
            // The same name after a restart, so that it finds and gives back what it had claimed before.
            let identity = Identity::new(queue.clone(), WORKER_GROUP, queue.worker_type());
            let settings = Settings::new(deployment.data().folder(&format!("worker/{queue}"))?)
                .with_capacity(deployment.capacity())
                .with_required_disk_space(disk::LEAST_TO_BEGIN);
            let mut worker = DockerWorker::from_env();
            worker.cache_dir = Some(deployment.data().folder("docker-caches")?);
            worker.tunnel = deployment.tunnel().cloned();
            let worker = worker.builder(deployment.root_url(), identity, settings).await;
            let worker = worker.with_context(|| format!("{queue} cannot be served with Docker"))?;
            let worker = worker.credentials(deployment.worker_credentials().clone()).bus(deployment.shared_bus());
            deployment.employ(worker.build()?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues<const N: usize>(names: [&str; N]) -> BTreeSet<TaskQueueId> {
        names.iter().map(|name| name.parse().expect("a queue")).collect()
    }

    #[test]
    fn a_queue_has_one_kind_of_worker() {
        assert!(check(&queues(["a/b"]), &queues([])).is_ok());
        let error = check(&queues(["a/b", "a/c"]), &queues(["a/c"])).expect_err("it is served twice").to_string();
        assert!(error.starts_with("a/c is served by either"), "{error}");
    }

    #[test]
    fn a_build_without_docker_says_how_to_get_one_with_it() {
        let checked = check(&queues([]), &queues(["a/b"]));
        assert_eq!(checked.is_ok(), cfg!(feature = "docker"));
        if let Err(error) = checked {
            assert!(error.to_string().contains("--features docker"), "{error}");
        }
    }
}
