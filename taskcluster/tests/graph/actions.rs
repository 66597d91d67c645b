//! Actions: what is published, what a user interface makes of it, and what is then done.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use taskcluster::graph::actions::{Action, ActionError, ActionRequest, Actions};
use taskcluster::object;

use crate::queue::Memory;
use crate::{CREATED, decision_task};

pub(crate) const CHOSEN: &str = "bdpB1YKSQXqNoRtY3oqCrg";
pub(crate) const OWN: &str = "VoFBy5stTPi-8BSwHHXsqg";

pub(crate) fn own() -> Value {
    json!({
        "taskQueueId": "local/native", "provisionerId": "local", "workerType": "native", "schedulerId": "ours",
        "projectId": "none", "taskGroupId": decision_task(), "dependencies": [], "requires": "all-completed",
        "routes": ["statuses"], "priority": "low", "retries": 5, "created": CREATED,
        "deadline": "2026-01-01T02:00:00.000Z", "expires": "2026-01-08T00:00:00.000Z", "scopes": ["assume:repo:x"],
        "payload": {"command": ["echo ${HOME} $HOME"], "env": {"HEAD_REVISION": "abc"}, "$odd": {"$eval": "1"},
                    "artifacts": [{"type": "directory", "path": "public", "name": "public"}]},
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
    asking(name, task_id, &json!({}))
}

fn asking(name: &str, task_id: Option<&str>, input: &Value) -> ActionRequest {
    let variables: HashMap<&str, String> = HashMap::from([
        ("ACTION_NAME", name.to_owned()),
        ("TASK_ID", OWN.to_owned()),
        ("ACTION_TASK_GROUP_ID", decision_task().to_string()),
        ("ACTION_TASK_ID", json!(task_id).to_string()),
        ("ACTION_INPUT", input.to_string()),
    ]);
    ActionRequest::read(|name| variables.get(name).cloned()).unwrap().unwrap()
}

/// A queue with the action's own task and a chosen one.
pub(crate) fn memory() -> Memory {
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
    let json = Actions::standard().with(backfill).to_json(&serde_json::from_value(own()).unwrap()).unwrap();
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
    let published = json!([{"type": "directory", "path": "public", "name": "public", "optional": true}]);
    assert_eq!(payload["artifacts"], published, "an action need not publish what its decision task does");
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
    let env = json!({"TASKCLUSTER_INTERACTIVE": "true"});
    let expected = json!({
        "command": ["make"], "mounts": [{"file": "f"}], "maxRunTime": 10_800, "env": env, "features": features,
    });
    assert_eq!(made[0]["payload"], expected);
    assert_eq!((&made[0]["scopes"], &made[0]["routes"], &made[0]["retries"]), (&json!([]), &json!([]), &json!(0)));
    let times = ["created", "deadline", "expires"].map(|name| made[0][name].as_str().unwrap().to_owned());
    assert_eq!(times, ["2026-01-01T00:00:00.000Z", "2026-01-01T12:00:00.000Z", "2026-01-02T00:00:00.000Z"]);
}

#[tokio::test]
async fn an_interactive_task_of_a_docker_worker_has_no_caches_and_nothing_that_takes_scopes() {
    let memory = memory();
    let mut task = own();
    task["payload"] = json!({
        "image": "debian:12", "command": ["make"], "maxRunTime": 36_000, "env": {"LANG": "C"}, "cache": {"c": "/c"},
        "artifacts": {"public/a": {"type": "file", "path": "/a"}}, "capabilities": {"privileged": true},
        "features": {"allowPtrace": true, "taskclusterProxy": true},
    });
    memory.put(CHOSEN, task);
    let queue = memory.client(CREATED, None);
    Actions::standard().run(&request("create-interactive", Some(CHOSEN)), &queue).await.unwrap();
    let expected = json!({
        "image": "debian:12", "command": ["make"], "maxRunTime": 36_000,
        "env": {"LANG": "C", "TASKCLUSTER_INTERACTIVE": "true"},
        "features": {"interactive": true, "taskclusterProxy": true},
    });
    assert_eq!(made(&memory).last().unwrap()["payload"], expected);
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

/// An action that tells what it was called with.
fn telling(name: &str, told: &Arc<Mutex<Vec<String>>>, tells: &'static str) -> Action {
    let told = told.clone();
    Action::new(name, "Tell", "Tells.", move |request, _| {
        told.lock().unwrap().push(format!("{tells} {}", request.input));
        async { Ok(()) }
    })
}

#[tokio::test]
async fn of_several_with_one_name_the_first_that_fits_the_task_is_carried_out() {
    let memory = memory();
    let mut tagged = own();
    tagged["routes"] = json!([]);
    tagged["tags"] = json!({"kind": "test", "platform": "linux"});
    memory.put("cSvwX93VQsqYAsmjCqFPCQ", tagged);
    let queue = memory.client(CREATED, None);
    let told = Arc::default();
    let actions = Actions::new()
        .with(telling("again", &told, "group").for_group())
        .with(telling("again", &told, "test").for_tasks([("kind", "test"), ("platform", "linux")]))
        .with(telling("again", &told, "build").for_tasks([("kind", "build")]).or_for_tasks([("platform", "linux")]))
        .with(telling("other", &told, "test only").for_tasks([("kind", "test")]));
    actions.run(&request("again", Some("cSvwX93VQsqYAsmjCqFPCQ")), &queue).await.unwrap();
    actions.run(&request("again", None), &queue).await.unwrap();
    let error = actions.run(&request("other", Some(CHOSEN)), &queue).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no action `other`");
    assert_eq!(*told.lock().unwrap(), ["test {}", "group {}"]);
}

#[tokio::test]
async fn what_the_schema_does_not_allow_never_reaches_the_callback() {
    let memory = memory();
    let queue = memory.client(CREATED, None);
    let told = Arc::default();
    let schema = json!({
        "type": "object", "properties": {"depth": {"type": "integer", "maximum": 9}},
        "required": ["depth"], "additionalProperties": false,
    });
    let actions =
        Actions::new().with(telling("ask", &told, "asked").with_input(schema)).with(telling("press", &told, "pressed"));
    for (name, input, complaint) in [
        ("ask", json!({"depth": 10}), "the input of the action `ask` is not valid: /depth: "),
        ("ask", json!({"depth": 1, "x": 1}), "the input of the action `ask` is not valid: the input: "),
        ("ask", Value::Null, "the input of the action `ask` is not valid: the input: "),
        ("press", json!({"depth": 1}), "the input of the action `press` is not valid: it asks for none"),
    ] {
        let error = actions.run(&asking(name, Some(CHOSEN), &input), &queue).await.unwrap_err().to_string();
        assert!(error.starts_with(complaint), "{error}");
    }
    actions.run(&asking("ask", Some(CHOSEN), &json!({"depth": 9})), &queue).await.unwrap();
    actions.run(&asking("press", Some(CHOSEN), &Value::Null), &queue).await.unwrap();
    assert_eq!(*told.lock().unwrap(), ["asked {\"depth\":9}", "pressed null"]);
}

#[test]
fn what_nobody_could_trigger_is_not_published() {
    let own = serde_json::from_value(own()).unwrap();
    let action = || Action::new("odd", "Odd", "Odd.", |_, _| async { Ok(()) });
    let complaint = |action| Actions::new().with(action).to_json(&own).unwrap_err().to_string();
    let schema = complaint(action().with_input(json!({"type": "objekt"})));
    assert!(schema.starts_with("the action `odd` asks for input by a schema that cannot be used: "), "{schema}");
    let hook = complaint(action().through_hook("group/a", "name", object! {}));
    assert_eq!(hook, "the action `odd` names `group/a/name`, and no hook can be called that");
}
