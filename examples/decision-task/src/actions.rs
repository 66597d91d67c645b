//! What may be done to the tasks of a push afterwards.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use serde_json::Value;
use taskcluster::graph::actions::{ActionRequest, Actions};
use taskcluster::queue::{Queue, TaskDefinition};

/// Those that everybody expects.
fn actions() -> Actions {
    Actions::standard()
}

/// What is published: `.taskcluster.yml` of the checkout says which task carries an action out.
pub(crate) fn offered(checkout: &Path, own: &TaskDefinition, queue: &Queue) -> Result<Value> {
    let path = checkout.join(".taskcluster.yml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let document: Value = serde_yaml_ng::from_str(&text).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(actions().to_json_in_tree(&document, own, queue.caller().root_url())?)
}

/// Does what somebody asked for.
pub(crate) async fn carry_out(request: &ActionRequest, queue: &Queue) -> Result<()> {
    let carried_out = actions().run(request, queue).await;
    carried_out.map_err(|error| anyhow!("cannot {}: {error}", request.name))?;
    println!("{}: done", request.name);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use taskcluster::TaskId;
    use taskcluster::graph::actions::{Offer, Rendered};
    use taskcluster::queue::TaskDefinitionRequest;
    use taskcluster_core::caller::Caller;

    #[test]
    fn this_repository_offers_actions_that_a_user_interface_can_trigger() {
        let group: TaskId = "fN1SbArXTPSVFNUvaOlinQ".parse().unwrap();
        let own: TaskDefinition = serde_json::from_value(json!({
            "taskQueueId": "local/native", "provisionerId": "local", "workerType": "native", "schedulerId": "ours",
            "projectId": "none", "taskGroupId": group, "dependencies": [], "requires": "all-completed", "routes": [],
            "priority": "lowest", "retries": 5, "created": "2026-01-01T00:00:00.000Z",
            "deadline": "2026-01-01T02:00:00.000Z", "expires": "2026-01-08T00:00:00.000Z",
            "scopes": ["assume:repo:example.com/team/thing:branch:main", "generic-worker:cache:taskcluster-sdk"],
            "payload": {}, "tags": {}, "extra": {},
            "metadata": {"name": "x", "description": "x", "owner": "me@example.com", "source": "https://example.com"},
        }))
        .unwrap();
        let queue = Queue::new(Caller::builder("https://tc.example.com").build().unwrap());
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let offer = Offer::read(group, offered(root, &own, &queue).unwrap()).unwrap();

        for (name, chosen) in [
            ("rerun", Some((&group, &own))),
            ("retrigger", Some((&group, &own))),
            ("create-interactive", Some((&group, &own))),
            ("cancel-all", None),
        ] {
            let Rendered::Task { task_id, definition } = offer.render(name, chosen, &Value::Null).unwrap() else {
                panic!("{name} is no hook");
            };
            let task: TaskDefinitionRequest = serde_json::from_value(Value::Object(definition)).unwrap();
            assert_eq!((task.task_group_id, task.scheduler_id.as_deref()), (Some(group), Some("ours")), "{name}");
            assert_eq!(task.scopes.unwrap(), ["assume:repo:example.com/team/thing:branch:main"], "{name}");
            let program = &task.payload["mounts"][0]["content"]["taskId"];
            assert_eq!(
                (program, task.dependencies.unwrap()),
                (&json!(group), vec![group]),
                "mounted from what it needs"
            );
            let env = &task.payload["env"];
            let variable = |variable: &str| match variable {
                "TASK_ID" => Some(task_id.to_string()),
                _ => env[variable].as_str().map(str::to_owned),
            };
            let request = ActionRequest::read(variable).unwrap().unwrap();
            assert_eq!((request.name.as_str(), request.task_group_id), (name, group));
            assert_eq!(request.task_id, chosen.map(|_| group));
        }
    }
}
