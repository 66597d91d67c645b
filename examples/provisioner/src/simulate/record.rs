//! Traces of what really came: a deployment's tasks, as the queue tells of them.
//!
//! Each **run** that a worker has begun is a task of the trace: what a lost worker had done of a task was work as well, and the retry
//! comes when the queue has it wait again. So a recorded trace has no `lossesPerHour`: its losses have happened. What nobody has begun,
//! since it was cancelled or its deadline came, was no work.
//!
//! A trace is in the order in which tasks come, but how long one runs is known only when it has ended. So a line is held back until nothing
//! that came before it is still open; then it is written, and nothing is kept of it but that it was.

use std::collections::{BTreeSet, HashSet};

use taskcluster::queue::{Run, TaskStatus};
use taskcluster_core::ids::{RunId, TaskId};
use taskcluster_core::time::Timestamp;

use super::trace::Arrival;

/// Which run.
type Key = (TaskId, RunId);

/// Makes a trace of what it is told. Pure: told the same twice, or late, it comes to the same.
#[derive(Debug)]
pub struct Recording {
    begun: Timestamp,
    /// Runs that wait or are under way, with when they came.
    open: BTreeSet<(u64, Key)>,
    /// Runs that have ended behind one that has not: when they came, how long they ran.
    held: BTreeSet<(u64, u64, Key)>,
    /// All that have ended.
    ended: HashSet<Key>,
    /// When the one came that was given last.
    last: u64,
    given: usize,
}

impl Recording {
    /// Of what comes from now on. What came before is left out, since nobody knows what has become of the rest of it.
    #[must_use]
    pub fn new(begun: Timestamp) -> Self {
        Self { begun, open: BTreeSet::new(), held: BTreeSet::new(), ended: HashSet::new(), last: 0, given: 0 }
    }

    /// Takes note of how a task stands, and gives the lines that can be written now.
    pub fn see(&mut self, status: &TaskStatus) -> Vec<Arrival> {
        for run in &status.runs {
            self.see_run(&status.task_id, run);
        }
        self.give(None)
    }

    fn see_run(&mut self, task_id: &TaskId, run: &Run) {
        let key = (*task_id, run.run_id);
        if run.scheduled < self.begun || self.ended.contains(&key) {
            return;
        }
        let at = millis(run.scheduled, self.begun);
        let Some(resolved) = run.resolved else {
            self.open.insert((at, key));
            return;
        };
        self.open.remove(&(at, key));
        self.ended.insert(key);
        if let Some(started) = run.started {
            self.held.insert((at, millis(resolved, started), key));
        }
    }

    /// Of tasks that have not ended: for who has missed something, and has to ask.
    #[must_use]
    pub fn open(&self) -> Vec<TaskId> {
        let tasks: BTreeSet<TaskId> = self.open.iter().map(|(_, (task_id, _))| *task_id).collect();
        tasks.into_iter().collect()
    }

    /// All lines that are still held back, at the end. What has not ended has none: [`open`](Self::open) tells.
    pub fn end(&mut self) -> Vec<Arrival> {
        self.give(Some(u64::MAX))
    }

    /// How many lines there were.
    #[must_use]
    pub fn given(&self) -> usize {
        self.given
    }

    /// The lines of all that came no later than `until`, or than the first that is open.
    fn give(&mut self, until: Option<u64>) -> Vec<Arrival> {
        let until = until.or(self.open.first().map(|(at, _)| *at)).unwrap_or(u64::MAX);
        let mut given = Vec::new();
        while let Some((at, runs, _)) = self.held.first().copied().filter(|(at, ..)| *at <= until) {
            self.held.pop_first();
            // Who hears of a task late puts it behind those that were written meanwhile.
            self.last = self.last.max(at);
            given.push(Arrival(self.last, runs));
        }
        self.given += given.len();
        given
    }
}

fn millis(later: Timestamp, earlier: Timestamp) -> u64 {
    u64::try_from(later.since(earlier).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
