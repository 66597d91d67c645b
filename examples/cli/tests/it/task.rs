//! Tasks that tests create.

use taskcluster::queue::{TaskDefinitionRequest, TaskMetadata};
use taskcluster_core::clock::{Clock as _, SystemClock};
use taskcluster_core::ids::TaskQueueId;
use taskcluster_core::object;
use taskcluster_core::time::hours;

/// A task that does nothing, for this queue.
pub(crate) fn definition(queue: &str) -> TaskDefinitionRequest {
    let now = SystemClock.now();
    let metadata = TaskMetadata::new("nothing", "It does nothing.", "me@example.com", "https://example.com");
    let payload = object! { "command": [["true"]], "maxRunTime": 600 };
    TaskDefinitionRequest::new(now, now + hours(1), payload, metadata)
        .with_task_queue_id(queue.parse::<TaskQueueId>().unwrap())
        .with_scheduler_id("tests")
}
