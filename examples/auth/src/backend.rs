//! What the service does, apart from who may ask for it: changes of clients and roles, and the snapshot that follows
//! them.

use std::sync::Arc;

use taskcluster_core::clock::SharedClock;
use taskcluster_core::scopes::ScopeSet;
use taskcluster_core::time::Timestamp;
use taskcluster_server::Authenticator;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::client::{Client, new_access_token};
use crate::cycles;
use crate::error::AuthError;
use crate::history::{Action, Entity, Record};
use crate::local::Local;
use crate::role::{Role, Roles, check_client_scopes, check_role_scopes};
use crate::size;
use crate::snapshot::Snapshot;
use crate::store::{Created, Store, StoreError};

/// How often a change is tried again when others were faster.
pub(crate) const ATTEMPTS: usize = 5;

/// The state of one auth service: store, snapshot and clock. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Backend {
    store: Store,
    snapshot: Arc<Snapshot>,
    clock: SharedClock,
    /// Those of this process who change roles take turns; otherwise many at once would mostly lose races to each other.
    changing_roles: Arc<Mutex<()>>,
}

/// What a client shall be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// For people.
    pub description: String,
    /// When it shall stop working.
    pub expires: Timestamp,
    /// Its scopes; on a change nothing means as they are.
    pub scopes: Option<Vec<String>>,
    /// Whether it shall be removed once expired.
    pub delete_on_expiration: bool,
}

/// A change that touches one property of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It may be used.
    Enable,
    /// It may not be used.
    Disable,
    /// It gets another access token.
    ResetToken,
}

impl Backend {
    /// Reads what the store holds and follows it from then on.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open(store: Store, clock: SharedClock) -> Result<Self, StoreError> {
        let snapshot = Arc::new(Snapshot::load(&store).await?);
        Ok(Self { store, snapshot, clock, changing_roles: Arc::default() })
    }

    /// Judges requests by this service's own knowledge, for services of the same process.
    pub fn local(&self) -> Arc<dyn Authenticator> {
        Arc::new(Local::new(self.clone()))
    }

    /// The store underneath.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The clients and roles in memory.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The time.
    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// Reads again what others have changed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        self.snapshot.refresh(&self.store).await
    }

    /// Forgets everything and reads it again: for when it is not known what was missed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn reload(&self) -> Result<(), StoreError> {
        self.snapshot.reload(&self.store).await
    }

    /// What these scopes are worth.
    pub fn expand(&self, scopes: &[String]) -> Arc<ScopeSet> {
        self.snapshot.resolver().expand(scopes)
    }

    /// The client of this id.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub async fn client(&self, client_id: &str) -> Result<Client, AuthError> {
        let found = self.store.client(client_id).await?;
        found.ok_or_else(|| AuthError::NoSuchClient(client_id.to_owned()))
    }

    /// Adds a client. Asking for the same again soon afterwards gives what the first request got, token included.
    ///
    /// # Errors
    /// When it may not be, or when there is another one of its id.
    pub async fn create_client(&self, client_id: &str, wanted: Wanted, by: &str) -> Result<Client, AuthError> {
        refuse_static(client_id)?;
        let scopes = wanted.scopes.unwrap_or_default();
        check_client_scopes(&scopes)?;
        check_description(&wanted.description)?;
        let now = self.clock.now();
        let client = Client {
            client_id: client_id.to_owned(),
            access_token: new_access_token(),
            description: wanted.description,
            scopes,
            expires: wanted.expires,
            disabled: false,
            delete_on_expiration: wanted.delete_on_expiration,
            created: now,
            last_modified: now,
            last_date_used: now,
            last_rotated: now,
            version: 1,
        };
        let record = self.record(Entity::Client, client_id, Action::Created, by);
        match self.store.create_client(client.clone(), record).await? {
            Created::New => {
                self.refresh().await?;
                Ok(client)
            }
            Created::Exists(existing) if existing.is_retry_of(&client, now) => {
                // The first request may have written it a moment ago and be about to refresh.
                self.refresh().await?;
                Ok(*existing)
            }
            Created::Exists(_) => Err(AuthError::ClientExists(client_id.to_owned())),
        }
    }

    /// Changes a client from what `before` says. Answers nothing if it has changed meanwhile: look again, and decide
    /// again.
    ///
    /// # Errors
    /// When it may not be so, or the store fails.
    pub async fn update_client(&self, before: &Client, wanted: Wanted, by: &str) -> Result<Option<Client>, AuthError> {
        refuse_static(&before.client_id)?;
        let scopes = wanted.scopes.unwrap_or_else(|| before.scopes.clone());
        check_client_scopes(&scopes)?;
        check_description(&wanted.description)?;
        let after = Client {
            description: wanted.description,
            expires: wanted.expires,
            scopes,
            delete_on_expiration: wanted.delete_on_expiration,
            last_modified: self.clock.now(),
            ..before.clone()
        };
        self.write_client(after, Action::Updated, by).await
    }

    /// Turns a client on or off, or gives it another token.
    ///
    /// # Errors
    /// When there is no such client, it comes from the configuration, or the store fails.
    pub async fn switch_client(&self, client_id: &str, switch: Switch, by: &str) -> Result<Client, AuthError> {
        refuse_static(client_id)?;
        for _ in 0..ATTEMPTS {
            let before = self.client(client_id).await?;
            let now = self.clock.now();
            let before = Client { last_modified: now, ..before };
            let (after, action) = match switch {
                Switch::Enable => (Client { disabled: false, ..before }, Action::Enabled),
                Switch::Disable => (Client { disabled: true, ..before }, Action::Disabled),
                Switch::ResetToken => {
                    (Client { access_token: new_access_token(), last_rotated: now, ..before }, Action::TokenReset)
                }
            };
            if let Some(written) = self.write_client(after, action, by).await? {
                return Ok(written);
            }
        }
        Err(AuthError::Contention)
    }

    async fn write_client(&self, after: Client, action: Action, by: &str) -> Result<Option<Client>, AuthError> {
        let record = self.record(Entity::Client, &after.client_id, action, by);
        if !self.store.update_client(after.clone(), record).await? {
            return Ok(None);
        }
        self.refresh().await?;
        Ok(Some(Client { version: after.version + 1, ..after }))
    }

    /// Removes a client; that it is not there is fine.
    ///
    /// # Errors
    /// When it comes from the configuration, or the store fails.
    pub async fn delete_client(&self, client_id: &str, by: &str) -> Result<(), AuthError> {
        refuse_static(client_id)?;
        let record = self.record(Entity::Client, client_id, Action::Deleted, by);
        if self.store.delete_client(client_id, record).await? {
            self.refresh().await?;
        }
        Ok(())
    }

    /// Waits for one's turn to change roles. Whoever has it still competes with other processes.
    pub async fn turn_to_change_roles(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.changing_roles).lock_owned().await
    }

    /// All roles.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn roles(&self) -> Result<Roles, AuthError> {
        Ok(self.store.roles().await?)
    }

    /// Adds a role. Asking for the same again gives what is there.
    ///
    /// # Errors
    /// When its scopes may not be, when it would close a cycle or make a role worth too much, or when there is
    /// another one of its id.
    pub async fn create_role(
        &self,
        role_id: &str,
        description: &str,
        scopes: &[String],
        by: &str,
    ) -> Result<Role, AuthError> {
        let scopes = role_scopes(scopes)?;
        check_description(description)?;
        let _turn = self.turn_to_change_roles().await;
        for _ in 0..ATTEMPTS {
            let roles = self.roles().await?;
            if let Some(existing) = roles.get(role_id) {
                if existing.description != description || existing.scopes != scopes {
                    return Err(AuthError::RoleExists(role_id.to_owned()));
                }
                self.refresh().await?;
                return Ok(existing.clone());
            }
            let now = self.clock.now();
            let role = Role {
                role_id: role_id.to_owned(),
                scopes: scopes.clone(),
                description: description.to_owned(),
                created: now,
                last_modified: now,
            };
            if let Some(written) = self.write_role(&roles, role, Action::Created, by).await? {
                return Ok(written);
            }
        }
        Err(AuthError::Contention)
    }

    /// Changes a role from what it is in `roles`; best in one's [turn](Self::turn_to_change_roles). Answers nothing if
    /// any role has changed meanwhile: look again, and decide again.
    ///
    /// # Errors
    /// When there is no such role, its scopes may not be, or it would close a cycle or make a role worth too much.
    pub async fn update_role(
        &self,
        roles: &Roles,
        role_id: &str,
        description: &str,
        scopes: &[String],
        by: &str,
    ) -> Result<Option<Role>, AuthError> {
        let before = roles.get(role_id).ok_or_else(|| AuthError::NoSuchRole(role_id.to_owned()))?;
        check_description(description)?;
        let role = Role {
            scopes: role_scopes(scopes)?,
            description: description.to_owned(),
            last_modified: self.clock.now(),
            ..before.clone()
        };
        self.write_role(roles, role, Action::Updated, by).await
    }

    async fn write_role(&self, roles: &Roles, role: Role, action: Action, by: &str) -> Result<Option<Role>, AuthError> {
        let rules = roles.rules_with(&role);
        cycles::check_through(&rules, &role.role_id)?;
        size::check_through(rules, &role.role_id)?;
        let record = self.record(Entity::Role, &role.role_id, action, by);
        if !self.store.put_role(roles.version, role.clone(), record).await? {
            return Ok(None);
        }
        self.refresh().await?;
        Ok(Some(role))
    }

    /// Removes a role; that it is not there is fine.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_role(&self, role_id: &str, by: &str) -> Result<(), AuthError> {
        let _turn = self.turn_to_change_roles().await;
        let record = self.record(Entity::Role, role_id, Action::Deleted, by);
        if self.store.delete_role(role_id, record).await? {
            self.refresh().await?;
        }
        Ok(())
    }

    pub(crate) fn record(&self, entity: Entity, entity_id: &str, action: Action, by: &str) -> Record {
        Record { entity, entity_id: entity_id.to_owned(), action, client_id: by.to_owned(), created: self.clock.now() }
    }
}

/// Scopes of a role as they are stored.
fn role_scopes(scopes: &[String]) -> Result<Vec<String>, AuthError> {
    check_role_scopes(scopes)?;
    let mut scopes = scopes.to_vec();
    scopes.sort_unstable();
    Ok(scopes)
}

/// PostgreSQL keeps no NUL characters; that must not depend on the database.
fn check_description(description: &str) -> Result<(), AuthError> {
    if description.contains('\0') { Err(AuthError::Description) } else { Ok(()) }
}

pub(crate) fn refuse_static(client_id: &str) -> Result<(), AuthError> {
    if client_id.starts_with(crate::client::STATIC) {
        return Err(AuthError::Static(client_id.to_owned()));
    }
    Ok(())
}
