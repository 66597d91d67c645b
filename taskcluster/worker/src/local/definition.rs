//! A definition, completed by what the queue would have filled in.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use taskcluster::queue::TaskDefinition;
use taskcluster_core::Clock;
use taskcluster_core::clock::SystemClock;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::days;

use super::NotATask;

pub(crate) fn complete(given: Value) -> Result<Value, NotATask> {
    let not = |reason: String| NotATask { reason };
    let Value::Object(given) = given else { return Err(not("it is no object".to_owned())) };
    let given =
        if given.contains_key("payload") { given } else { Map::from_iter([("payload".to_owned(), given.into())]) };
    let mut whole = defaults(&given);
    whole.extend(given);
    let whole = Value::Object(whole);
    match TaskDefinition::deserialize(&whole) {
        Ok(_) => Ok(whole),
        Err(error) => Err(not(error.to_string())),
    }
}

fn defaults(given: &Map<String, Value>) -> Map<String, Value> {
    let now = SystemClock.now();
    let text = |name: &str| given.get(name).and_then(Value::as_str);
    // Either way of naming the queue may be there.
    let (provisioner, worker_type) = match (text("provisionerId"), text("workerType"), text("taskQueueId")) {
        (Some(provisioner), Some(worker_type), _) => (provisioner, worker_type),
        (_, _, Some(queue)) => queue.split_once('/').unwrap_or(("local", "desk")),
        _ => ("local", "desk"),
    };
    let defaults = json!({
        "provisionerId": provisioner,
        "workerType": worker_type,
        "taskQueueId": format!("{provisioner}/{worker_type}"),
        "schedulerId": "-",
        "projectId": "none",
        "taskGroupId": TaskId::new(),
        "dependencies": [],
        "requires": "all-completed",
        "routes": [],
        "priority": "lowest",
        "retries": 5,
        "created": now,
        "deadline": now + days(1),
        "expires": now + days(30),
        "scopes": [],
        "metadata": {"name": "a local run", "description": "", "owner": "nobody@localhost", "source": "http://localhost/"},
        "tags": {},
        "extra": {},
    });
    let Value::Object(defaults) = defaults else { unreachable!("it is written as one") };
    defaults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_alone_is_enough() {
        let whole = complete(json!({"command": [["true"]]})).unwrap();
        assert_eq!(whole["payload"], json!({"command": [["true"]]}));
        assert_eq!(whole["taskQueueId"], "local/desk");
    }

    #[test]
    fn what_a_definition_says_stands() {
        let whole = complete(json!({"payload": {}, "taskQueueId": "a/b", "scopes": ["x"]})).unwrap();
        assert_eq!((&whole["workerType"], &whole["scopes"]), (&json!("b"), &json!(["x"])));
        assert_eq!(
            complete(json!({"payload": {}, "provisionerId": "a", "workerType": "b"})).unwrap()["taskQueueId"],
            "a/b"
        );
    }

    #[test]
    fn what_is_no_definition_is_refused_with_a_reason() {
        assert!(complete(json!([1])).is_err());
        let error = complete(json!({"payload": {}, "scopes": "x"})).unwrap_err().to_string();
        assert!(error.contains("neither"), "{error}");
    }
}
