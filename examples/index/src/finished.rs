//! From a task that is completed to its entries.
//!
//! The queue's message is only the hint that a task is completed, and when; what the task wants, its definition says.

use serde_json::{Map, Value};
use taskcluster::events::{Binding, Message};
use taskcluster::queue::TaskDefinition;
use taskcluster::queue::events::TaskCompleted;
use taskcluster_core::ids::TaskId;
use taskcluster_core::operation::Event;
use taskcluster_core::time::{Timestamp, days};

use crate::entry::{Entry, LONGEST_DATA};
use crate::path::IndexPath;

/// What routes to the index begin with.
const PREFIX: &str = "index.";

/// A task that is completed and wants to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a message says no more that matters here")]
pub struct Finished {
    /// Which.
    pub task_id: TaskId,
    /// When it was completed.
    pub since: Timestamp,
}

impl Finished {
    /// The messages that tell of such tasks: those of completed tasks with a route to the index.
    #[must_use]
    pub fn binding() -> Binding {
        Binding::new(TaskCompleted::EXCHANGE.exchange, format!("route.{PREFIX}#"))
    }

    /// What a message says.
    ///
    /// # Errors
    /// When it is not what its exchange promises.
    pub fn read(message: &Message) -> Result<Self, serde_json::Error> {
        let message: <TaskCompleted as Event>::Message = serde_json::from_slice(&message.payload)?;
        let ended = message.status.runs.iter().filter_map(|run| run.resolved).max();
        // Without a time it is older than any other.
        Ok(Self { task_id: message.status.task_id, since: ended.unwrap_or(Timestamp::UNIX_EPOCH) })
    }

    /// The entries that the task wants by its routes, and what of its definition makes no sense.
    #[must_use]
    pub fn entries(&self, definition: &TaskDefinition) -> (Vec<Entry>, Vec<String>) {
        let wanted = match Wanted::read(definition) {
            Ok(wanted) => wanted,
            Err(fault) => return (Vec::new(), vec![fault]),
        };
        let routes = definition.routes.iter().filter_map(|route| route.strip_prefix(PREFIX));
        let (mut entries, mut faults) = (Vec::new(), Vec::new());
        for route in routes {
            match route.parse::<IndexPath>() {
                Ok(path) => entries.push(Entry {
                    path,
                    task_id: self.task_id,
                    rank: wanted.rank,
                    data: wanted.data.clone(),
                    expires: wanted.expires,
                    since: self.since,
                }),
                Err(error) => faults.push(error.to_string()),
            }
        }
        (entries, faults)
    }
}

/// What `extra.index` says.
struct Wanted {
    rank: f64,
    data: String,
    expires: Timestamp,
}

impl Wanted {
    fn read(definition: &TaskDefinition) -> Result<Self, String> {
        let nothing = Map::new();
        let said = match definition.extra.get("index") {
            None | Some(Value::Null) => &nothing,
            Some(Value::Object(said)) => said,
            Some(_) => return Err("extra.index is no object".to_owned()),
        };
        let rank = match said.get("rank") {
            None => 0.0,
            Some(rank) => rank.as_f64().ok_or("extra.index.rank is no number")?,
        };
        let data = match said.get("data") {
            None => "{}".to_owned(),
            Some(data @ Value::Object(_)) => Some(data.to_string())
                .filter(|data| data.len() <= LONGEST_DATA)
                .ok_or_else(|| format!("extra.index.data is longer than {LONGEST_DATA} bytes"))?,
            Some(_) => return Err("extra.index.data is no object".to_owned()),
        };
        let expires = match said.get("expires") {
            // Definitions of old may have none.
            None => Some(definition.expires.unwrap_or(definition.created + days(365))),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        Ok(Self { rank, data, expires: expires.ok_or("extra.index.expires is no date")? })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TASK: &str = "fN1SbArXTPSVFNUvaOlinQ";

    fn finished() -> Finished {
        Finished { task_id: TASK.parse().unwrap(), since: "2026-03-04T05:06:07.000Z".parse().unwrap() }
    }

    fn definition(routes: &[&str], extra: &Value) -> TaskDefinition {
        serde_json::from_value(json!({
            "taskQueueId": "p/w", "provisionerId": "p", "workerType": "w", "schedulerId": "-", "taskGroupId": TASK,
            "dependencies": [], "requires": "all-completed", "routes": routes, "priority": "low", "retries": 5,
            "created": "2026-03-01T00:00:00.000Z", "deadline": "2026-03-05T00:00:00.000Z",
            "expires": "2027-03-01T00:00:00.000Z", "scopes": [], "payload": {}, "tags": {}, "extra": extra,
            "metadata": { "name": "n", "description": "d", "owner": "o@example.com", "source": "https://example.com" },
        }))
        .unwrap()
    }

    #[test]
    fn a_route_alone_makes_an_entry() {
        let (entries, faults) =
            finished().entries(&definition(&["index.a.b", "notify.x", "index.c", "indexes.d"], &json!({})));
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(entries.iter().map(|entry| entry.path.to_string()).collect::<Vec<_>>(), ["a.b", "c"]);
        let Entry { task_id, rank, data, expires, since, .. } = &entries[0];
        assert_eq!((task_id.to_string().as_str(), *rank, data.as_str()), (TASK, 0.0, "{}"));
        assert_eq!((expires.to_string().as_str(), *since), ("2027-03-01T00:00:00.000Z", finished().since));
    }

    #[test]
    fn extra_says_the_rest() {
        let extra = json!({ "index": { "rank": 17, "data": { "x": [1] }, "expires": "2026-04-01T00:00:00.000Z" } });
        let (entries, _) = finished().entries(&definition(&["index.a"], &extra));
        assert_eq!((entries[0].rank, entries[0].data.as_str()), (17.0, r#"{"x":[1]}"#));
        assert_eq!(entries[0].expires.to_string(), "2026-04-01T00:00:00.000Z");
    }

    #[test]
    fn what_makes_no_sense_makes_no_entry_and_is_told() {
        for extra in [
            json!({ "index": 1 }),
            json!({ "index": { "rank": "high" } }),
            json!({ "index": { "data": [] } }),
            json!({ "index": { "data": { "long": "x".repeat(32 * 1024) } } }),
            json!({ "index": { "expires": "soon" } }),
        ] {
            let (entries, faults) = finished().entries(&definition(&["index.a"], &extra));
            assert!(entries.is_empty() && faults.len() == 1, "{extra}: {faults:?}");
        }
        let (entries, faults) = finished().entries(&definition(&["index.a b", "index.", "index.c"], &json!({})));
        assert_eq!((entries.len(), faults.len()), (1, 2));
    }

    #[test]
    fn a_message_says_which_task_and_when() {
        let run = |run: u32, resolved: &str| {
            json!({
                "runId": run, "state": "completed", "reasonCreated": "scheduled", "reasonResolved": "completed",
                "scheduled": "2026-03-04T00:00:00.000Z", "resolved": resolved,
            })
        };
        let body = json!({
            "version": 1, "runId": 1, "workerGroup": "g", "workerId": "i",
            "status": {
                "taskId": TASK, "provisionerId": "p", "workerType": "w", "taskQueueId": "p/w", "schedulerId": "-",
                "projectId": "none", "taskGroupId": TASK, "deadline": "2026-03-05T00:00:00.000Z",
                "expires": "2027-03-01T00:00:00.000Z", "retriesLeft": 5, "state": "completed", "priority": "low",
                "runs": [run(0, "2026-03-04T01:00:00.000Z"), run(1, "2026-03-04T05:06:07.000Z")],
            },
        });
        let message =
            |body: String| Message::new(TaskCompleted::EXCHANGE.exchange, "primary.x", body).with_cc(["route.index.a"]);
        let told = message(body.to_string());
        assert!(told.fits(&Finished::binding()));
        assert_eq!(Finished::read(&told).unwrap(), finished());
        assert!(Finished::read(&message("{}".to_owned())).is_err());
    }
}
