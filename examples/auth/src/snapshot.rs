//! Clients and roles in memory, so that judging a request asks no database.
//!
//! The snapshot follows the store: it knows a position in the trail of changes, and [`refresh`](Snapshot::refresh) reads
//! again what was changed after it. The service refreshes after each change of its own, so within a process a change
//! holds from the moment it is answered. A loop does the same for changes by other processes, and for those whose
//! request was given up between the commit and the refresh.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use taskcluster_core::scopes::ScopeSet;
use taskcluster_core::time::Timestamp;
use tokio::sync::Mutex;

use crate::client::{Client, USE_NOTED_EVERY};
use crate::expand::Resolver;
use crate::history::Entity;
use crate::store::{Store, StoreError};
use crate::verifier::Directory;

/// How many changes are read at once.
const CHANGES: usize = 1000;

/// A client, and whether its use is worth noting.
#[derive(Debug)]
struct Known {
    client: Arc<Client>,
    /// When its use was last noted, or is about to be.
    noted: AtomicI64,
}

impl Known {
    fn new(client: Client) -> Arc<Self> {
        let noted = AtomicI64::new(client.last_date_used.as_millis());
        Arc::new(Self { client: Arc::new(client), noted })
    }

    /// Whether this use has to be written down; the first to ask has to do it.
    fn is_worth_noting(&self, now: Timestamp) -> bool {
        let noted = self.noted.load(Ordering::Relaxed);
        let due = (Timestamp::from_millis(noted) + USE_NOTED_EVERY) <= now;
        let first =
            || self.noted.compare_exchange(noted, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed).is_ok();
        due && first()
    }
}

/// The clients and roles of a store, as they were at one position of its trail or later.
#[derive(Debug)]
pub struct Snapshot {
    clients: RwLock<HashMap<String, Arc<Known>>>,
    resolver: RwLock<Arc<Resolver>>,
    /// Uses that are to be written down.
    uses: std::sync::Mutex<HashMap<String, Timestamp>>,
    /// Held while refreshing, so that what is older never replaces what is newer.
    position: Mutex<i64>,
    /// How many refreshes have begun.
    begun: AtomicU64,
    /// The last one that was carried through.
    completed: AtomicU64,
}

impl Snapshot {
    /// Reads everything once.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn load(store: &Store) -> Result<Self, StoreError> {
        let everything = store.everything().await?;
        let clients = everything.clients.into_iter().map(|client| (client.client_id.clone(), Known::new(client)));
        Ok(Self {
            clients: RwLock::new(clients.collect()),
            resolver: RwLock::new(Arc::new(Resolver::new(everything.roles.rules()))),
            uses: std::sync::Mutex::default(),
            position: Mutex::new(everything.position),
            begun: AtomicU64::new(0),
            completed: AtomicU64::new(0),
        })
    }

    /// Reads again what has changed. When this returns, every change that was visible when it was called is in here.
    /// Those who come while another one reads share the next reading.
    ///
    /// # Errors
    /// When the store fails; the snapshot then stays as it is, and the next call starts where this one did.
    ///
    /// # Cancel safety
    /// Cancelling leaves a snapshot that is right and may be old.
    pub async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let begun_before = self.begun.load(Ordering::Acquire);
        let mut position = self.position.lock().await;
        if self.completed.load(Ordering::Acquire) > begun_before {
            return Ok(());
        }
        let this = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        while let Some(last) = self.read_changes(store, *position).await? {
            *position = last;
        }
        self.completed.store(this, Ordering::Release);
        Ok(())
    }

    /// Reads everything again.
    ///
    /// # Errors
    /// When the store fails; the snapshot then stays as it is.
    ///
    /// # Cancel safety
    /// Cancelling leaves a snapshot that is right and may be old.
    pub async fn reload(&self, store: &Store) -> Result<(), StoreError> {
        let mut position = self.position.lock().await;
        let everything = store.everything().await?;
        let clients = everything.clients.into_iter().map(|client| (client.client_id.clone(), Known::new(client)));
        let (clients, resolver) = (clients.collect(), Arc::new(Resolver::new(everything.roles.rules())));
        *self.clients.write().unwrap_or_else(PoisonError::into_inner) = clients;
        *self.resolver.write().unwrap_or_else(PoisonError::into_inner) = resolver;
        *position = everything.position;
        Ok(())
    }

    /// Reads a portion of what has changed after a position. Answers the last position of it, if there was any.
    async fn read_changes(&self, store: &Store, after: i64) -> Result<Option<i64>, StoreError> {
        let changes = store.changes_since(after, CHANGES).await?;
        let of = |entity: Entity| changes.iter().filter(move |change| change.entity_type == entity.as_str());
        let clients: BTreeSet<&str> = of(Entity::Client).map(|change| change.entity_id.as_str()).collect();
        for client_id in clients {
            self.put_client(client_id, store.client(client_id).await?);
        }
        if of(Entity::Role).next().is_some() {
            let resolver = Arc::new(Resolver::new(store.roles().await?.rules()));
            *self.resolver.write().unwrap_or_else(PoisonError::into_inner) = resolver;
        }
        Ok(changes.last().map(|change| change.position))
    }

    /// How roles expand at the moment.
    pub fn resolver(&self) -> Arc<Resolver> {
        Arc::clone(&self.resolver.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the uses that are still to be written down.
    pub fn take_uses(&self) -> Vec<(String, Timestamp)> {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *uses).into_iter().collect()
    }

    /// Puts back uses that could not be written down.
    pub fn return_uses(&self, returned: Vec<(String, Timestamp)>) {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        for (client_id, at) in returned {
            uses.entry(client_id).or_insert(at);
        }
    }

    fn put_client(&self, client_id: &str, client: Option<Client>) {
        let mut clients = self.clients.write().unwrap_or_else(PoisonError::into_inner);
        match client {
            Some(client) => clients.insert(client_id.to_owned(), Known::new(client)),
            None => clients.remove(client_id),
        };
    }

    fn known(&self, client_id: &str) -> Option<Arc<Known>> {
        self.clients.read().unwrap_or_else(PoisonError::into_inner).get(client_id).cloned()
    }
}

impl Directory for Snapshot {
    fn client(&self, client_id: &str) -> Option<Arc<Client>> {
        self.known(client_id).map(|known| Arc::clone(&known.client))
    }

    fn expand(&self, scopes: &[String]) -> Arc<ScopeSet> {
        self.resolver().expand(scopes)
    }

    fn used(&self, client_id: &str, now: Timestamp) {
        if self.known(client_id).is_some_and(|known| known.is_worth_noting(now)) {
            let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
            uses.insert(client_id.to_owned(), now);
        }
    }
}
