//! What an operator keeps tasks from, though the worker could do it.

use serde_json::Value;

/// What payloads may not ask for on a worker, whatever its engine and plugins offer. A task that does is a malformed payload, before
/// anything is done for it.
///
/// ```
/// use taskcluster_worker::payload::Refused;
/// use serde_json::json;
///
/// let refused = Refused::default().feature("interactive").property("mounts");
/// let reasons = refused.reasons(&json!({"features": {"interactive": true, "liveLog": true}, "mounts": []}));
/// assert_eq!(reasons, ["payload/features/interactive: this worker does not offer it"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    features: Vec<String>,
    properties: Vec<String>,
}

impl Refused {
    /// Nor may they turn on this flag of `features`.
    #[must_use]
    pub fn feature(mut self, name: impl Into<String>) -> Self {
        self.features.push(name.into());
        self
    }

    /// Nor may they have anything in this property, a list or an object at the top of the payload.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>) -> Self {
        self.properties.push(name.into());
        self
    }

    /// Why a payload is refused; nothing if it is not.
    #[must_use]
    pub fn reasons(&self, payload: &Value) -> Vec<String> {
        let features = self.features.iter().filter(|name| payload["features"][name] == true);
        let properties = self.properties.iter().filter(|name| is_something(&payload[name]));
        let paths = features.map(|name| format!("features/{name}")).chain(properties.cloned());
        paths.map(|path| format!("payload/{path}: this worker does not offer it")).collect()
    }
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
