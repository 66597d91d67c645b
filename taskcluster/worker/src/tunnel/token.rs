//! What a tunnel server wants to see: a token that says which name may be waited under, and until when.

use std::fmt;

use async_trait::async_trait;
use taskcluster::auth::Auth;
use taskcluster_core::Caller;
use taskcluster_core::secret::Secret;
use taskcluster_core::time::Timestamp;
use tokio::runtime::Handle;

/// Leave to wait under a name.
#[derive(Clone, Debug)]
pub struct TunnelToken {
    /// A JSON web token.
    pub token: Secret,
    /// When it ends.
    pub expires: Timestamp,
}

/// Why there is no token.
pub type NoToken = Box<dyn std::error::Error + Send + Sync>;

/// Where tokens come from.
#[async_trait]
pub trait TunnelTokens: fmt::Debug + Send + Sync {
    /// A fresh token for this name.
    ///
    /// # Errors
    /// There is none to be had now; it is asked again later.
    async fn token(&self, id: &str) -> Result<TunnelToken, NoToken>;
}

/// Tokens of a deployment's auth service, by `auth.websocktunnelToken`. The scope for it is
/// `auth:websocktunnel-token:<audience>/<name>`.
#[derive(Clone, Debug)]
pub struct DeploymentTokens {
    auth: Auth,
    audience: String,
    /// Where the caller's connections are at home: what asks may be a short-lived runtime of its own.
    home: Option<Handle>,
}

impl DeploymentTokens {
    /// For the tunnel server that the deployment knows as `audience`.
    #[must_use]
    pub fn new(caller: Caller, audience: impl Into<String>) -> Self {
        Self { auth: Auth::new(caller), audience: audience.into(), home: Handle::try_current().ok() }
    }
}

#[async_trait]
impl TunnelTokens for DeploymentTokens {
    async fn token(&self, id: &str) -> Result<TunnelToken, NoToken> {
        let (auth, audience, id) = (self.auth.clone(), self.audience.clone(), id.to_owned());
        let ask = async move { auth.websocktunnel_token(&audience, &id).await };
        let answer = match &self.home {
            Some(home) => home.spawn(ask).await??,
            None => ask.await?,
        };
        Ok(TunnelToken { token: answer.token, expires: answer.expires })
    }
}
