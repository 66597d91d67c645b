//! Actions: what is published, what a user interface makes of it, and what is then done.

use std::collections::HashMap;

use serde_json::{Value, json};
use taskcluster::graph::actions::{Action, ActionError, ActionRequest, Actions};

use crate::queue::Memory;
use crate::{CREATED, decision_task};

const CHOSEN: &str = "bdpB1YKSQXqNoRtY3oqCrg";
const OWN: &str = "VoFBy5stTPi-8BSwHHXsqg";

fn own() -> Value {
    json!({
        "taskQueueId": "local/native", "provisionerId": "local", "workerType": "native", "schedulerId": "ours",
        "projectId": "none", "taskGroupId": decision_task(), "dependencies": [], "requires": "all-completed",
        "routes": ["statuses"], "priority": "low", "retries": 5, "created": CREATED,
        "deadline": "2026-01-01T02:00:00.000Z", "expires": "2026-01-08T00:00:00.000Z", "scopes": ["assume:repo:x"],
        "payload": {"command": ["echo ${HOME} $HOME"], "env": {"HEAD_REVISION": "abc"}, "$odd": {"$eval": "1"}},
        "tags": {}, "extra": {},
        "metadata": {"name": "x", "description": "x", "owner": "me@example.com", "source": "https://example.com"},
    })
}

/// What a user interface does with an action.
fn rendered(action: &Value, task_id: &Value, input: &Value) -> Value {
    let context =
        json!({"taskGroupId": decision_task(), "taskId": task_id, "input": input, "task": {}, "ownTaskId": OWN});
    json_e::render(&action["task"], &context).unwrap()
}

fn request(name: &str, task_id: Option<&str>) -> ActionRequest {
    let variables: HashMap<&str, String> = HashMap::from([
        ("ACTION_NAME", name.to_owned()),
        ("TASK_ID", OWN.to_owned()),
        ("ACTION_TASK_GROUP_ID", decision_task().to_string()),
        ("ACTION_TASK_ID", json!(task_id).to_string()),
        ("ACTION_INPUT", "{}".to_owned()),
    ]);
    ActionRequest::read(|name| variables.get(name).cloned()).unwrap().unwrap()
}

/// A queue with the action's own task and a chosen one.
fn memory() -> Memory {
    let memory = Memory::default();
    let mut task = own();
    task["routes"] = json!([]);
    memory.put(OWN, task.clone());
    task["payload"] = json!({
        "command": ["make"], "artifacts": [], "mounts": [{"cacheName": "c"}, {"file": "f"}], "features": {"chainOfTrust": true}
    });
    memory.put(CHOSEN, task);
    memory
}

fn made(memory: &Memory) -> Vec<Value> {
    memory.order().iter().skip(2).map(|id| memory.tasks()[id].clone()).collect()
}

#[test]
fn what_is_published_renders_to_the_decision_task_once_more() {
    let schema = json!({"type": "object", "properties": {"depth": {"type": "integer"}}});
    let backfill = Action::new("backfill", "Backfill", "Runs ${it}.", |_, _| async { Ok(()) })
        .for_tasks([("kind", "test")])
        .with_input(schema.clone());
    let json = Actions::standard().with(backfill).to_json(&serde_json::from_value(own()).unwrap());
    assert_eq!((&json["version"], &json["variables"]), (&json!(1), &json!({})));
    let actions = json["actions"].as_array().unwrap();
    let names: Vec<&str> = actions.iter().map(|action| action["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["rerun", "retrigger", "create-interactive", "cancel-all", "backfill"]);
    assert_eq!((&actions[0]["context"], &actions[3]["context"]), (&json!([{}]), &json!([])));
    assert_eq!((&actions[4]["context"], &actions[4]["schema"]), (&json!([{"kind": "test"}]), &schema));

    let task = rendered(&actions[4], &json!(CHOSEN), &json!({"depth": 3}));
    let payload = &task["payload"];
    assert_eq!(payload["command"], own()["payload"]["command"]);
    assert_eq!(payload["$odd"], own()["payload"]["$odd"]);
    assert_eq!(payload["env"]["HEAD_REVISION"], "abc");
    assert_eq!((&task["metadata"]["description"], &task["schedulerId"]), (&json!("Runs ${it}."), &json!("ours")));
    assert_eq!(task["taskGroupId"], json!(decision_task()));
    assert!(task.get("routes").is_none());
    let definition: taskcluster::queue::TaskDefinitionRequest = serde_json::from_value(task.clone()).unwrap();
    assert_eq!(definition.deadline.since(definition.created), taskcluster::time::hours(2));

    let variable = |name: &str| match name {
        "TASK_ID" => Some(OWN.to_owned()),
        _ => Some(payload["env"][name].as_str()?.to_owned()),
    };
    let request = ActionRequest::read(variable).unwrap().unwrap();
    assert_eq!((request.name.as_str(), request.task_group_id), ("backfill", decision_task()));
    assert_eq!((request.chosen().unwrap().to_string(), request.input), (CHOSEN.to_owned(), json!({"depth": 3})));
    let group = rendered(&actions[3], &Value::Null, &Value::Null);
    assert_eq!(group["payload"]["env"]["ACTION_TASK_ID"], "null");
}

#[test]
fn a_program_that_no_action_started_is_told_so() {
    assert_eq!(ActionRequest::read(|_| None).unwrap(), None);
    let lacking = ActionRequest::read(|name| (name == "ACTION_NAME").then(|| "rerun".to_owned()));
    assert!(matches!(lacking, Err(ActionError::Variable("TASK_ID"))));
}

#[tokio::test]
async fn retrigger_makes_one_more_in_the_group_however_often_it_is_tried() {
    let memory = memory();
    for _ in 0..2 {
        let queue = memory.client(CREATED, None);
        Actions::standard().run(&request("retrigger", Some(CHOSEN)), &queue).await.unwrap();
    }
    let made = made(&memory);
    assert_eq!(made.len(), 1);
    assert_eq!((&made[0]["taskGroupId"], &made[0]["payload"]["command"]), (&json!(decision_task()), &json!(["make"])));
    assert_eq!((&made[0]["dependencies"], &made[0]["scopes"]), (&json!([OWN]), &json!(["assume:repo:x"])));
}

#[tokio::test]
async fn an_interactive_task_may_do_nothing_and_leaves_nothing() {
    let memory = memory();
    let queue = memory.client(CREATED, None);
    Actions::standard().run(&request("create-interactive", Some(CHOSEN)), &queue).await.unwrap();
    let made = made(&memory);
    let features = json!({"chainOfTrust": true, "interactive": true});
    assert_eq!(made[0]["payload"], json!({"command": ["make"], "mounts": [{"file": "f"}], "features": features}));
    assert_eq!((&made[0]["scopes"], &made[0]["routes"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn cancel_all_spares_itself() {
    let memory = memory();
    let queue = memory.client(CREATED, None);
    Actions::standard().run(&request("cancel-all", None), &queue).await.unwrap();
    assert_eq!(memory.cancelled(), [CHOSEN]);
}

#[tokio::test]
async fn an_action_on_a_task_is_none_on_a_group() {
    let memory = memory();
    let queue = memory.client(CREATED, None);
    Actions::standard().run(&request("rerun", Some(CHOSEN)), &queue).await.unwrap();
    for (name, task_id) in [("rerun", None), ("cancel-all", Some(CHOSEN)), ("dance", None)] {
        let error = Actions::standard().run(&request(name, task_id), &queue).await.unwrap_err();
        assert_eq!(error.to_string(), format!("there is no action `{name}`"));
    }
}
