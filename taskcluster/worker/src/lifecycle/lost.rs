//! Claims that the queue has granted, but whose answer was lost on the way.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use taskcluster::queue::TaskClaim;
use taskcluster_core::{Error, chain};

use super::held::{RunKey, claim_again, held};
use super::leftovers::give_back;
use crate::worker::Inner;

/// Runs that are remembered as known; the queue itself remembers far fewer.
const REMEMBERED: usize = 1000;

/// How long a worker that goes away asks whether it holds such claims.
const LAST_LOOK: Duration = Duration::from_secs(5);

/// Whether there may be such claims, and which are none.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// How many looks are due before nothing is doubtful any more.
    due: u8,
    /// Whether there was a look since the last claim.
    looked: bool,
    known: VecDeque<RunKey>,
}

impl Lost {
    /// A claim has failed without an answer of the queue. The queue may still be about to grant it when it is looked for the
    /// first time, but no longer when a later claim has been answered: so it is looked for twice.
    pub(super) fn doubt(&mut self) {
        self.due = 2;
        self.looked = false;
    }

    /// A claim has been answered.
    pub(super) fn answered(&mut self) {
        self.looked = false;
    }

    /// Whether there may be claims that have not reached the worker.
    pub(super) fn is_doubtful(&self) -> bool {
        self.due > 0
    }

    /// Whether to look before the next claim.
    pub(super) fn wants_a_look(&self) -> bool {
        self.due > 0 && !self.looked
    }

    /// A look has been taken, or could not be.
    pub(super) fn looked(&mut self, seen: bool) {
        self.looked = true;
        self.due -= u8::from(seen && self.due > 0);
    }

    /// This run has reached the worker.
    pub(super) fn know(&mut self, run: RunKey) {
        self.known.push_back(run);
        if self.known.len() > REMEMBERED {
            self.known.pop_front();
        }
    }

    /// The runs that have reached the worker.
    pub(super) fn known(&self) -> BTreeSet<RunKey> {
        self.known.iter().copied().collect()
    }
}

/// Take up what the queue believes this worker to be running and is not `known`, as far as there is room; the rest is given back.
pub(super) async fn look(inner: &Inner, known: &BTreeSet<RunKey>, room: u64) -> Result<Vec<TaskClaim>, Error> {
    let mut claims = Vec::new();
    for run in held(inner, |run| !known.contains(run)).await? {
        if claims.len() as u64 == room {
            give_back(inner, run).await;
            continue;
        }
        match claim_again(inner, run).await {
            Ok(claim) => claims.push(claim),
            Err(error) => {
                tracing::warn!(task.id = %run.0, run.id = %run.1, error = %chain(&error), "cannot take up a run");
            }
        }
    }
    Ok(claims)
}

/// Give back what is not `known`, before the worker goes away, as far as that takes no time.
pub(super) async fn leave(inner: Arc<Inner>, known: BTreeSet<RunKey>) {
    match tokio::time::timeout(LAST_LOOK, look(&inner, &known, 0)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(error = %chain(&error), "cannot ask for claims that were not heard of"),
        Err(_) => tracing::warn!("the queue does not say in time whether it has granted claims that were not heard of"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_twice_with_a_claim_between() {
        let mut lost = Lost::default();
        assert!(!lost.wants_a_look());
        lost.doubt();
        assert!(lost.wants_a_look());
        lost.looked(false);
        assert!(!lost.wants_a_look(), "it can wait until the next claim");
        for _ in 0..2 {
            lost.answered();
            assert!(lost.wants_a_look());
            lost.looked(true);
        }
        lost.answered();
        assert!(!lost.wants_a_look());
    }
}
