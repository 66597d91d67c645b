//! Checks of payloads, one per task queue: what a worker takes is the worker's choice.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};
use taskcluster_core::ids::TaskQueueId;

type Check<'c> = Box<dyn Fn(&Map<String, Value>) -> Vec<String> + 'c>;

/// How to check the payloads of each task queue. Those of a queue that is not listed are taken as they are.
///
/// ```
/// use taskcluster::graph::Payloads;
///
/// // With a JSON schema library: validator.iter_errors(payload).map(|error| error.to_string()).collect()
/// let payloads = Payloads::new().with("local/native", |payload| {
///     let wrong = !payload.contains_key("command");
///     wrong.then(|| "there is no `command`".to_owned()).into_iter().collect()
/// });
/// # let _ = payloads;
/// ```
#[derive(Default)]
pub struct Payloads<'c> {
    checks: BTreeMap<String, Check<'c>>,
}

impl<'c> Payloads<'c> {
    /// No checks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks the payloads for this task queue, `provisioner/worker-type`. The check gives the reasons why a payload is
    /// not valid, and none for a valid one.
    #[must_use]
    pub fn with(
        mut self,
        task_queue_id: impl Into<String>,
        check: impl Fn(&Map<String, Value>) -> Vec<String> + 'c,
    ) -> Self {
        self.checks.insert(task_queue_id.into(), Box::new(check));
        self
    }

    pub(super) fn check(&self, task_queue_id: &TaskQueueId, payload: &Map<String, Value>) -> Vec<String> {
        self.checks.get(task_queue_id.as_str()).map(|check| check(payload)).unwrap_or_default()
    }
}

impl fmt::Debug for Payloads<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.checks.keys()).finish()
    }
}
