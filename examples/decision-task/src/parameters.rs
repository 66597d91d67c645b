//! The parameters of a decision that nobody pushed.

use std::path::Path;

use anyhow::Result;
use taskcluster::graph::Parameters;
use taskcluster_core::ids::TaskQueueId;

use crate::git::{commit, git};

/// Outside of a task: for a look at what would happen.
pub(crate) fn of_checkout(checkout: &Path, base: Option<&str>) -> Result<Parameters> {
    let head_revision = git(checkout, &["rev-parse", "HEAD"])?.trim().to_owned();
    let base_revision = match base {
        Some(base) => Some(commit(checkout, base)?),
        None => git(checkout, &["rev-parse", "--verify", "HEAD^1"]).ok().map(|hash| hash.trim().to_owned()),
    };
    let task_queue_id = TaskQueueId::from_parts("local", "native")?;
    let mut parameters = Parameters::for_show(task_queue_id, checkout.display().to_string(), head_revision);
    parameters.base_revision = base_revision;
    Ok(parameters)
}
