//! Clients that the configuration defines: how a deployment gets its first client, and its services theirs.
//!
//! Their ids start with `static/`. On start the store is made to say what the configuration says, so a token that was
//! changed there holds after the next start, and a client that was removed there is gone. The API never touches them.

use serde::{Deserialize, Serialize};
use taskcluster_core::secret::Secret;
use taskcluster_core::time::{Timestamp, days};

use crate::backend::Backend;
use crate::client::{Client, STATIC};
use crate::error::AuthError;
use crate::history::{Action, Entity};
use crate::role::check_client_scopes;
use crate::store::Created;

/// Ids of the deployment's own services.
const BUILT_IN: &str = "static/taskcluster/";

/// What the deployment's own clients hold. The queue and the scheduler act for others with `authorizedScopes` and
/// issue credentials for any task, so they hold everything.
const BUILT_IN_SCOPES: &[(&str, &[&str])] = &[
    ("root", &["*"]),
    ("queue", &["*"]),
    ("scheduler", &["*"]),
    (
        "provisioner",
        &[
            "assume:worker-pool:*",
            "assume:worker-type:*",
            "auth:create-client:worker/*",
            "auth:current-scopes",
            "auth:websocktunnel-token:*",
            "provisioner:should-terminate:*",
            "purge-cache:purge-requests:*",
            "queue:*",
            "secrets:get:worker-pool:*",
        ],
    ),
    ("built-in-workers", &["queue:claim-work:built-in/*", "queue:worker-id:built-in/*"]),
    // It signs links to artifacts for those who may get them, and reads what finished tasks want.
    ("index", &["queue:get-artifact:*", "queue:get-task:*"]),
    ("purge-cache", &[]),
    ("object", &[]),
];

/// Added to every description, since people look for the way to change such a client.
const NOTE: &str =
    "*This client is defined by the configuration of the deployment and cannot be changed through the API.*";

/// Who stands in the audit trail for it.
const BY: &str = "taskcluster-auth/static-clients";

/// One client of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticClient {
    /// Its id, which starts with `static/`.
    pub client_id: String,
    /// What it signs requests with: 22 to 66 letters, digits, dashes or underscores.
    pub access_token: Secret,
    /// Its scopes. Left out for the deployment's own clients under `static/taskcluster/`, whose scopes are part of the
    /// service.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// Why a client of the configuration cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StaticClientError {
    /// Other ids belong to the API.
    #[error("static client '{0}': the id must start with '{STATIC}'")]
    Prefix(String),
    /// An id that the API could not show.
    #[error("static client '{0}': the id may only have letters, digits and any of ! @ / : . + | _ -")]
    Id(String),
    /// A service that this deployment does not have.
    #[error("static client '{0}': not one of the deployment's own clients, which are {known}", known = known())]
    UnknownBuiltIn(String),
    /// Somebody wants to change what a service may do.
    #[error("static client '{0}': scopes must not be given, since those of the deployment's own clients are fixed")]
    BuiltInScopes(String),
    /// A token that is too short or has odd characters.
    #[error("static client '{0}': the access token must be 22 to 66 letters, digits, dashes or underscores")]
    AccessToken(String),
    /// A scope that may not be given to anybody.
    #[error("static client '{client_id}': {message}")]
    Scope {
        /// Whose.
        client_id: String,
        /// Which, and why.
        message: String,
    },
    /// Two of the same id.
    #[error("static client '{0}' is defined twice")]
    Twice(String),
}

fn known() -> String {
    let names: Vec<String> = BUILT_IN_SCOPES.iter().map(|(name, _)| format!("{BUILT_IN}{name}")).collect();
    names.join(", ")
}

impl StaticClient {
    /// The client that may do everything; the first one that a deployment needs.
    pub fn root(access_token: impl Into<Secret>) -> Self {
        Self {
            client_id: format!("{BUILT_IN}root"),
            access_token: access_token.into(),
            scopes: None,
            description: "May do everything.".to_owned(),
        }
    }

    fn effective_scopes(&self) -> Result<Vec<String>, StaticClientError> {
        let id = || self.client_id.clone();
        if !self.client_id.starts_with(STATIC) {
            return Err(StaticClientError::Prefix(id()));
        }
        if !self.client_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!@/:.+|_-".contains(&byte)) {
            return Err(StaticClientError::Id(id()));
        }
        let token = self.access_token.expose();
        let token_is_fine = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !token_is_fine || !(22..=66).contains(&token.len()) {
            return Err(StaticClientError::AccessToken(id()));
        }
        let Some(name) = self.client_id.strip_prefix(BUILT_IN) else {
            let scopes = self.scopes.clone().unwrap_or_default();
            let refused = |message: String| StaticClientError::Scope { client_id: id(), message };
            if let Some(scope) = scopes.iter().find(|scope| !crate::certificates::is_scope(scope)) {
                return Err(refused(format!("scope {scope:?} has characters that are not printable ASCII")));
            }
            check_client_scopes(&scopes).map_err(|error| refused(error.to_string()))?;
            return Ok(scopes);
        };
        if self.scopes.is_some() {
            return Err(StaticClientError::BuiltInScopes(id()));
        }
        let own = BUILT_IN_SCOPES.iter().find(|(known, _)| *known == name);
        let (_, scopes) = own.ok_or_else(|| StaticClientError::UnknownBuiltIn(id()))?;
        Ok(scopes.iter().map(ToString::to_string).collect())
    }
}

/// Whether a service could start with these clients.
///
/// # Errors
/// The first client that cannot be.
pub fn check(clients: &[StaticClient]) -> Result<(), StaticClientError> {
    for (number, client) in clients.iter().enumerate() {
        client.effective_scopes()?;
        if clients[..number].iter().any(|other| other.client_id == client.client_id) {
            return Err(StaticClientError::Twice(client.client_id.clone()));
        }
    }
    Ok(())
}

/// Why the static clients could not be brought into the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The configuration.
    #[error(transparent)]
    Configuration(#[from] StaticClientError),
    /// The store.
    #[error(transparent)]
    Auth(#[from] AuthError),
}

/// Makes the store say what the configuration says: adds, changes and removes clients under `static/`.
///
/// # Errors
/// When the configuration is not right, before anything is changed; or when the store fails. Doing it again is safe.
pub async fn sync(backend: &Backend, clients: &[StaticClient]) -> Result<(), SyncError> {
    check(clients)?;
    for client in clients {
        put(backend, client).await?;
    }
    remove_others(backend, clients).await?;
    Ok(backend.refresh().await.map_err(AuthError::from)?)
}

async fn put(backend: &Backend, wanted: &StaticClient) -> Result<(), SyncError> {
    let now = backend.clock().now();
    let client = Client {
        client_id: wanted.client_id.clone(),
        access_token: wanted.access_token.clone(),
        description: format!("{}\n\n{NOTE}", wanted.description).trim_start().to_owned(),
        scopes: wanted.effective_scopes()?,
        expires: far_away(now),
        disabled: false,
        delete_on_expiration: false,
        created: now,
        last_modified: now,
        last_date_used: now,
        last_rotated: now,
        version: 1,
    };
    for _ in 0..crate::backend::ATTEMPTS {
        let record = |action| backend.record(Entity::Client, &client.client_id, action, BY);
        let store = backend.store();
        let created = store.create_client(client.clone(), record(Action::Created)).await.map_err(AuthError::from)?;
        let Created::Exists(existing) = created else { return Ok(()) };
        let rotated = existing.access_token != client.access_token;
        let same = !rotated
            && existing.description == client.description
            && existing.scopes == client.scopes
            && !existing.disabled
            && !existing.delete_on_expiration
            && existing.expires > now + days(365);
        if same {
            return Ok(());
        }
        let updated = Client {
            created: existing.created,
            last_rotated: if rotated { now } else { existing.last_rotated },
            version: existing.version,
            ..client.clone()
        };
        if store.update_client(updated, record(Action::Updated)).await.map_err(AuthError::from)? {
            return Ok(());
        }
    }
    Err(AuthError::Contention.into())
}

async fn remove_others(backend: &Backend, clients: &[StaticClient]) -> Result<(), AuthError> {
    /// More than any deployment has.
    const ALL: usize = 100_000;
    for existing in backend.store().clients(STATIC, None, ALL).await? {
        if !clients.iter().any(|client| client.client_id == existing.client_id) {
            let record = backend.record(Entity::Client, &existing.client_id, Action::Deleted, BY);
            backend.store().delete_client(&existing.client_id, record).await?;
        }
    }
    Ok(())
}

/// Static clients do not expire as long as anybody cares.
fn far_away(now: Timestamp) -> Timestamp {
    now + days(365_250)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789012345678901";

    fn client(client_id: &str, scopes: Option<&[&str]>) -> StaticClient {
        StaticClient {
            client_id: client_id.into(),
            access_token: TOKEN.into(),
            scopes: scopes.map(|scopes| scopes.iter().map(ToString::to_string).collect()),
            description: String::new(),
        }
    }

    #[test]
    fn a_configuration_that_cannot_be_is_refused() {
        use StaticClientError as E;
        let refused = |client: StaticClient| check(&[client]).unwrap_err();
        assert_eq!(
            check(&[StaticClient::root(TOKEN), client("static/me", Some(&["a:*"])), client("static/you", None)]),
            Ok(())
        );
        assert_eq!(refused(client("me", None)), E::Prefix("me".into()));
        assert_eq!(refused(client("static/m e", None)), E::Id("static/m e".into()));
        let unknown = refused(client("static/taskcluster/me", None));
        assert!(unknown.to_string().contains("static/taskcluster/root"), "{unknown}");
        let with_scopes = client("static/taskcluster/root", Some(&[]));
        assert_eq!(refused(with_scopes), E::BuiltInScopes("static/taskcluster/root".into()));
        let short = StaticClient { access_token: "short".into(), ..client("static/me", None) };
        assert_eq!(refused(short), E::AccessToken("static/me".into()));
        assert!(matches!(refused(client("static/me", Some(&["a**"]))), E::Scope { .. }));
        assert_eq!(check(&[client("static/me", None), client("static/me", None)]), Err(E::Twice("static/me".into())));
    }
}
