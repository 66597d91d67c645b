//! The tunnel server of a deployment, as its workers know it.

use taskcluster_core::Caller;
use url::Url;

use super::client::{Tunnel, TunnelError};
use super::token::DeploymentTokens;
use crate::identity::Identity;

/// Where the workers of a deployment wait for their viewers.
#[derive(Clone, Debug)]
pub struct TunnelServer {
    url: Url,
    audience: String,
    caller: Caller,
}

impl TunnelServer {
    /// At this URL, known to the deployment's auth service as `audience`; `caller` asks that for tokens.
    #[must_use]
    pub fn new(url: Url, audience: impl Into<String>, caller: Caller) -> Self {
        Self { url, audience: audience.into(), caller }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What the worker offers as `purpose`, such as `log`, waits under the name `<worker group>.<worker id>.<purpose>`. The scope
    /// for the token is `auth:websocktunnel-token:<audience>/<name>`.
    ///
    /// # Errors
    /// Address or name are none.
    pub fn tunnel(&self, worker: &Identity, purpose: &str) -> Result<Tunnel, TunnelError> {
        let id = format!("{}.{}.{purpose}", worker.worker_group, worker.worker_id);
        Tunnel::new(self.url.clone(), id, DeploymentTokens::new(self.caller.clone(), self.audience.clone()))
    }
}
