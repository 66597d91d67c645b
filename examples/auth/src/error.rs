//! What can go wrong, in words that know no HTTP, and the one place that turns it into an answer.

use service_kit::pages::NoToken;
use taskcluster_server::Failure;

use crate::client::STATIC;
use crate::cycles::Cycle;
use crate::role::ScopeError;
use crate::size::TooLarge;
use crate::store::StoreError;

/// Why the service did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The client comes from the configuration.
    #[error(
        "Client '{0}' starts with '{STATIC}': the configuration of the deployment defines such clients, not this method"
    )]
    Static(String),
    /// A scope that may not be given to anybody.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// A text that not every database can hold.
    #[error("The description holds a NUL character, which cannot be stored")]
    Description,
    /// Roles that lead back to themselves.
    #[error(transparent)]
    Cycle(#[from] Cycle),
    /// Roles that would be worth too much.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// There is such a client, and it is another one.
    #[error("Client '{0}' exists already, with other properties or since more than 15 minutes")]
    ClientExists(String),
    /// There is such a role, and it is another one.
    #[error("Role '{0}' exists already, with another description or other scopes")]
    RoleExists(String),
    /// There is no such client.
    #[error("Client '{0}' was not found")]
    NoSuchClient(String),
    /// There is no such role.
    #[error("Role '{0}' was not found")]
    NoSuchRole(String),
    /// Others changed the same thing again and again.
    #[error("Others are changing the same thing at the moment; try again")]
    Contention,
    /// A continuation token that this service did not give out.
    #[error(transparent)]
    ContinuationToken(#[from] NoToken),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        let message = error.to_string();
        match error {
            AuthError::Static(_)
            | AuthError::Scope(_)
            | AuthError::Description
            | AuthError::Cycle(_)
            | AuthError::TooLarge(_)
            | AuthError::ContinuationToken(_) => Self::input_error(message),
            AuthError::ClientExists(_) | AuthError::RoleExists(_) | AuthError::Contention => Self::conflict(message),
            AuthError::NoSuchClient(_) | AuthError::NoSuchRole(_) => Self::not_found(message),
            AuthError::Store(error) => Self::internal(error),
        }
    }
}
