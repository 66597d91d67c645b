//! What the last pass over a worker type came to.

use service_kit::store::StoreError;
use taskcluster_core::time::Timestamp;

use super::Store;

/// What a pass came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "rows of the database are read into it")]
pub struct Pass {
    /// When it ended.
    pub ended: Timestamp,
    /// How much it wanted to run and start.
    pub desired: u32,
    /// Why, in sentences.
    pub why: Vec<String>,
}

const PUT: &str = "INSERT INTO passes (worker_type, ended, desired, why)
     SELECT name, CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS TEXT) FROM worker_types WHERE name = $1
     ON CONFLICT (worker_type) DO UPDATE SET ended = excluded.ended, desired = excluded.desired, why = excluded.why";
const SELECT: &str = "SELECT ended, desired, why FROM passes WHERE worker_type = $1";

impl Store {
    /// Notes what a pass came to, in place of the one before; nothing of a worker type that is not there any more.
    pub async fn put_pass(&self, worker_type: &str, pass: &Pass) -> Result<(), StoreError> {
        let why = serde_json::to_string(&pass.why).expect("texts can be written as JSON");
        self.kit.run(PUT, &[worker_type.into(), pass.ended.into(), pass.desired.into(), why.into()]).await?;
        Ok(())
    }

    /// What the last pass came to, if there was one.
    pub async fn pass(&self, worker_type: &str) -> Result<Option<Pass>, StoreError> {
        let row = self.kit.row(SELECT, &[worker_type.into()]).await?;
        row.map(|row| Ok(Pass { ended: row.time("ended")?, desired: row.number("desired")?, why: row.json("why")? }))
            .transpose()
    }
}
