//! The endpoints that every service has and that say only that it runs.

use serde_json::{Value, json};

/// How the running program is described by `__version__`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Version(pub(crate) String);

impl Version {
    pub(crate) fn object(&self) -> Value {
        json!({ "version": self.0, "commit": "", "source": "", "build": "" })
    }
}

/// The answer to one of the built-in methods, by its path below the API's root (or below the root of the process).
pub(crate) fn answer(path: &str, version: &Version, uptime: std::time::Duration) -> Option<Value> {
    match path.trim_end_matches('/') {
        "/ping" => Some(json!({ "alive": true, "uptime": uptime.as_secs_f64() })),
        "/__lbheartbeat__" | "/__heartbeat__" => Some(json!({})),
        "/__version__" => Some(version.object()),
        _ => None,
    }
}
