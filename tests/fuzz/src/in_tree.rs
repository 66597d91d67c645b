//! `.taskcluster.yml`: whatever stands there, it renders soon, to tasks that can be created in their order, or is refused in
//! one line.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use taskcluster_core::Timestamp;
use taskcluster_in_tree::{Context, FirstTask, first_tasks};

/// A refusal is read by a person.
const LONGEST_COMPLAINT: usize = 2000;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match rendered(text) {
        Ok(tasks) => {
            tasks.iter().for_each(is_complete);
            can_be_created_in_order(&tasks);
            // Ids are drawn anew each time, and a template may look into them.
            if !text.contains("as_slugid") {
                let again = rendered(text).expect("it could be rendered before");
                assert_eq!(without_ids(&tasks), without_ids(&again), "rendered anew it is the same");
            }
        }
        Err(complaint) => {
            assert!(complaint.starts_with(".taskcluster.yml:"), "{complaint}");
            assert!(!complaint.contains(char::is_control), "{complaint:?} is one line");
            assert!(complaint.len() < LONGEST_COMPLAINT, "{complaint}");
        }
    }
}

fn rendered(text: &str) -> Result<Vec<FirstTask>, String> {
    let event = json!({
        "ref": "refs/heads/main",
        "after": "0123abcd",
        "commits": [{ "message": "${ref}", "modified": ["a", "b"] }, { "message": "", "modified": [] }],
        "repository": { "name": "thing", "clone_url": "http://127.0.0.1/x.git", "size": 7.5, "private": false, "fork": null },
    });
    let context = Context {
        tasks_for: "github-push",
        event: &event,
        root_url: "http://127.0.0.1:80",
        scheduler_id: "local",
        now: Timestamp::from_millis(1_795_000_000_000),
    };
    first_tasks(text, &context).map_err(|error| error.to_string())
}

fn is_complete(task: &FirstTask) {
    assert_eq!(task.definition["taskGroupId"], json!(task.task_group_id));
    assert!(!task.definition.contains_key("taskId"));
    assert!(task.definition.contains_key("created") && task.definition.contains_key("schedulerId"));
    let written = serde_json::to_string(&task.definition).expect("it is JSON");
    assert!(serde_json::from_str::<Value>(&written).is_ok(), "the queue can read it: {written}");
}

fn can_be_created_in_order(tasks: &[FirstTask]) {
    let ids: BTreeSet<String> = tasks.iter().map(|task| task.task_id.to_string()).collect();
    assert_eq!(ids.len(), tasks.len(), "no id is used twice");
    let mut created = BTreeSet::new();
    for task in tasks {
        let dependencies = task.definition.get("dependencies").and_then(Value::as_array);
        for id in dependencies.into_iter().flatten().filter_map(Value::as_str) {
            assert!(!ids.contains(id) || created.contains(id), "{} comes before {id}", task.place);
        }
        created.insert(task.task_id.to_string());
    }
}

/// The definitions without the ids that were drawn for them.
fn without_ids(tasks: &[FirstTask]) -> Vec<Value> {
    let mut definitions: Vec<Value> = tasks.iter().map(|task| json!(task.definition)).collect();
    definitions.iter_mut().for_each(|definition| definition["taskGroupId"] = Value::Null);
    definitions
}
