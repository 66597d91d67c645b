//! A network of a task's own, with a door to the worker.
//!
//! The worker listens at the network's address of the machine. Nothing but the task's container is in the network, so
//! whatever calls from there is the task; the machine's own processes call from the door's address and are told apart by it.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use bollard::models::NetworkCreateRequest;
use taskcluster_worker::engine::{Door, Visitors};
use taskcluster_worker::error::{Error, Result};
use tokio::net::TcpListener;

use crate::belongings::Belongings;
use crate::docker::{Docker, failed};

/// A network of one task.
#[derive(Debug)]
pub(crate) struct TaskNetwork {
    gateway: Ipv4Addr,
    prefix: u8,
}

/// Where a service is expected whose address has no port.
const HTTP: u16 = 80;

impl TaskNetwork {
    /// Make a network that is the run's from now on.
    pub(crate) async fn create(
        docker: &Docker,
        belongings: &mut Belongings,
        name: String,
        labels: HashMap<String, String>,
    ) -> Result<Self> {
        let request = NetworkCreateRequest {
            name: name.clone(),
            driver: Some("bridge".to_owned()),
            labels: Some(labels),
            ..NetworkCreateRequest::default()
        };
        docker.api.create_network(request).await.map_err(failed("make a network"))?;
        belongings.own_network(name.clone());
        let (gateway, prefix) = address(docker, &name).await?;
        Ok(Self { gateway, prefix })
    }

    /// Listen for the task, which is to call the worker `host`.
    pub(crate) async fn open_door(&self, host: &str) -> Result<Door> {
        let failed = |error| Error::worker_caused("cannot listen in a task's network", error);
        // Only root may take the port that needs no mention.
        let listener = match TcpListener::bind(SocketAddr::from((self.gateway, HTTP))).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind(SocketAddr::from((self.gateway, 0))).await.map_err(failed)?,
        };
        let url = match listener.local_addr().map_err(failed)?.port() {
            HTTP => format!("http://{host}"),
            port => format!("http://{host}:{port}"),
        };
        Ok(Door::new(listener, url, Visitors::Network { address: self.gateway, prefix: self.prefix }))
    }

    /// A line of the container's `/etc/hosts`.
    pub(crate) fn host_entry(&self, host: &str) -> String {
        format!("{host}:{}", self.gateway)
    }
}

/// The machine's address in a network, and how many of its bits all addresses there have in common.
async fn address(docker: &Docker, name: &str) -> Result<(Ipv4Addr, u8)> {
    let network = docker.api.inspect_network(name, None).await.map_err(failed("look at a network"))?;
    let configs = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    let found = configs.iter().find_map(|config| {
        let gateway = config.gateway.as_deref()?.split('/').next()?.parse().ok()?;
        let prefix = config.subnet.as_deref()?.split_once('/')?.1.parse().ok()?;
        Some((gateway, prefix))
    });
    found.ok_or_else(|| Error::worker("Docker made a network without an address of the machine"))
}
