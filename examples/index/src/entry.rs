//! What the index holds.

use taskcluster::index as wire;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;

use crate::path::IndexPath;

/// How long the JSON of an entry's data may be. It is for a few words about a task; what is larger is an artifact. Anybody may
/// read a thousand entries at once.
pub(crate) const LONGEST_DATA: usize = 32 * 1024;

/// A task under a name.
///
/// Of several tasks that want the same name, the one of the highest rank gets it, among those the one that came last by
/// `since`. That does not depend on the order in which they are inserted, so messages may come twice and late.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// The name.
    pub path: IndexPath,
    /// The task.
    pub task_id: TaskId,
    /// Decides between tasks.
    pub rank: f64,
    /// A JSON object.
    pub data: String,
    /// When the entry goes.
    pub expires: Timestamp,
    /// When the task finished or, if somebody put it here, when that was, or what it took the place of.
    pub since: Timestamp,
}

impl Entry {
    /// As the API shows it.
    ///
    /// # Errors
    /// When the data is no JSON object.
    pub fn to_wire(&self) -> Result<wire::IndexedTask, serde_json::Error> {
        let data: serde_json::Map<_, _> = serde_json::from_str(&self.data)?;
        Ok(wire::IndexedTask::new(self.path.to_string(), self.task_id, self.rank, data, self.expires))
    }
}

/// A namespace that holds something.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Namespace {
    /// Where it is.
    pub path: IndexPath,
    /// When it goes; not before anything in it.
    pub expires: Timestamp,
}

const DAY: i64 = 24 * 60 * 60 * 1000;

/// The last millisecond of the year 9999, beyond which no date is written.
const END_OF_TIME: i64 = 253_402_300_799_999;

impl Namespace {
    /// When the namespaces of an entry go at the earliest: after the day on which it does, so that they are not written anew
    /// with each entry.
    #[must_use]
    pub(crate) fn expires_with(entry: Timestamp) -> Timestamp {
        let next_day = (entry.as_millis().div_euclid(DAY) + 1) * DAY;
        Timestamp::from_millis(next_day.min(END_OF_TIME))
    }

    /// As the API shows it.
    #[must_use]
    pub fn to_wire(&self) -> wire::Namespace {
        wire::Namespace::new(self.path.to_string(), self.path.name.as_str(), self.expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_outlives_its_entries_by_less_than_a_day_and_can_always_be_written() {
        for entry in ["2026-03-04T05:06:07.000Z", "2026-03-04T00:00:00.000Z", "9999-12-31T23:59:59.999Z"] {
            let entry: Timestamp = entry.parse().unwrap();
            let namespace = Namespace::expires_with(entry);
            assert!(namespace >= entry && namespace.since(entry) <= taskcluster_core::time::days(1));
            assert!(namespace.to_string().parse::<Timestamp>().is_ok());
        }
    }
}
