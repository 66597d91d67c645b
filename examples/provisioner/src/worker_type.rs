//! What a worker type is: its definition, in versions.

use std::sync::Arc;
use std::time::Duration;

use taskcluster::provisioner::{CreateWorkerTypeRequest, WorkerTypeProvider};
use taskcluster_core::time::Timestamp;

/// What workers of a type shall be, as somebody has defined it.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition(Arc<CreateWorkerTypeRequest>);

/// Between which bounds there may be how much of a worker type, in capacity units.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "policies are written and tested with it")]
pub struct Bounds {
    /// So much runs even if nothing waits.
    pub min: u32,
    /// More than this does not run and start.
    pub max: u32,
    /// How many tasks may wait for each unit that runs, before more is started.
    pub ratio: f64,
    /// What is kept ready for tasks to come, in square roots of what is busy.
    pub spare: f64,
}

/// How long workers of a type may take for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the life of an instance is tested with it")]
pub struct Lifecycle {
    /// Without a task, before a worker asks whether it is still needed.
    pub idle: Duration,
    /// From being asked for until it fetches its secret.
    pub start: Duration,
    /// Without being heard of at the queue.
    pub silence: Duration,
    /// Until it is replaced.
    pub max_age: Duration,
    /// To finish what it does.
    pub drain: Duration,
}

/// Those of a definition that says nothing.
impl Default for Lifecycle {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            start: Duration::from_secs(20 * 60),
            silence: Duration::from_secs(15 * 60),
            max_age: Duration::from_secs(72 * 60 * 60),
            drain: Duration::from_secs(24 * 60 * 60),
        }
    }
}

impl Definition {
    /// The one that was sent.
    #[must_use]
    pub fn new(sent: CreateWorkerTypeRequest) -> Self {
        Self(Arc::new(sent))
    }

    /// As it was sent.
    #[must_use]
    pub fn sent(&self) -> &CreateWorkerTypeRequest {
        &self.0
    }

    /// Whether its workers would be no others than those of another definition: whether they differ in nothing but how many there may be,
    /// and what is said to people.
    #[must_use]
    pub fn has_workers_of(&self, other: &Self) -> bool {
        let (mut one, other) = (CreateWorkerTypeRequest::clone(&self.0), &*other.0);
        one.description.clone_from(&other.description);
        one.owner.clone_from(&other.owner);
        (one.min_capacity, one.max_capacity) = (other.min_capacity, other.max_capacity);
        (one.scaling_ratio, one.spare) = (other.scaling_ratio, other.spare);
        one == *other
    }

    /// How its workers come into being.
    #[must_use]
    pub fn provider(&self) -> &WorkerTypeProvider {
        &self.0.provider
    }

    /// How much of it there may be. A minimum above the maximum counts as the maximum.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        let max = self.0.max_capacity;
        let (min, spare) = (self.0.min_capacity.unwrap_or(0).min(max), self.0.spare.unwrap_or(0.0));
        Bounds { min, max, ratio: self.0.scaling_ratio, spare }
    }

    /// How long its workers may take for what.
    #[must_use]
    pub fn lifecycle(&self) -> Lifecycle {
        let (said, usual) = (self.0.lifecycle.clone().unwrap_or_default(), Lifecycle::default());
        let time = |said: Option<u32>, usual: Duration| said.map_or(usual, |said| Duration::from_secs(said.into()));
        Lifecycle {
            idle: time(said.idle_time, usual.idle),
            start: time(said.start_time, usual.start),
            silence: time(said.silence, usual.silence),
            max_age: time(said.max_age, usual.max_age),
            drain: time(said.drain_time, usual.drain),
        }
    }

    /// The scopes that it gives its workers.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        self.0.scopes.as_deref().unwrap_or_default()
    }
}

/// A definition that was in force at some time.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "rows of the database are read into it")]
pub struct Version {
    /// Counted from 1.
    pub number: u32,
    /// What it says.
    pub definition: Definition,
}

/// A version that only a share of the capacity is of.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "rows of the database are read into it")]
pub struct Candidate {
    /// The newest version.
    pub version: Version,
    /// From 0 to 1.
    pub share: f64,
}

/// A worker type.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "rows of the database are read into it")]
pub struct WorkerType {
    /// Its name, the second half of the task queue's.
    pub name: String,
    /// What most workers are of, or all.
    pub settled: Version,
    /// What comes after it.
    pub candidate: Option<Candidate>,
    /// When it was last changed.
    pub last_modified: Timestamp,
}

impl WorkerType {
    /// The version that was defined last.
    #[must_use]
    pub fn newest(&self) -> &Version {
        self.candidate.as_ref().map_or(&self.settled, |candidate| &candidate.version)
    }

    /// How much there may be, of all versions together.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.newest().definition.bounds()
    }

    /// The version of that number, if workers may be of it.
    #[must_use]
    pub fn version(&self, number: u32) -> Option<&Version> {
        [Some(&self.settled), self.candidate.as_ref().map(|candidate| &candidate.version)]
            .into_iter()
            .flatten()
            .find(|version| version.number == number)
    }

    /// The versions that capacity shall be of, each with how much of `desired`. A share that is more than nothing is at least one unit.
    #[must_use]
    pub fn split(&self, desired: u32) -> Vec<(&Version, u32)> {
        let Some(Candidate { version, share }) = &self.candidate else { return vec![(&self.settled, desired)] };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and `desired`")]
        let newest = (f64::from(desired) * share).ceil() as u32;
        vec![(&self.settled, desired - newest.min(desired)), (version, newest.min(desired))]
    }
}

#[cfg(test)]
mod tests {
    use taskcluster::provisioner::{FixedProvider, FixedWorker};

    use super::*;

    fn definition(min: u32, max: u32) -> Definition {
        let provider = FixedProvider::new(Vec::<FixedWorker>::new());
        Definition::new(CreateWorkerTypeRequest::new("", "", max, 0.0, provider).with_min_capacity(min))
    }

    fn worker_type(share: Option<f64>) -> WorkerType {
        WorkerType {
            name: "w".to_owned(),
            settled: Version { number: 3, definition: definition(0, 10) },
            candidate: share
                .map(|share| Candidate { version: Version { number: 5, definition: definition(9, 4) }, share }),
            last_modified: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn bounds_are_those_of_the_newest_version_and_hold_together() {
        assert_eq!(worker_type(None).bounds(), Bounds { min: 0, max: 10, ratio: 0.0, spare: 0.0 });
        assert_eq!(worker_type(Some(0.5)).bounds(), Bounds { min: 4, max: 4, ratio: 0.0, spare: 0.0 });
    }

    #[test]
    fn a_share_is_at_least_one_unit_and_never_more_than_there_is() {
        let split = |share, desired| -> Vec<(u32, u32)> {
            worker_type(share).split(desired).into_iter().map(|(version, units)| (version.number, units)).collect()
        };
        assert_eq!(split(None, 7), [(3, 7)]);
        assert_eq!(split(Some(0.1), 7), [(3, 6), (5, 1)]);
        assert_eq!(split(Some(0.5), 10), [(3, 5), (5, 5)]);
        assert_eq!(split(Some(0.0), 10), [(3, 10), (5, 0)]);
        assert_eq!(split(Some(0.3), 0), [(3, 0), (5, 0)]);
    }

    #[test]
    fn only_versions_that_are_in_force_are_found() {
        let worker_type = worker_type(Some(0.5));
        assert_eq!(worker_type.version(5).map(|version| version.number), Some(5));
        assert_eq!(worker_type.version(4), None);
        assert_eq!(worker_type.newest().number, 5);
    }
}
