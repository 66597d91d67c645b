//! Instances.

use service_kit::store::{Sql, StoreError};
use taskcluster_core::time::Timestamp;

use super::rows::instance_columns;
use super::{Lead, Store, lead, rows, secrets};
use crate::decide::Failures;
use crate::instance::{Instance, State};
use crate::life::Change;
use crate::provider::Offer;

/// An instance that is wished for, with what is needed to ask for it, once or again.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "passes make it")]
pub struct Wish {
    /// What it shall be, in the state [`State::Requested`].
    pub instance: Instance,
    /// The offer that was chosen.
    pub offer: Offer,
}

/// What a worker is told that asks whether it is to end itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the two answers")]
pub enum Hint {
    /// It goes on, for this reason.
    GoOn(String),
    /// It takes no more tasks, and ends.
    End(String),
}

const SELECT_LIVE: &str =
    concat!("SELECT ", instance_columns!(), " FROM instances WHERE state <> 'ended' ORDER BY worker_type, instance_id");
const SELECT_PAGE: &str = concat!(
    "SELECT ",
    instance_columns!(),
    " FROM instances WHERE worker_type = $1 AND instance_id > $2 AND state <> 'ended' ORDER BY instance_id LIMIT $3"
);
const SELECT_ONE: &str = concat!("SELECT ", instance_columns!(), " FROM instances WHERE instance_id = $1");
const SELECT_UNLAUNCHED: &str = concat!(
    "SELECT ",
    instance_columns!(),
    ", offer FROM instances WHERE state = 'requested' AND provider_id IS NULL ORDER BY created, instance_id"
);
const INSERT: &str =
    "INSERT INTO instances (instance_id, worker_type, version, provider, worker_group, place, capacity, price, offer,
         provider_id, state, created, since, started, reason, failed)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, 'requested', $10, $10, NULL, NULL, FALSE)";
const IS_THERE: &str = "SELECT 1 AS there FROM worker_types WHERE name = $1";
const CHANGE: &str =
    "UPDATE instances SET state = $3, since = $4, reason = COALESCE($5, reason), failed = failed OR $6,
         started = CASE WHEN $3 = 'running' THEN COALESCE(started, $4) ELSE started END
     WHERE instance_id = $1 AND state = $2";
const LAUNCHED: &str = "UPDATE instances SET provider_id = $2 WHERE instance_id = $1 AND provider_id IS NULL";
const STARTED: &str = "UPDATE instances SET state = 'running', since = $2, started = $2
     WHERE instance_id = $1 AND state IN ('requested', 'pending')";
const STOP_ALL: &str = "UPDATE instances SET state = 'stopping', since = $2, reason = $3
     WHERE worker_type = $1 AND state NOT IN ('stopping', 'ended')";
const FORGET_SECRETS: &str = "DELETE FROM secrets WHERE instance_id IN
     (SELECT instance_id FROM instances WHERE worker_type = $1 AND state IN ('stopping', 'ended'))";
const FAILURES: &str = "SELECT since, reason FROM instances
     WHERE worker_type = $1 AND failed AND state IN ('stopping', 'ended')
       AND since > COALESCE((SELECT MAX(started) FROM instances WHERE worker_type = $1 AND NOT failed), 0)
     ORDER BY since DESC LIMIT 100";
const COUNTED: &str = "SELECT CAST(COALESCE(SUM(capacity), 0) AS BIGINT) AS capacity FROM instances
     WHERE worker_type = $1 AND state IN ('requested', 'pending', 'running')";
const DESIRED: &str = "SELECT desired FROM passes WHERE worker_type = $1";
const DRAIN: &str = "UPDATE instances SET state = 'draining', since = $2, reason = $3 WHERE instance_id = $1";

impl Store {
    /// All instances that have not ended, by worker type.
    pub async fn live(&self) -> Result<Vec<Instance>, StoreError> {
        self.kit.rows(SELECT_LIVE, &[]).await?.iter().map(rows::instance).collect()
    }

    /// Instances of a worker type that have not ended, behind `after`, by name, at most `limit`.
    pub async fn instances(&self, of: &str, after: &str, limit: usize) -> Result<Vec<Instance>, StoreError> {
        self.kit.rows(SELECT_PAGE, &[of.into(), after.into(), limit.into()]).await?.iter().map(rows::instance).collect()
    }

    /// An instance, also one that has ended.
    pub async fn instance(&self, id: &str) -> Result<Option<Instance>, StoreError> {
        self.kit.row(SELECT_ONE, &[id.into()]).await?.as_ref().map(rows::instance).transpose()
    }

    /// Wishes that no provider has answered, the oldest first.
    pub async fn unlaunched(&self) -> Result<Vec<Wish>, StoreError> {
        let found = self.kit.rows(SELECT_UNLAUNCHED, &[]).await?;
        found.iter().map(|row| Ok(Wish { instance: rows::instance(row)?, offer: row.json("offer")? })).collect()
    }

    /// Instances of a worker type that came to nothing since one has.
    pub async fn failures(&self, of: &str) -> Result<Failures, StoreError> {
        let found = self.kit.rows(FAILURES, &[of.into()]).await?;
        let reason = found.first().map(|row| row.text_or_null("reason")).transpose()?.flatten().unwrap_or_default();
        Ok(Failures { times: found.iter().map(|row| row.time("since")).collect::<Result<_, _>>()?, reason })
    }

    /// Notes wishes, with the digests of their tokens and when these expire; none for a worker type that is not there any more. Nothing
    /// is noted, and `false` said, for who does not lead.
    pub async fn wish(
        &self,
        lead: &Lead,
        wishes: Vec<(Wish, String)>,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let lead = lead.clone();
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    if !lead::holds(sql, &lead, now).await? {
                        return Ok(false);
                    }
                    for (wish, digest) in &wishes {
                        if sql.row(IS_THERE, &[(&wish.instance.worker_type).into()]).await?.is_none() {
                            continue;
                        }
                        insert(sql, wish).await?;
                        secrets::insert_for(sql, &wish.instance, digest, expires).await?;
                    }
                    Ok(true)
                })
            })
            .await
    }

    /// Notes that a provider has answered a launch.
    pub async fn launched(&self, id: &str, provider_id: &str) -> Result<(), StoreError> {
        self.kit.run(LAUNCHED, &[id.into(), provider_id.into()]).await?;
        Ok(())
    }

    /// Carries out changes, each unless the instance is elsewhere by now. What stops or has ended loses its secret. Nothing is
    /// changed, and `false` said, for who does not lead.
    pub async fn change(&self, lead: &Lead, changes: Vec<Change>, now: Timestamp) -> Result<bool, StoreError> {
        if changes.is_empty() {
            return Ok(true);
        }
        let lead = lead.clone();
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    if !lead::holds(sql, &lead, now).await? {
                        return Ok(false);
                    }
                    for change in &changes {
                        apply(sql, change, now).await?;
                    }
                    Ok(true)
                })
            })
            .await
    }

    /// Notes that an instance's worker has begun.
    pub async fn started(&self, id: &str, now: Timestamp) -> Result<(), StoreError> {
        self.kit.run(STARTED, &[id.into(), now.into()]).await?;
        Ok(())
    }

    /// Notes that all instances of a worker type shall end, whatever they do, and says how many.
    pub async fn stop_all(&self, of: &str, reason: &'static str, now: Timestamp) -> Result<u64, StoreError> {
        let of = of.to_owned();
        self.kit.write(move |sql| Box::pin(async move { stop_all(sql, &of, reason, now).await })).await
    }

    /// What a worker is told that asks whether it is to end itself. Who is told to is counted no more, so that of several that ask at the
    /// same time no more go than are too many. Nothing if there is no such instance of that type.
    pub async fn hint(
        &self,
        worker_type: &str,
        id: &str,
        idle: bool,
        now: Timestamp,
    ) -> Result<Option<Hint>, StoreError> {
        let (worker_type, id) = (worker_type.to_owned(), id.to_owned());
        self.kit.write(move |sql| Box::pin(async move { hint(sql, &worker_type, &id, idle, now).await })).await
    }
}

async fn insert(sql: &mut dyn Sql, wish: &Wish) -> Result<(), StoreError> {
    let json = |value: serde_json::Result<String>| value.expect("places and offers can be written as JSON");
    let instance = &wish.instance;
    let args = [
        (&instance.id).into(),
        (&instance.worker_type).into(),
        instance.version.into(),
        (&instance.provider).into(),
        (&instance.worker_group).into(),
        json(serde_json::to_string(&instance.place)).into(),
        instance.capacity.into(),
        instance.price.into(),
        json(serde_json::to_string(&wish.offer)).into(),
        instance.created.into(),
    ];
    sql.run(INSERT, &args).await?;
    Ok(())
}

async fn apply(sql: &mut dyn Sql, change: &Change, now: Timestamp) -> Result<(), StoreError> {
    let args = [
        (&change.instance_id).into(),
        change.from.as_str().into(),
        change.to.as_str().into(),
        now.into(),
        change.reason.as_deref().into(),
        change.failed.into(),
    ];
    let changed = sql.run(CHANGE, &args).await?;
    if changed > 0 && change.to >= State::Stopping {
        secrets::forget_of(sql, &change.instance_id).await?;
    }
    Ok(())
}

pub(super) async fn stop_all(
    sql: &mut dyn Sql,
    of: &str,
    reason: &'static str,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let stopped = sql.run(STOP_ALL, &[of.into(), now.into(), reason.into()]).await?;
    sql.run(FORGET_SECRETS, &[of.into()]).await?;
    Ok(stopped)
}

async fn hint(
    sql: &mut dyn Sql,
    worker_type: &str,
    id: &str,
    idle: bool,
    now: Timestamp,
) -> Result<Option<Hint>, StoreError> {
    let Some(row) = sql.row(SELECT_ONE, &[id.into()]).await? else { return Ok(None) };
    let instance = rows::instance(&row)?;
    if instance.worker_type != worker_type {
        return Ok(None);
    }
    if !instance.state.counts() {
        let reason = instance.reason.unwrap_or_else(|| format!("it is {}", instance.state));
        return Ok(Some(Hint::End(reason)));
    }
    if !idle {
        return Ok(Some(Hint::GoOn("it is needed".to_owned())));
    }
    let Some(pass) = sql.row(DESIRED, &[worker_type.into()]).await? else {
        return Ok(Some(Hint::GoOn("nobody has looked yet".to_owned())));
    };
    let desired = pass.number("desired")?;
    let counted = sql.one(COUNTED, &[worker_type.into()]).await?.number("capacity")?;
    if counted.saturating_sub(instance.capacity) < desired {
        return Ok(Some(Hint::GoOn(format!("capacity of {desired} is needed, and there is {counted}"))));
    }
    let reason = format!("it was idle, capacity of {desired} is needed, and there was {counted}");
    sql.run(DRAIN, &[id.into(), now.into(), (&reason).into()]).await?;
    Ok(Some(Hint::End(reason)))
}
