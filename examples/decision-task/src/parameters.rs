//! What a decision depends on: everything else follows from the checkout.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;
use taskcluster::queue::TaskDefinition;
use taskcluster_core::ids::{TaskId, TaskQueueId};
use taskcluster_core::time::Timestamp;

use crate::changes::git;
use crate::variable;

/// The parameters, also published as `public/parameters.yml`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Parameters {
    pub(crate) decision_task: TaskId,
    /// Where the tasks run and whose they are: from the decision task's own definition.
    pub(crate) task_queue_id: TaskQueueId,
    pub(crate) scheduler_id: String,
    pub(crate) created: Timestamp,
    pub(crate) owner: String,
    pub(crate) source: String,
    /// Where tasks fetch from.
    pub(crate) repository: String,
    pub(crate) head_revision: String,
    /// `None`: compare with nothing, everything counts as changed.
    pub(crate) base_revision: Option<String>,
}

impl Parameters {
    /// Within a task: from its definition and the environment that `.taskcluster.yml` gives it.
    ///
    /// The queue wants `created` to be near the present, and a decision task that is tried again wants what it said
    /// before. So it is the time of the first try, which `created` of a task from that try tells.
    pub(crate) fn of_task(
        decision_task: TaskId,
        own: &TaskDefinition,
        created: Timestamp,
        base: Option<&str>,
    ) -> Result<Self> {
        let base = base.map(str::to_owned).or_else(|| variable("BASE_REVISION").ok());
        Ok(Self {
            decision_task,
            task_queue_id: own.task_queue_id.clone(),
            scheduler_id: own.scheduler_id.clone(),
            created,
            owner: own.metadata.owner.clone(),
            source: own.metadata.source.clone(),
            repository: variable("HEAD_REPOSITORY")?,
            head_revision: variable("HEAD_REVISION")?,
            base_revision: base.filter(|base| !is_no_commit(base)),
        })
    }

    /// Outside of a task: for a look at what would happen.
    pub(crate) fn of_checkout(checkout: &Path, base: Option<&str>) -> Result<Self> {
        let head_revision = git(checkout, &["rev-parse", "HEAD"])?.trim().to_owned();
        let base_revision = match base {
            Some(base) => {
                Some(git(checkout, &["rev-parse", "--verify", &format!("{base}^{{commit}}")])?.trim().to_owned())
            }
            None => git(checkout, &["rev-parse", "--verify", "HEAD^1"]).ok().map(|hash| hash.trim().to_owned()),
        };
        Ok(Self {
            decision_task: "fN1SbArXTPSVFNUvaOlinQ".parse().context("an id for showing")?,
            task_queue_id: TaskQueueId::from_parts("local", "native")?,
            scheduler_id: "local".to_owned(),
            created: Timestamp::from_millis(0),
            owner: "nobody@example.com".to_owned(),
            source: "https://example.com".to_owned(),
            repository: checkout.display().to_string(),
            head_revision,
            base_revision,
        })
    }

    /// A flat mapping; every JSON value is a YAML value.
    pub(crate) fn to_yaml(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        let fields = value.as_object().into_iter().flatten();
        fields.map(|(name, value): (&String, &Value)| format!("{name}: {value}\n")).collect()
    }
}

/// Push events say "no commit" with zeros.
fn is_no_commit(hash: &str) -> bool {
    hash.bytes().all(|byte| byte == b'0')
}
