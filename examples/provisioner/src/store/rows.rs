//! Rows as what they stand for.

use service_kit::seal::Sealer;
use service_kit::store::{Row, Sql, StoreError};
use taskcluster::provisioner::CreateWorkerTypeRequest;

use super::sealed;
use crate::instance::Instance;
use crate::worker_type::{Candidate, Definition, Version, WorkerType};

macro_rules! instance_columns {
    () => {
        "instance_id, worker_type, version, provider, worker_group, place, capacity, price, provider_id, state, created, since, \
         started, reason"
    };
}
pub(super) use instance_columns;

pub(super) fn instance(row: &Row) -> Result<Instance, StoreError> {
    Ok(Instance {
        id: row.text("instance_id")?,
        worker_type: row.text("worker_type")?,
        version: row.number("version")?,
        provider: row.text("provider")?,
        worker_group: row.text("worker_group")?,
        place: row.json("place")?,
        capacity: row.number("capacity")?,
        price: row.float("price")?,
        provider_id: row.text_or_null("provider_id")?,
        state: row.parsed("state")?,
        created: row.time("created")?,
        since: row.time("since")?,
        started: row.time_or_null("started")?,
        reason: row.text_or_null("reason")?,
    })
}

/// The worker type of a row of its table.
pub(super) async fn worker_type(sql: &mut dyn Sql, sealer: &Sealer, row: &Row) -> Result<WorkerType, StoreError> {
    let name = row.text("name")?;
    let settled = version(sql, sealer, &name, row.number("settled")?).await?;
    let candidate = match row.int_or_null("candidate")? {
        None => None,
        Some(_) => {
            let version = version(sql, sealer, &name, row.number("candidate")?).await?;
            Some(Candidate { version, share: row.float("share")? })
        }
    };
    Ok(WorkerType { name, settled, candidate, last_modified: row.time("last_modified")? })
}

/// A version that is there.
async fn version(sql: &mut dyn Sql, sealer: &Sealer, worker_type: &str, number: u32) -> Result<Version, StoreError> {
    let found = find_version(sql, sealer, worker_type, number).await?;
    found.ok_or_else(|| StoreError::unreadable("number", format!("there is no version {number} of {worker_type}")))
}

pub(super) async fn find_version(
    sql: &mut dyn Sql,
    sealer: &Sealer,
    worker_type: &str,
    number: u32,
) -> Result<Option<Version>, StoreError> {
    const SELECT: &str = "SELECT definition FROM versions WHERE worker_type = $1 AND number = $2";
    let row = sql.row(SELECT, &[worker_type.into(), number.into()]).await?;
    row.map(|row| {
        let (owner, text) = (sealed::version(worker_type, number), row.text("definition")?);
        let sent: CreateWorkerTypeRequest = sealed::open(sealer, &owner, "definition", &text)?;
        Ok(Version { number, definition: Definition::new(sent) })
    })
    .transpose()
}
