//! Files of the decision task, fetched by others.

use serde::de::DeserializeOwned;
use taskcluster_core::caller::Caller;
use taskcluster_core::ids::TaskId;

use super::ActionError;
use crate::artifacts::Artifacts;

#[cfg(feature = "actions-trigger")]
pub(super) const ACTIONS: &str = "public/actions.json";
pub(super) const LABEL_TO_TASK_ID: &str = "public/label-to-taskid.json";

/// Larger ones are not what their name says.
const LIMIT: usize = 100 << 20;

/// Reads a file of the decision task of this group, which has the group's id.
pub(super) async fn fetch<T: DeserializeOwned>(
    caller: &Caller,
    task_group_id: &TaskId,
    file: &'static str,
) -> Result<T, ActionError> {
    let fetched = Artifacts::new(caller).download_latest(task_group_id, file).to_memory(LIMIT).await;
    let text = fetched.map_err(|source| ActionError::Fetch { file, source: Box::new(source) })?;
    serde_json::from_slice(&text).map_err(|error| ActionError::Unreadable { file, reason: error.to_string() })
}
