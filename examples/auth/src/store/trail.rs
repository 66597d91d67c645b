//! The audit trail.

use service_kit::outbox;
use service_kit::store::{Row, Sql};
use taskcluster_core::time::Timestamp;

use super::{Store, StoreError, message};
use crate::history::{Entry, Of, Record};

const INSERT: &str =
    "INSERT INTO audit (entity_type, entity_id, action_type, client_id, created) VALUES ($1, $2, $3, $4, $5)";

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT position, entity_type, entity_id, action_type, client_id, created FROM audit WHERE position > $1",
            $condition,
            " ORDER BY position LIMIT $2"
        )
    };
}

const SELECT: &str = select!("");
const SELECT_OF_ENTITY: &str = select!(" AND entity_type = $3 AND entity_id = $4");
const SELECT_OF_CLIENT: &str = select!(" AND client_id = $3");

const SELECT_POSITION: &str = "SELECT COALESCE(MAX(position), 0) AS position FROM audit";

const PURGE: &str = "DELETE FROM audit WHERE created < $1 AND position < (SELECT MAX(position) FROM audit)";

impl Store {
    pub(super) async fn position(&self) -> Result<i64, StoreError> {
        Ok(self.kit.one(SELECT_POSITION, &[]).await?.int("position")?)
    }

    /// Entries of the audit trail after the position `after`, oldest first, at most `limit`.
    pub async fn history(&self, of: &Of, after: i64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let found = match of {
            Of::Entity { entity_type, entity_id } => {
                let args = [after.into(), limit.into(), entity_type.into(), entity_id.into()];
                self.kit.rows(SELECT_OF_ENTITY, &args).await?
            }
            Of::Client(client_id) => {
                let args = [after.into(), limit.into(), client_id.into()];
                self.kit.rows(SELECT_OF_CLIENT, &args).await?
            }
        };
        found.iter().map(entry).collect()
    }

    /// All entries of the audit trail after the position `after`, oldest first, at most `limit`.
    pub async fn changes_since(&self, after: i64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.kit.rows(SELECT, &[after.into(), limit.into()]).await?.iter().map(entry).collect()
    }

    /// Removes entries of the trail from before a time. Answers how many. The newest entry always stays, so that
    /// positions never start over.
    pub async fn purge_history(&self, before: Timestamp) -> Result<u64, StoreError> {
        Ok(self.kit.run(PURGE, &[before.into()]).await?)
    }
}

/// Writes down what was changed, and what to tell of it.
pub(super) async fn leave_trail(sql: &mut dyn Sql, record: &Record) -> Result<(), StoreError> {
    let args = [
        record.entity.as_str().into(),
        (&record.entity_id).into(),
        record.action.as_str().into(),
        (&record.client_id).into(),
        record.created.into(),
    ];
    sql.run(INSERT, &args).await?;
    outbox::insert(sql, &[message::of(record)]).await?;
    Ok(())
}

fn entry(row: &Row) -> Result<Entry, StoreError> {
    Ok(Entry {
        position: row.int("position")?,
        entity_type: row.text("entity_type")?,
        entity_id: row.text("entity_id")?,
        action_type: row.text("action_type")?,
        client_id: row.text("client_id")?,
        created: row.time("created")?,
    })
}
