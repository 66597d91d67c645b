//! Who makes passes: one process at a time. The others wait until it says nothing any more.

use service_kit::store::{Sql, StoreError};
use taskcluster_core::time::Timestamp;

use super::Store;

/// A process that wants to make passes, by a name of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it is a name")]
pub struct Lead {
    /// The name, of this start of this process.
    pub holder: String,
}

const TAKE: &str = "INSERT INTO lead (place, holder, until, ended) VALUES (1, $1, $2, $3)
     ON CONFLICT (place) DO UPDATE SET holder = excluded.holder, until = excluded.until
     WHERE lead.holder = excluded.holder OR lead.until <= $3";
const HOLDS: &str = "SELECT 1 AS holds FROM lead WHERE holder = $1 AND until > $2";
const KEEP: &str = "UPDATE lead SET until = $2 WHERE holder = $1";
const LEAVE: &str = "UPDATE lead SET until = 0 WHERE holder = $1";
const ENDED: &str = "UPDATE lead SET ended = $2 WHERE holder = $1";
const HOLDER: &str = "SELECT holder FROM lead";
const LAST: &str = "SELECT ended FROM lead";

impl Store {
    /// Takes the lead until then, or keeps it. Whether this process has it.
    pub async fn lead(&self, lead: &Lead, until: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.kit.run(TAKE, &[(&lead.holder).into(), until.into(), now.into()]).await? > 0)
    }

    /// Keeps the lead until then, also late, if nobody else has had it since this process took it: then what this process has seen still
    /// holds. Whether it has it.
    pub async fn keep_lead(&self, lead: &Lead, until: Timestamp) -> Result<bool, StoreError> {
        Ok(self.kit.run(KEEP, &[(&lead.holder).into(), until.into()]).await? > 0)
    }

    /// Leaves the lead to others.
    pub async fn leave(&self, lead: &Lead) -> Result<(), StoreError> {
        self.kit.run(LEAVE, &[(&lead.holder).into()]).await?;
        Ok(())
    }

    /// Who leads, or has led last. Nothing if nobody ever did.
    pub async fn leader(&self) -> Result<Option<String>, StoreError> {
        self.kit.row(HOLDER, &[]).await?.map(|row| row.text("holder")).transpose()
    }

    /// Notes that a pass has ended.
    pub async fn pass_ended(&self, lead: &Lead, now: Timestamp) -> Result<(), StoreError> {
        self.kit.run(ENDED, &[(&lead.holder).into(), now.into()]).await?;
        Ok(())
    }

    /// When the last pass of any process ended; before the first, when it began. Nothing if nobody ever began.
    pub async fn last_pass(&self) -> Result<Option<Timestamp>, StoreError> {
        self.kit.row(LAST, &[]).await?.map(|row| row.time("ended")).transpose()
    }
}

pub(super) async fn holds(sql: &mut dyn Sql, lead: &Lead, now: Timestamp) -> Result<bool, StoreError> {
    Ok(sql.row(HOLDS, &[(&lead.holder).into(), now.into()]).await?.is_some())
}
