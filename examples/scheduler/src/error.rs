//! The edge: what the domain says becomes a status and a code here, and nowhere else.

use serde_json::json;
use taskcluster_server::Failure;

use crate::submission::Fault;
use crate::submit::Refusal;

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Faults(faults) => faulty(&faults),
            Refusal::Conflict(message) => Self::conflict(message),
            Refusal::NoGraph => Self::not_found("there is no such task graph"),
            Refusal::Unavailable(error) => Self::internal(error),
            Refusal::Store(error) => Self::internal(error),
        }
    }
}

/// All faults: for people in the message, for programs beside it.
fn faulty(faults: &[Fault]) -> Failure {
    let lines: Vec<String> = faults.iter().map(|Fault { task_id, message }| format!("{task_id}: {message}")).collect();
    let message = format!("nothing was submitted, since not all tasks can be created:\n{}", lines.join("\n"));
    Failure::custom(400, json!({ "code": "InputError", "message": message, "error": faults }))
}
