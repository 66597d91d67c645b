//! A client of today reads what a service of tomorrow sends: every answer and every message of every service, with a new
//! property in each object, and with a new value in each enumeration or as the mark of a new variant.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::instances::{NEW_VALUE, Novelty, Schemas};

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
fn an_unknown_property_anywhere_is_no_obstacle() {
    let schemas = Schemas::read();
    let mut count = 0;
    for body in BODIES {
        for value in schemas.novel_instances(body.schema, Novelty::Property) {
            body.understand(&value);
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
