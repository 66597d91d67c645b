//! Containers of the engine at `DOCKER_HOST`.

use anyhow::{Context as _, Result};
use taskcluster_provisioner::provider::docker::{Docker, Options};

use super::Asked;

/// Where an engine usually listens.
const USUAL: &str = "unix:///var/run/docker.sock";

/// The provider. The engine need not be there yet.
pub(super) fn open(asked: &Asked, owner: &str) -> Result<Docker> {
    let from_env = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    let host = from_env.unwrap_or_else(|| USUAL.to_owned());
    let docker = Docker::connect(&host, owner).context("DOCKER_HOST is of no use")?;
    let options = Options::default()
        .with_volumes(asked.all("volume"))
        .with_network(asked.one("network").unwrap_or_default())
        .with_hosts(asked.all("host"));
    Ok(docker.with_options(options))
}
