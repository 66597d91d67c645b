//! The edge: what the domain says becomes a status and a code here, and nowhere else.

use serde_json::json;
use taskcluster_server::Failure;

use crate::provider::{ProviderError, Specification};
use crate::store::RollError;

impl From<RollError> for Failure {
    fn from(error: RollError) -> Self {
        match error {
            RollError::NoWorkerType => no_worker_type(),
            RollError::NoCandidate | RollError::NoPrevious => Self::conflict(error.to_string()),
            RollError::Store(error) => error.into(),
        }
    }
}

impl From<ProviderError> for Failure {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Refused(reason) => Self::input_error(format!("no worker can be started: {reason}")),
            error @ ProviderError::Away { .. } => Self::internal(error),
        }
    }
}

pub(crate) fn no_worker_type() -> Failure {
    Failure::not_found("there is no such worker type")
}

/// All ways that do not add up: for people in the message, for programs beside it.
pub(crate) fn faulty(specifications: &[Specification]) -> Option<Failure> {
    let reasons: Vec<String> = specifications
        .iter()
        .filter_map(|specification| {
            let place = [&specification.place.region, &specification.place.instance_type].map(String::as_str).join(" ");
            let fault = specification.fault.as_ref()?;
            Some(if place.trim().is_empty() { fault.clone() } else { format!("{}: {fault}", place.trim()) })
        })
        .collect();
    if reasons.is_empty() {
        return None;
    }
    let message = format!("not each way to start a worker adds up:\n{}", reasons.join("\n"));
    Some(Failure::custom(400, json!({"code": "InputError", "message": message, "error": {"reasons": reasons}})))
}
