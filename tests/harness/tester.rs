//! What users and workers do, as verbs.

use std::ops::Deref;

use taskcluster::artifacts::Artifacts;
use taskcluster::queue::{ClaimWorkRequest, Queue, TaskClaim, TaskDefinitionRequest, TaskMetadata, TaskStatus};
use taskcluster::time::{days, hours};
use taskcluster::{Caller, Credentials, Error, RunId, TaskId, TaskQueueId, Taskcluster, Timestamp, object};

use crate::soon;

/// Somebody who calls services: the SDK's handle with a few verbs more.
#[derive(Clone, Debug)]
pub struct Tester {
    tc: Taskcluster,
}

/// A task for the queue `test/e2e` that is due in an hour.
pub fn task(now: Timestamp) -> TaskDefinitionRequest {
    let metadata = TaskMetadata::new("task", "A task of the tests.", "tests@example.com", "https://example.com/tests");
    TaskDefinitionRequest::new(now, now + hours(1), object! { "command": ["true"] }, metadata)
        .with_task_queue_id(queue_id())
        .with_expires(now + days(2))
}

fn queue_id() -> TaskQueueId {
    "test/e2e".parse().expect("two names")
}

/// Work that a worker has claimed, and the means to do it.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The task.
    pub task_id: TaskId,
    /// Which of its runs.
    pub run_id: RunId,
    /// When the claim ends.
    pub taken_until: Timestamp,
    worker: Tester,
}

impl Tester {
    /// Somebody who calls this way.
    pub fn new(caller: Caller) -> Self {
        Self { tc: caller.into() }
    }

    /// The time, as the caller's clock shows it.
    pub fn now(&self) -> Timestamp {
        self.tc.caller().clock().now()
    }

    /// Creates [a task](task).
    ///
    /// # Panics
    /// If the queue refuses.
    pub async fn create_task(&self) -> TaskId {
        self.create(&task(self.now())).await
    }

    /// Creates this task.
    ///
    /// # Panics
    /// If the queue refuses.
    pub async fn create(&self, definition: &TaskDefinitionRequest) -> TaskId {
        let task_id = TaskId::new();
        soon(self.queue().create_task(&task_id, definition).into_future()).await.expect("the task is created");
        task_id
    }

    /// The status of a task.
    ///
    /// # Panics
    /// If the queue refuses.
    pub async fn status(&self, task_id: &TaskId) -> TaskStatus {
        soon(self.queue().status(task_id).into_future()).await.expect("the task has a status").status
    }

    /// The state of a task, such as `pending`.
    ///
    /// # Panics
    /// If the queue refuses.
    pub async fn state(&self, task_id: &TaskId) -> String {
        self.status(task_id).await.state.to_string()
    }

    /// Claims up to `count` tasks of `test/e2e`.
    ///
    /// # Panics
    /// If the queue refuses.
    pub async fn claim_up_to(&self, count: u32) -> Vec<Claimed> {
        self.try_claim(count).await.expect("the queue lets us claim")
    }

    /// Claims one task of `test/e2e`, which must be there.
    ///
    /// # Panics
    /// If it is not.
    pub async fn claim(&self) -> Claimed {
        self.claim_up_to(1).await.pop().expect("a task waits")
    }

    /// Claims up to `count` tasks of `test/e2e`.
    ///
    /// # Errors
    /// As the queue says.
    pub async fn try_claim(&self, count: u32) -> Result<Vec<Claimed>, Error> {
        let request = ClaimWorkRequest::new("test-group", "test-worker", count);
        let claims = soon(self.queue().claim_work(queue_id().as_ref(), &request).into_future()).await?.tasks;
        Ok(claims.into_iter().map(|claim| self.claimed(claim)).collect())
    }

    fn claimed(&self, claim: TaskClaim) -> Claimed {
        let credentials =
            Credentials::try_from(claim.credentials).expect("the queue issues credentials that are whole");
        let caller = self.caller().to_builder().credentials(credentials).build().expect("they can sign");
        Claimed {
            task_id: claim.status.task_id,
            run_id: claim.run_id,
            taken_until: claim.taken_until,
            worker: Self::new(caller),
        }
    }
}

impl Deref for Tester {
    type Target = Taskcluster;

    fn deref(&self) -> &Taskcluster {
        &self.tc
    }
}

impl Claimed {
    /// Somebody with the task's credentials.
    pub fn worker(&self) -> &Tester {
        &self.worker
    }

    /// A client with the task's credentials.
    pub fn queue(&self) -> Queue {
        self.worker.queue()
    }

    /// Uploads and downloads with the task's credentials.
    pub fn artifacts(&self) -> Artifacts {
        self.worker.artifacts()
    }

    /// Reports the run as completed.
    ///
    /// # Errors
    /// As the queue says.
    pub async fn completed(&self) -> Result<TaskStatus, Error> {
        Ok(soon(self.queue().report_completed(&self.task_id, self.run_id).into_future()).await?.status)
    }

    /// Reports the run as failed.
    ///
    /// # Errors
    /// As the queue says.
    pub async fn failed(&self) -> Result<TaskStatus, Error> {
        Ok(soon(self.queue().report_failed(&self.task_id, self.run_id).into_future()).await?.status)
    }
}
