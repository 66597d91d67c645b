use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::Credentials;

/// Where a caller finds its credentials, asked anew for every attempt of every call.
pub trait CredentialsProvider: Send + Sync {
    /// The credentials of this moment; `None` to call without. Must answer at once: renewing is done elsewhere.
    fn credentials(&self) -> Option<Credentials>;
}

impl CredentialsProvider for Credentials {
    fn credentials(&self) -> Option<Credentials> {
        Some(self.clone())
    }
}

impl<P: CredentialsProvider + ?Sized> CredentialsProvider for Arc<P> {
    fn credentials(&self) -> Option<Credentials> {
        (**self).credentials()
    }
}

/// Credentials that can be replaced while they are in use, as a worker's are with every reclaim. Clones share them.
///
/// ```
/// use taskcluster_core::{Credentials, CredentialsProvider, SharedCredentials};
/// let shared = SharedCredentials::new(Credentials::new("task/1", "old"));
/// shared.replace(Credentials::new("task/1", "new"));
/// assert_eq!(shared.credentials().unwrap().access_token.expose(), "new");
/// ```
#[derive(Clone, Default)]
pub struct SharedCredentials(Arc<RwLock<Option<Credentials>>>);

impl SharedCredentials {
    /// Begins with these.
    #[must_use]
    pub fn new(credentials: Credentials) -> Self {
        Self(Arc::new(RwLock::new(Some(credentials))))
    }

    /// Uses these from now on.
    pub fn replace(&self, credentials: Credentials) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(credentials);
    }

    /// Calls without credentials from now on.
    pub fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl CredentialsProvider for SharedCredentials {
    fn credentials(&self) -> Option<Credentials> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for SharedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedCredentials").field(&self.credentials()).finish()
    }
}
