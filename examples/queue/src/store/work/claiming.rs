//! Waiting runs, for those who ask for work.

use taskcluster_core::time::Timestamp;

use super::Unit;
use crate::store::sql::{Arg, PAGE_BYTES};
use crate::store::writes::Recent;
use crate::store::{Claimed, StoreError};
use crate::task::{Event, Worker};

/// So many claimers at once get as many bytes as one alone may have; more share what these get, or come once more.
const FULL_SHARES: usize = 8;

/// A request for runs of a task queue.
#[derive(Clone, Debug)]
pub(in crate::store) struct Wanted {
    pub(in crate::store) task_queue_id: String,
    pub(in crate::store) worker: Worker,
    pub(in crate::store) count: u32,
    pub(in crate::store) now: Timestamp,
    pub(in crate::store) taken_until: Timestamp,
}

impl Unit<'_> {
    /// Takes waiting runs of one task queue and deals them to those who want some, first come, first served; to each no more
    /// than [`PAGE_BYTES`] of definitions, unless a single one is larger. What is left goes on waiting, and
    /// [`finish`](Self::finish) tells of it like of all that waits, after it has written what was taken.
    pub(in crate::store) async fn claim(&mut self, wanted: &[&Wanted]) -> Result<Vec<Vec<Claimed>>, StoreError> {
        let Some(first) = wanted.first() else { return Ok(Vec::new()) };
        let total: i64 = wanted.iter().map(|wanted| i64::from(wanted.count)).sum();
        let bytes = PAGE_BYTES * i64::try_from(wanted.len().min(FULL_SHARES)).unwrap_or(1);
        let args = [Arg::from(&first.task_queue_id), first.now.into(), total.into(), bytes.into()];
        let mut picked = Vec::new();
        let statement = self.unlocked.map_or(self.dialect.pick, |together| together.spot);
        for row in self.sql.rows(statement, &args).await? {
            let kept = self.read(&row)?;
            if let Some(definition) = row.text_or_null("definition")? {
                picked.push((kept.task.task_id, definition));
            }
            self.tasks.insert(kept.task.task_id, kept);
        }
        let mut picked = picked.into_iter().peekable();
        let mut answers = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let mut claimed = Vec::new();
            let mut room = usize::try_from(PAGE_BYTES).unwrap_or(usize::MAX);
            while claimed.len() < wanted.count as usize {
                let alone = claimed.is_empty();
                let Some((id, definition)) = picked.next_if(|(_, text)| alone || text.len() <= room) else { break };
                room = room.saturating_sub(definition.len());
                let run = self.tasks[&id].task.last_run().unwrap_or_default();
                let claim = Event::Claim { run, worker: wanted.worker.clone(), taken_until: wanted.taken_until };
                // Its deadline may just have passed.
                let Ok(task) = self.apply_one(id, claim, wanted.now) else { continue };
                let Worker { group, id: worker } = wanted.worker.clone();
                self.recent.push(Recent { queue: wanted.task_queue_id.clone(), group, worker, id, run });
                claimed.push(Claimed { task, run, definition });
            }
            answers.push(claimed);
        }
        Ok(answers)
    }
}
