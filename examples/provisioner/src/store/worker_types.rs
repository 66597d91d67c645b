//! Worker types and their versions.

use std::sync::Arc;

use service_kit::outbox;
use service_kit::seal::Sealer;
use service_kit::store::{Sql, StoreError};
use taskcluster_core::time::Timestamp;

use super::{Store, rows, sealed};
use crate::messages::{self, Message};
use crate::worker_type::{Definition, Version, WorkerType};

/// What came of a wish to create.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "the three things that can have happened")]
pub enum Created {
    /// It was.
    New(WorkerType),
    /// It is there already, and the same.
    Same(WorkerType),
    /// It is there already, and something else.
    Other,
}

/// Why a version is neither rolled out nor taken back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RollError {
    /// There is no such worker type.
    #[error("there is no such worker type")]
    NoWorkerType,
    /// Nothing is being rolled out.
    #[error("no version is being rolled out")]
    NoCandidate,
    /// There is no earlier version.
    #[error("there is no version to go back to")]
    NoPrevious,
    /// The store does not work.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const SELECT: &str =
    "SELECT name, settled, candidate, share, previous, latest, last_modified FROM worker_types WHERE name = $1";
const SELECT_PAGE: &str = "SELECT name, settled, candidate, share, previous, latest, last_modified FROM worker_types
     WHERE name > $1 ORDER BY name LIMIT $2";
const INSERT: &str = "INSERT INTO worker_types (name, settled, candidate, share, previous, latest, last_modified)
     VALUES ($1, $2, NULL, 0, NULL, $2, $3)";
const INSERT_VERSION: &str = "INSERT INTO versions (worker_type, number, definition) VALUES ($1, $2, $3)";
const SET_VERSION: &str = "UPDATE versions SET definition = $3 WHERE worker_type = $1 AND number = $2";
/// Numbers are not given again, neither when a version is forgotten nor when its worker type is and there is still something of it.
const LAST_VERSION: &str = "SELECT COALESCE(MAX(number), 0) AS number FROM
     (SELECT number FROM versions WHERE worker_type = $1 UNION SELECT latest FROM worker_types WHERE name = $1) AS numbers";
const SET_LATEST: &str = "UPDATE worker_types SET latest = $2 WHERE name = $1";
/// A candidate that is given up in favour of another is nothing to go back to.
const SETTLE: &str =
    "UPDATE worker_types SET previous = settled, settled = $2, candidate = NULL, share = 0, last_modified = $3
     WHERE name = $1";
const PROPOSE: &str = "UPDATE worker_types SET candidate = $2, share = $3, last_modified = $4 WHERE name = $1";
const SHARE: &str = "UPDATE worker_types SET share = $2, last_modified = $3 WHERE name = $1";
const DROP_CANDIDATE: &str = "UPDATE worker_types SET candidate = NULL, share = 0, last_modified = $2 WHERE name = $1";
const GO_BACK: &str = "UPDATE worker_types SET settled = previous, previous = NULL, last_modified = $2 WHERE name = $1";
const DELETE: &str = "DELETE FROM worker_types WHERE name = $1";
const DELETE_PASS: &str = "DELETE FROM passes WHERE worker_type = $1";

impl Store {
    /// A worker type.
    pub async fn worker_type(&self, name: &str) -> Result<Option<WorkerType>, StoreError> {
        find(&mut *self.kit.reader().await?, &self.sealer, name).await
    }

    /// Worker types behind `after`, by name, at most `limit`.
    pub async fn worker_types(&self, after: &str, limit: usize) -> Result<Vec<WorkerType>, StoreError> {
        let mut sql = self.kit.reader().await?;
        let found = sql.rows(SELECT_PAGE, &[after.into(), limit.into()]).await?;
        let mut worker_types = Vec::new();
        for row in &found {
            worker_types.push(rows::worker_type(&mut *sql, &self.sealer, row).await?);
        }
        Ok(worker_types)
    }

    /// A version of a worker type, in force or not, while there is something of it.
    pub async fn version(&self, worker_type: &str, number: u32) -> Result<Option<Version>, StoreError> {
        rows::find_version(&mut *self.kit.reader().await?, &self.sealer, worker_type, number).await
    }

    /// Defines a worker type, unless it is there. Published unless it is something else.
    pub async fn create(&self, name: &str, definition: &Definition, now: Timestamp) -> Result<Created, StoreError> {
        let (name, definition, sealer) = (name.to_owned(), definition.clone(), Arc::clone(&self.sealer));
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    let created = match find(sql, &sealer, &name).await? {
                        Some(there) if there.newest().definition != definition => return Ok(Created::Other),
                        Some(there) => Created::Same(there),
                        None => {
                            let number = insert_version(sql, &sealer, &name, &definition).await?;
                            sql.run(INSERT, &[(&name).into(), number.into(), now.into()]).await?;
                            Created::New(get(sql, &sealer, &name).await?)
                        }
                    };
                    tell(sql, messages::created(&name)).await?;
                    Ok(created)
                })
            })
            .await
    }

    /// Makes a new version of a worker type, for all of its capacity or for a share. The same definition again is no new version,
    /// and where only bounds differ, the version gets those. Nothing
    /// if there is no such worker type.
    pub async fn update(
        &self,
        name: &str,
        definition: &Definition,
        share: Option<f64>,
        now: Timestamp,
    ) -> Result<Option<WorkerType>, StoreError> {
        let (name, definition, sealer) = (name.to_owned(), definition.clone(), Arc::clone(&self.sealer));
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    let Some(there) = find(sql, &sealer, &name).await? else { return Ok(None) };
                    let number = match &there.candidate {
                        Some(candidate) if candidate.version.definition == definition => candidate.version.number,
                        None if there.settled.definition == definition => there.settled.number,
                        // Nobody is replaced for a bound.
                        None if there.settled.definition.has_workers_of(&definition) => {
                            set_version(sql, &sealer, &name, there.settled.number, &definition).await?;
                            there.settled.number
                        }
                        _ => insert_version(sql, &sealer, &name, &definition).await?,
                    };
                    match share {
                        _ if number == there.settled.number => {
                            sql.run(SHARE, &[(&name).into(), 0.0.into(), now.into()]).await?
                        }
                        Some(share) if share < 1.0 => {
                            sql.run(PROPOSE, &[(&name).into(), number.into(), share.into(), now.into()]).await?
                        }
                        _ => sql.run(SETTLE, &[(&name).into(), number.into(), now.into()]).await?,
                    };
                    tell(sql, messages::updated(&name)).await?;
                    Ok(Some(get(sql, &sealer, &name).await?))
                })
            })
            .await
    }

    /// Sets the share of the newest version; 1 settles it. A version that is settled already may be rolled out as a whole again.
    pub async fn roll_out(&self, name: &str, share: f64, now: Timestamp) -> Result<WorkerType, RollError> {
        let (name, sealer) = (name.to_owned(), Arc::clone(&self.sealer));
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    let there = find(sql, &sealer, &name).await?.ok_or(RollError::NoWorkerType)?;
                    match &there.candidate {
                        None if share < 1.0 => return Err(RollError::NoCandidate),
                        None => return Ok(there),
                        Some(_) if share < 1.0 => {
                            sql.run(SHARE, &[(&name).into(), share.into(), now.into()]).await?;
                        }
                        Some(candidate) => {
                            sql.run(SETTLE, &[(&name).into(), candidate.version.number.into(), now.into()]).await?;
                        }
                    }
                    tell(sql, messages::updated(&name)).await?;
                    Ok(get(sql, &sealer, &name).await?)
                })
            })
            .await
    }

    /// Takes a version back: what was settled before it is again. If it is not the newest any more, nothing is changed.
    pub async fn roll_back(&self, name: &str, version: u32, now: Timestamp) -> Result<WorkerType, RollError> {
        let (name, sealer) = (name.to_owned(), Arc::clone(&self.sealer));
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    let row = sql.row(SELECT, &[(&name).into()]).await?.ok_or(RollError::NoWorkerType)?;
                    let there = rows::worker_type(sql, &sealer, &row).await?;
                    if there.newest().number != version {
                        return Ok(there);
                    }
                    match (&there.candidate, row.int_or_null("previous")?) {
                        (Some(_), _) => sql.run(DROP_CANDIDATE, &[(&name).into(), now.into()]).await?,
                        (None, Some(_)) => sql.run(GO_BACK, &[(&name).into(), now.into()]).await?,
                        (None, None) => return Err(RollError::NoPrevious),
                    };
                    tell(sql, messages::updated(&name)).await?;
                    Ok(get(sql, &sealer, &name).await?)
                })
            })
            .await
    }

    /// Removes a worker type. What there is of it is to end, and its secrets are gone. Whether there was one.
    pub async fn remove(&self, name: &str, now: Timestamp) -> Result<bool, StoreError> {
        const SECRETS: &str = "DELETE FROM secrets WHERE worker_type = $1";
        let name = name.to_owned();
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    if sql.run(DELETE, &[(&name).into()]).await? == 0 {
                        return Ok(false);
                    }
                    super::instances::stop_all(sql, &name, "its worker type was removed", now).await?;
                    sql.run(SECRETS, &[(&name).into()]).await?;
                    sql.run(DELETE_PASS, &[(&name).into()]).await?;
                    tell(sql, messages::removed(&name)).await?;
                    Ok(true)
                })
            })
            .await
    }
}

async fn find(sql: &mut dyn Sql, sealer: &Sealer, name: &str) -> Result<Option<WorkerType>, StoreError> {
    match sql.row(SELECT, &[name.into()]).await? {
        Some(row) => Ok(Some(rows::worker_type(sql, sealer, &row).await?)),
        None => Ok(None),
    }
}

async fn get(sql: &mut dyn Sql, sealer: &Sealer, name: &str) -> Result<WorkerType, StoreError> {
    let row = sql.one(SELECT, &[name.into()]).await?;
    rows::worker_type(sql, sealer, &row).await
}

async fn insert_version(
    sql: &mut dyn Sql,
    sealer: &Sealer,
    name: &str,
    definition: &Definition,
) -> Result<u32, StoreError> {
    let number = sql.one(LAST_VERSION, &[name.into()]).await?.number("number")? + 1;
    let text = sealed::seal(sealer, &sealed::version(name, number), definition.sent())?;
    sql.run(INSERT_VERSION, &[name.into(), number.into(), text.into()]).await?;
    sql.run(SET_LATEST, &[name.into(), number.into()]).await?;
    Ok(number)
}

async fn set_version(
    sql: &mut dyn Sql,
    sealer: &Sealer,
    name: &str,
    number: u32,
    definition: &Definition,
) -> Result<(), StoreError> {
    let text = sealed::seal(sealer, &sealed::version(name, number), definition.sent())?;
    sql.run(SET_VERSION, &[name.into(), number.into(), text.into()]).await?;
    Ok(())
}

async fn tell(sql: &mut dyn Sql, message: Message) -> Result<(), StoreError> {
    outbox::insert(sql, &[message]).await
}
