//! An instance: a machine, container or process that runs a worker, or the wish for one.
//!
//! It is noted before anything is asked of its provider, so that nothing can run that nobody knows of; and under a name that we
//! give it, so that to ask twice is to ask once. What becomes of it is decided in [`life`](crate::life).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use taskcluster_core::time::Timestamp;

/// Where and on what an instance runs, in its provider's words. What the provider has no word for is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[allow(clippy::exhaustive_structs, reason = "providers make it")]
pub struct Place {
    /// Such as `us-west-2`.
    pub region: String,
    /// Such as `us-west-2b`.
    pub zone: String,
    /// Such as `c3.xlarge`.
    pub instance_type: String,
    /// What it is started from.
    pub image: String,
}

/// How far an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "whoever looks at a state has to think of each")]
pub enum State {
    /// Wished for, and not seen at the provider.
    Requested,
    /// It exists, and its worker has not said a word.
    Pending,
    /// Its worker takes tasks.
    Running,
    /// It takes no more tasks, finishes those that it has, and ends.
    Draining,
    /// It shall end, whatever it does.
    Stopping,
    /// There is nothing any more.
    Ended,
}

impl State {
    /// Whether it counts as capacity, there or on its way.
    #[must_use]
    pub fn counts(self) -> bool {
        self <= Self::Running
    }

    /// Whether it has not come to taking tasks yet.
    #[must_use]
    pub fn is_starting(self) -> bool {
        self <= Self::Pending
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is no state.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no state of an instance")]
pub struct UnknownState(String);

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        [Self::Requested, Self::Pending, Self::Running, Self::Draining, Self::Stopping, Self::Ended]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| UnknownState(text.to_owned()))
    }
}

/// An instance as it is kept.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "rows of the database are read into it")]
pub struct Instance {
    /// Its name, which we give it: also its worker's `workerId`, and the token by which providers know a request that comes twice.
    pub id: String,
    /// Whose.
    pub worker_type: String,
    /// The version of the worker type that it was started as.
    pub version: u32,
    /// The kind of its provider.
    pub provider: String,
    /// The `workerGroup` of its worker.
    pub worker_group: String,
    /// Where it runs.
    pub place: Place,
    /// How many tasks it runs at a time.
    pub capacity: u32,
    /// What an hour of it costs, in US dollars, as far as is known.
    pub price: f64,
    /// What its provider calls it, once it has answered.
    pub provider_id: Option<String>,
    /// How far it is.
    pub state: State,
    /// When it was wished for.
    pub created: Timestamp,
    /// When it came into its state.
    pub since: Timestamp,
    /// When its worker fetched its secret.
    pub started: Option<Timestamp>,
    /// Why it is in its state, if that is not as usual.
    pub reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_is_written() {
        for state in [State::Requested, State::Pending, State::Running, State::Draining, State::Stopping, State::Ended]
        {
            assert_eq!(state.to_string().parse::<State>().unwrap(), state);
        }
        assert!("Running".parse::<State>().is_err());
    }

    #[test]
    fn what_is_going_counts_no_more() {
        assert!(State::Requested.counts() && State::Running.counts());
        assert!(!State::Draining.counts() && !State::Stopping.counts() && !State::Ended.counts());
    }
}
