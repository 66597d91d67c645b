//! Which hook an action triggers, and with what.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ActionError;

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hook {
    pub(super) hook_group_id: String,
    pub(super) hook_id: String,
    /// A template.
    pub(super) hook_payload: Value,
}

impl Hook {
    /// Whether a hook can be called that, by the reference of the service.
    pub(super) fn check(&self, action: &str) -> Result<(), ActionError> {
        let is_name = |name: &str, others: &[u8]| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
            (1..=1000).contains(&name.len()) && name.bytes().all(allowed)
        };
        if is_name(&self.hook_group_id, b"-_") && is_name(&self.hook_id, b"-_/") {
            return Ok(());
        }
        let hook = format!("{}/{}", self.hook_group_id, self.hook_id);
        Err(ActionError::Hook { name: action.to_owned(), hook })
    }
}
