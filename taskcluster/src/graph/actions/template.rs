//! The JSON-e templates of actions.

use serde_json::{Map, Value, json};

use super::Action;
#[cfg(feature = "actions-trigger")]
use super::ActionError;
#[cfg(feature = "actions-trigger")]
use crate::json_e;
use crate::queue::TaskDefinition;

/// The decision task once more: what it was told itself stands in it literally.
pub(super) fn of_own(action: &Action, own: &TaskDefinition) -> Value {
    let from_now = |time| json!({"$fromNow": format!("{} seconds", own.created.distance(time).as_secs())});
    let mut payload = literal(&Value::Object(own.payload.clone()));
    // What the decision task publishes, an action need not.
    if let Some(Value::Array(artifacts)) = payload.get_mut("artifacts") {
        for artifact in artifacts.iter_mut().filter_map(Value::as_object_mut) {
            artifact.insert("optional".to_owned(), json!(true));
        }
    }
    payload["env"]["ACTION_NAME"] = literal(&json!(action.name));
    payload["env"]["ACTION_TASK_GROUP_ID"] = json!({"$eval": "taskGroupId"});
    payload["env"]["ACTION_TASK_ID"] = json!({"$json": {"$eval": "taskId"}});
    payload["env"]["ACTION_INPUT"] = json!({"$json": {"$eval": "input"}});
    let mut task = json!({
        "taskQueueId": own.task_queue_id,
        "schedulerId": own.scheduler_id,
        "projectId": own.project_id,
        "taskGroupId": {"$eval": "taskGroupId"},
        "priority": own.priority,
        "retries": own.retries,
        "created": {"$fromNow": ""},
        "deadline": from_now(own.deadline),
        "expires": from_now(own.expires.unwrap_or(own.deadline)),
        "scopes": literal(&json!(own.scopes)),
        "payload": payload,
        "metadata": literal(&json!({
            "name": format!("action: {}", action.title),
            "description": action.description,
            "owner": own.metadata.owner,
            "source": own.metadata.source,
        })),
        "extra": {"action": {"name": literal(&json!(action.name))}},
    });
    if own.project_id.is_none()
        && let Some(task) = task.as_object_mut()
    {
        task.remove("projectId");
    }
    task
}

/// What `.taskcluster.yml` says of its first task, where `tasks_for` is `action`.
pub(super) fn in_tree(action: &Action, tasks: &Value) -> Value {
    let told = json!({"name": action.name, "title": action.title, "description": action.description});
    json!({
        "$let": {"tasks": {"$let": {"action": literal(&told)}, "in": tasks}},
        "in": {"$if": "typeof(tasks) == 'array'", "then": {"$eval": "tasks[0]"}, "else": {"$eval": "tasks"}},
    })
}

/// What `.taskcluster.yml` may refer to there besides what every template of an action may: the same in each of them.
pub(super) fn in_tree_variables(own: &TaskDefinition, root_url: &str) -> Value {
    json!({"tasks_for": "action", "decision": own, "taskcluster_root_url": root_url})
}

/// What the template gives, which is an object, whatever kind of action it is for.
#[cfg(feature = "actions-trigger")]
pub(super) fn render(
    name: &str,
    template: &Value,
    context: Map<String, Value>,
) -> Result<Map<String, Value>, ActionError> {
    let wrong = |reason| ActionError::Template { name: name.to_owned(), reason };
    match json_e::render(template, context, taskcluster_core::time::Timestamp::now()) {
        Ok(Value::Object(rendered)) => Ok(rendered),
        Ok(_) => Err(wrong("it gives no object".to_owned())),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// The template that renders to this value.
fn literal(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("${", "$${")),
        Value::Array(list) => Value::Array(list.iter().map(literal).collect()),
        Value::Object(map) => {
            let name = |name: &str| if name.starts_with('$') { format!("${name}") } else { name.replace("${", "$${") };
            Value::Object(map.iter().map(|(key, value)| (name(key), literal(value))).collect::<Map<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
