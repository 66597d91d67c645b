//! Where entries are kept, and tasks that are still to be looked at.
//!
//! Each change is one transaction, and when a method returns, it is durable. Time is an argument: an entry that has
//! expired is not there, also before it is removed.

use service_kit::store::{AnyStore, Database, Schema, Sql, StoreError};
use taskcluster_core::time::Timestamp;
use tokio::sync::watch;

use crate::entry::{Entry, Namespace};
use crate::finished::Finished;
use crate::path::IndexPath;

#[cfg(test)]
mod contract;
mod rows;

/// What the state consists of.
pub const SCHEMA: Schema = Schema::new(
    "index",
    &[("0001_index.sql", include_str!("../migrations/sqlite/0001_index.sql"))],
    &[("0001_index.sql", include_str!("../migrations/postgres/0001_index.sql"))],
)
.with_changes_in_turn();

/// A task that is still to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its place and the task are all there is")]
pub struct Waiting {
    /// Its place among those that wait.
    pub id: i64,
    /// The task.
    pub finished: Finished,
}

/// What was removed since it had expired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "there is nothing else that expires")]
pub struct Expired {
    /// Entries.
    pub entries: u64,
    /// Namespaces.
    pub namespaces: u64,
}

/// The store of this service. Every method fails when the database does.
#[derive(Clone, Debug)]
pub struct Store {
    kit: AnyStore,
}

impl Store {
    /// Opens the database and brings it up to date.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(Self { kit: AnyStore::open(database, &SCHEMA).await? })
    }

    /// What stands under a name.
    pub async fn find(&self, path: &IndexPath, now: Timestamp) -> Result<Option<Entry>, StoreError> {
        let args = [(&path.namespace).into(), (&path.name).into(), now.into()];
        self.kit.row(rows::SELECT_ENTRY, &args).await?.as_ref().map(rows::entry).transpose()
    }

    /// What stands under each of these names, where something does, in the order of the names.
    pub async fn find_all(&self, paths: &[IndexPath], now: Timestamp) -> Result<Vec<Entry>, StoreError> {
        let mut sql = self.kit.reader().await?;
        let statement = sql.either(rows::SELECT_ENTRIES_IN_SQLITE, rows::SELECT_ENTRIES_IN_POSTGRES);
        let found = sql.rows(statement, &[rows::names(paths).into(), now.into()]).await?;
        found.iter().map(rows::entry).collect()
    }

    /// Entries right below a namespace whose last word comes after `after`, in byte order, at most `limit`.
    pub async fn entries(
        &self,
        namespace: &str,
        after: &str,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Entry>, StoreError> {
        let args = [namespace.into(), after.into(), now.into(), limit.into()];
        self.kit.rows(rows::SELECT_ENTRIES, &args).await?.iter().map(rows::entry).collect()
    }

    /// Namespaces right below another, as [`entries`](Self::entries).
    pub async fn namespaces(
        &self,
        parent: &str,
        after: &str,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Namespace>, StoreError> {
        let args = [parent.into(), after.into(), now.into(), limit.into()];
        self.kit.rows(rows::SELECT_NAMESPACES, &args).await?.iter().map(rows::namespace).collect()
    }

    /// Puts an entry under its name, unless one of a higher rank stands there, and gives what stands there afterwards. The
    /// namespaces above live at least as long. It comes after all others: clocks of several processes do not agree. Atomic.
    pub async fn insert(&self, entry: Entry, now: Timestamp) -> Result<Entry, StoreError> {
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    put(sql, &entry, now, true).await?;
                    let args = [(&entry.path.namespace).into(), (&entry.path.name).into()];
                    rows::entry(&sql.one(rows::SELECT_ANY_ENTRY, &args).await?)
                })
            })
            .await
    }

    /// Takes away what stands under a name.
    pub async fn delete(&self, path: &IndexPath) -> Result<(), StoreError> {
        self.kit.run(rows::DELETE_ENTRY, &[(&path.namespace).into(), (&path.name).into()]).await?;
        Ok(())
    }

    /// Notes a task that is to be looked at.
    pub async fn remember(&self, finished: Finished) -> Result<(), StoreError> {
        self.kit.run(rows::REMEMBER, &[finished.task_id.to_string().into(), finished.since.into()]).await?;
        Ok(())
    }

    /// Tasks that are to be looked at, after a place, at most `limit`.
    pub async fn waiting(&self, after: i64, limit: usize) -> Result<Vec<Waiting>, StoreError> {
        let found = self.kit.rows(rows::SELECT_WAITING, &[after.into(), limit.into()]).await?;
        found.iter().map(rows::waiting).collect()
    }

    /// Puts what a task wants under its names, unless something stands there that [is preferred](Entry), and forgets that it is
    /// to be looked at. Atomic.
    pub async fn settle(&self, id: i64, entries: Vec<Entry>, now: Timestamp) -> Result<(), StoreError> {
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    for entry in &entries {
                        put(sql, entry, now, false).await?;
                    }
                    sql.run(rows::FORGET, &[id.into()]).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Removes what has expired, at most `limit` of each kind. Atomic.
    pub async fn expire(&self, now: Timestamp, limit: usize) -> Result<Expired, StoreError> {
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    let args = [now.into(), limit.into()];
                    let entries = sql.run(rows::EXPIRE_ENTRIES, &args).await?;
                    let namespaces = sql.run(rows::EXPIRE_NAMESPACES, &args).await?;
                    Ok(Expired { entries, namespaces })
                })
            })
            .await
    }

    /// Changes whenever this process has changed something.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.kit.commits()
    }

    /// Finishes what was begun and closes the database. Nothing works afterwards.
    pub async fn close(&self) {
        self.kit.close().await;
    }
}

/// Puts an entry where it belongs, unless a better one stands there.
async fn put(sql: &mut dyn Sql, entry: &Entry, now: Timestamp, comes_now: bool) -> Result<(), StoreError> {
    let args = [
        (&entry.path.namespace).into(),
        (&entry.path.name).into(),
        entry.task_id.to_string().into(),
        entry.rank.into(),
        (&entry.data).into(),
        entry.expires.into(),
        entry.since.into(),
        now.into(),
        comes_now.into(),
    ];
    if sql.run(rows::PUT_ENTRY, &args).await? == 0 {
        return Ok(());
    }
    let expires = Namespace::expires_with(entry.expires);
    for (parent, name) in entry.path.namespaces() {
        sql.run(rows::PUT_NAMESPACE, &[parent.into(), name.into(), expires.into()]).await?;
    }
    Ok(())
}
