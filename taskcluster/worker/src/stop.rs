//! The ways in which a run is ended from outside.

use tokio::sync::watch;

use crate::outcome::{NotOurs, Outcome, Reason};

/// Why a run must end now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// The user's code may not go on; what it left still counts. The text says why.
    Fail(String),
    /// The run is no longer this worker's.
    NotOurs(NotOurs),
    /// The worker is going away.
    WorkerShutdown,
}

impl Stop {
    /// The outcome of a run that is abandoned for this reason; `None` where only the user's code is ended.
    #[must_use]
    pub fn abandons(&self) -> Option<Outcome> {
        match self {
            Self::Fail(_) => None,
            Self::NotOurs(why) => Some(Outcome::NotOurs(*why)),
            Self::WorkerShutdown => Some(Outcome::Exception(Reason::WorkerShutdown)),
        }
    }
}

/// Where a run's stop is ordered and awaited. The first order to abandon stands, and goes before any order to fail.
#[derive(Debug)]
pub(crate) struct StopSwitch {
    state: watch::Sender<Option<Stop>>,
}

impl StopSwitch {
    pub(crate) fn new() -> Self {
        Self { state: watch::channel(None).0 }
    }

    pub(crate) fn order(&self, stop: Stop) {
        self.state.send_if_modified(|state| {
            let changes = match state {
                None => true,
                Some(Stop::Fail(_)) => stop.abandons().is_some(),
                Some(Stop::NotOurs(_) | Stop::WorkerShutdown) => false,
            };
            if changes {
                *state = Some(stop);
            }
            changes
        });
    }

    /// The order that stands, if there is any.
    pub(crate) fn ordered(&self) -> Option<Stop> {
        self.state.borrow().clone()
    }

    /// The outcome, if the run is to be abandoned.
    pub(crate) fn abandoned(&self) -> Option<Outcome> {
        self.state.borrow().as_ref().and_then(Stop::abandons)
    }

    /// Wait for any order. Cancel safe.
    pub(crate) async fn any(&self) -> Stop {
        self.wait(|_| true).await
    }

    /// Wait for an order to abandon the run. Cancel safe.
    pub(crate) async fn abandon(&self) -> Outcome {
        let stop = self.wait(|stop| stop.abandons().is_some()).await;
        stop.abandons().expect("waited for just that")
    }

    async fn wait(&self, wanted: impl Fn(&Stop) -> bool) -> Stop {
        let mut receiver = self.state.subscribe();
        let state = receiver.wait_for(|stop| stop.as_ref().is_some_and(&wanted)).await;
        state.expect("the sender is self").clone().expect("waited for just that")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abandoning_goes_before_failing_and_the_first_reason_stands() {
        let switch = StopSwitch::new();
        switch.order(Stop::Fail("too long".into()));
        assert_eq!(switch.abandoned(), None);
        switch.order(Stop::NotOurs(NotOurs::Resolved));
        switch.order(Stop::WorkerShutdown);
        switch.order(Stop::Fail("late".into()));
        assert_eq!(switch.abandoned(), Some(Outcome::NotOurs(NotOurs::Resolved)));
    }
}
