//! A client of today reads what a service of tomorrow sends: every answer and every message of every service, with a new
//! property in each object, and with a new value in each enumeration or as the mark of a new variant. What it writes again has
//! lost nothing of it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use taskcluster::queue::TaskDefinitionRequest;
use taskcluster::testing::ScriptedTransport;
use taskcluster::{Priority, TaskId, Taskcluster};

use super::instances::{NEW_VALUE, Novelty, Schemas, TASK_ID};

/// One thing that services send.
struct Body {
    name: &'static str,
    schema: &'static str,
    /// Reads it as its Rust type, and writes what was understood.
    read: fn(Value) -> Result<Value, serde_json::Error>,
}

impl Body {
    fn understand(&self, value: &Value) -> Value {
        (self.read)(value.clone()).unwrap_or_else(|error| panic!("{}: {error}: {}", self.name, brief(value)))
    }
}

/// From the references; written by the build script.
static BODIES: &[Body] = include!(concat!(env!("OUT_DIR"), "/bodies.rs"));

fn read<T: DeserializeOwned + Serialize>(value: Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<T>(value)?)
}

fn brief(value: &Value) -> String {
    value.to_string().chars().take(2000).collect()
}

#[test]
fn what_services_send_today_is_understood_whole() {
    let schemas = Schemas::read();
    assert!(BODIES.len() > 40, "only {} bodies", BODIES.len());
    for body in BODIES {
        for value in schemas.instances(body.schema) {
            let understood = body.understand(&value);
            assert_eq!(understood, value, "{}", body.name);
        }
    }
}

#[test]
fn an_unknown_property_anywhere_is_kept() {
    let schemas = Schemas::read();
    let mut count = 0;
    for body in BODIES {
        for value in schemas.novel_instances(body.schema, Novelty::Property) {
            let understood = body.understand(&value);
            assert_eq!(understood, value, "{}: what is not known is written again", body.name);
            count += 1;
        }
    }
    assert!(count > 200, "only {count} places for a property");
}

#[test]
fn an_unknown_value_in_any_enumeration_is_kept() {
    let schemas = Schemas::read();
    let mut count = 0;
    for body in BODIES {
        for value in schemas.novel_instances(body.schema, Novelty::EnumValue) {
            let understood = body.understand(&value);
            assert!(
                understood.to_string().contains(NEW_VALUE),
                "{}: {} became {}",
                body.name,
                brief(&value),
                brief(&understood)
            );
            count += 1;
        }
    }
    assert!(count > 30, "only {count} places for a value");
}

#[tokio::test]
async fn a_task_of_a_later_version_is_created_again_with_nothing_lost() {
    let task_id: TaskId = TASK_ID.parse().unwrap();
    let schemas = Schemas::read();
    let mut definitions = schemas.novel_instances("/schemas/queue/v1/task-definition.json", Novelty::Property);
    let mut of_tomorrow = definitions.pop().unwrap();
    of_tomorrow["later"] = json!({"at": [1, null]});
    let statuses = schemas.instances("/schemas/queue/v1/task-status-response.json");
    let script = ScriptedTransport::new()
        .on("queue.task", of_tomorrow.clone())
        .on("queue.createTask", statuses.into_iter().next().unwrap());
    let tc = Taskcluster::builder("https://tc.example").transport(&script).build().unwrap();

    let definition = tc.queue().task(&task_id).await.unwrap();
    let mut again: TaskDefinitionRequest = serde_json::from_value(serde_json::to_value(definition).unwrap()).unwrap();
    again.priority = Some(Priority::High);
    tc.queue().create_task(&TaskId::new(), &again).await.unwrap();

    of_tomorrow["priority"] = json!("high");
    let sent: Value = serde_json::from_slice(&script.calls()[1].body).unwrap();
    assert_eq!(sent, of_tomorrow);
}
