//! Why there is no worker.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use taskcluster_worker::WorkerError;
use taskcluster_worker::tunnel::TunnelError;

/// Why there is no worker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NativeWorkerError {
    /// Its parts do not fit together.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// Caches cannot be kept where they should be.
    #[error("cannot keep caches in {}", .path.display())]
    Caches {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Shells cannot be served where they should be.
    #[error("cannot serve shells at {address}")]
    Shells {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There can be no such tunnel.
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
    /// Live logs cannot be served where they should be.
    #[error("cannot serve live logs at {address}")]
    LiveLog {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}
