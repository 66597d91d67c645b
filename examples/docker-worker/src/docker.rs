//! The Docker engine, as this worker talks to it.

use std::path::PathBuf;
use std::time::Duration;

use bollard::errors::Error as ApiError;
use bollard::models::{ContainerConfig, ContainerWaitResponse, ExecConfig};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, InspectContainerOptions, InspectContainerOptionsBuilder,
    KillContainerOptionsBuilder, StatsOptionsBuilder, WaitContainerOptions,
};
use futures_util::TryStreamExt;
use taskcluster_worker::error::{Error, Result};

use crate::leftovers::Mark;

pub(crate) mod exec;
mod hijack;

pub(crate) use hijack::Stream;

/// What takes longer than this is hanging; loading large images is the slowest of all.
const LONGEST_CALL: u64 = 60 * 60;

/// A connection to a Docker engine on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Docker {
    pub(crate) api: bollard::Docker,
    address: Address,
}

/// Where the engine listens.
#[derive(Clone, Debug)]
enum Address {
    Unix(PathBuf),
    Tcp(String),
}

impl Docker {
    /// Connect to the engine at `host` (`unix:///run/docker.sock`, `tcp://127.0.0.1:2375`) and agree on a version of its API.
    ///
    /// # Errors
    /// [`Error::Worker`]: nobody answers there.
    pub(crate) async fn connect(host: &str) -> Result<Self> {
        let failed = |error| Error::worker_caused(format!("cannot reach a Docker engine at {host}"), error);
        let version = bollard::API_DEFAULT_VERSION;
        let (address, api) = if let Some(path) = host.strip_prefix("unix://") {
            let api = bollard::Docker::connect_with_unix(path, LONGEST_CALL, version);
            (Address::Unix(path.into()), api.map_err(failed)?)
        } else if let Some(name) = host.strip_prefix("tcp://") {
            let api = bollard::Docker::connect_with_http(name, LONGEST_CALL, version);
            (Address::Tcp(name.to_owned()), api.map_err(failed)?)
        } else {
            return Err(Error::worker(format!(
                "{host:?} is no address of a Docker engine: unix://PATH or tcp://HOST:PORT"
            )));
        };
        let api = tokio::time::timeout(Duration::from_secs(30), api.negotiate_version())
            .await
            .map_err(|_| Error::worker(format!("the Docker engine at {host} does not answer")))?
            .map_err(failed)?;
        Ok(Self { api, address })
    }

    /// What a container prints from now on, byte for byte.
    pub(crate) async fn attach(&self, container: &str) -> Result<Stream> {
        let path = format!("/containers/{container}/attach?stream=1&stdout=1&stderr=1");
        self.address.hijack(&path, bytes::Bytes::new()).await
    }
}

impl Docker {
    /// Where the engine keeps images and containers, if that is a folder here.
    pub(crate) async fn store(&self) -> Result<Option<PathBuf>> {
        let info = self.api.info().await.map_err(failed("tell about itself"))?;
        let store = info.docker_root_dir.map(PathBuf::from).filter(|store| store.is_dir());
        if store.is_none() {
            tracing::warn!(
                "Docker keeps its images where this worker cannot see them: nobody looks whether its disk is full"
            );
        }
        Ok(store)
    }

    /// How many bytes of memory a container holds, without files that the system could forget; `None` if Docker does not tell.
    pub(crate) async fn memory(&self, container: &str) -> Option<u64> {
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let stats = self.api.stats(container, Some(options)).try_next().await.ok()??.memory_stats?;
        let detail = stats.stats.unwrap_or_default();
        // By the two versions of control groups.
        let files = detail.get("inactive_file").or_else(|| detail.get("total_inactive_file")).copied().unwrap_or(0);
        Some(stats.usage?.saturating_sub(files))
    }

    /// Wait until a container has ended, and give its exit code, 128 + signal for one that was killed.
    pub(crate) async fn ended(&self, container: &str) -> Result<i32> {
        let waiting = self.api.wait_container(container, None::<WaitContainerOptions>).try_next().await;
        match waiting {
            // The library takes another code than 0 for an error.
            Ok(Some(ContainerWaitResponse { status_code: code, .. }))
            | Err(ApiError::DockerContainerWaitError { code, .. }) => {
                i32::try_from(code).map_err(|_| Error::worker(format!("Docker tells an exit code of {code}")))
            }
            Ok(None) => Err(Error::worker("Docker does not tell when a container ends")),
            Err(error) => Err(failed("wait for a container")(error)),
        }
    }

    /// Ask a container to end, and end it by force after that time. Returns when it has ended.
    pub(crate) async fn stop(&self, container: &str, signal: Option<&str>, grace: Duration) -> Result<()> {
        let deadline = tokio::time::Instant::now() + grace;
        // An image may name a signal that there is not.
        let asked = self.signal(container, signal.unwrap_or("SIGTERM")).await;
        if asked.is_ok()
            && let Ok(ended) = tokio::time::timeout_at(deadline, self.ended(container)).await
        {
            return ended.map(drop);
        }
        self.signal(container, "SIGKILL").await?;
        self.ended(container).await.map(drop)
    }

    async fn signal(&self, container: &str, signal: &str) -> Result<()> {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        match self.api.kill_container(container, Some(options)).await {
            Ok(()) => Ok(()),
            // It had ended by itself.
            Err(error) if matches!(answer(&error), Some((404 | 409, _))) => Ok(()),
            Err(error) => Err(failed("stop a container")(error)),
        }
    }

    /// Ask everything in a container to end but its first process, which the system spares.
    pub(crate) async fn terminate(&self, container: &str) -> Result<()> {
        let cmd = Some(exec::shell("kill -TERM -1", []));
        let config = ExecConfig { cmd, user: Some("0".to_owned()), ..ExecConfig::default() };
        self.exec_beside(container, config).await
    }

    /// Make an image of a container, and give its id.
    pub(crate) async fn commit(&self, container: &str, image: &str) -> Result<String> {
        let (repository, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
        let options = CommitContainerOptionsBuilder::new().container(container).repo(repository).tag(tag).build();
        // What is made of it later is nobody's leftover.
        let config = ContainerConfig { labels: Some(Mark::no_labels()), ..ContainerConfig::default() };
        let committed = self.api.commit_container(options, config).await;
        committed.map(|response| response.id).map_err(failed("keep a container"))
    }

    /// How many bytes the files have that a container has written or changed, holes counted.
    pub(crate) async fn written_by(&self, container: &str) -> Result<u64> {
        let options = InspectContainerOptionsBuilder::new().size(true).build();
        let inspected = self.api.inspect_container(container, Some(options)).await;
        let bytes = inspected.map_err(failed("look at a container"))?.size_rw;
        Ok(bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0))
    }

    /// Where the commands of a container start.
    pub(crate) async fn working_dir(&self, container: &str) -> Result<String> {
        let inspected = self.api.inspect_container(container, None::<InspectContainerOptions>).await;
        let config = inspected.map_err(failed("look at a container"))?.config;
        let dir = config.and_then(|config| config.working_dir).filter(|dir| !dir.is_empty());
        Ok(dir.unwrap_or_else(|| "/".to_owned()))
    }

    /// Whether the system ended a process of the container because it wanted more memory than it may have.
    pub(crate) async fn ran_out_of_memory(&self, container: &str) -> Result<bool> {
        let inspected = self.api.inspect_container(container, None::<InspectContainerOptions>).await;
        let state = inspected.map_err(failed("look at a container"))?.state;
        Ok(state.and_then(|state| state.oom_killed).unwrap_or(false))
    }
}

/// The engine's answer, if it gave one: status and message.
pub(crate) fn answer(error: &ApiError) -> Option<(u16, &str)> {
    match error {
        ApiError::DockerResponseServerError { status_code, message } => Some((*status_code, message)),
        _ => None,
    }
}

/// Whether the engine does not know what it was asked about.
pub(crate) fn is_not_found(error: &ApiError) -> bool {
    matches!(answer(error), Some((404, _)))
}

/// The engine's own fault, or the worker's.
pub(crate) fn failed(what: impl Into<String>) -> impl FnOnce(ApiError) -> Error {
    move |error| Error::worker_caused(format!("Docker cannot {}", what.into()), error)
}
