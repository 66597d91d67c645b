//! The methods of the queue: a request in, the domain asked, an answer out. One file for each group of methods.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use service_kit::blobs::Buckets;
use taskcluster::queue as wire;
use taskcluster_core::caller::Caller;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::ids::{RunId, TaskId};
use taskcluster_core::time::{Timestamp, minutes};
use taskcluster_server::queue::*;
use taskcluster_server::{Call, Failure, Reply};
use tokio_util::sync::CancellationToken;

use crate::definition::Limits;
use crate::objects::Objects;
use crate::store::{ApplyRefusal, Store};
use crate::task::{Event, Task, Worker};

mod artifacts;
mod claims;
mod groups;
mod objects;
mod pages;
mod queues;
mod resolutions;
mod tasks;
mod workers;

/// How the queue behaves.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a claim lasts unless it is renewed.
    pub claim_timeout: Duration,
    /// How long `claimWork` waits for work.
    pub claim_wait: Duration,
    /// How long after its deadline a task is resolved.
    pub deadline_delay: Duration,
    /// How often it is written down that a worker was seen.
    pub worker_update: Duration,
    /// What a task may ask for.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            claim_timeout: minutes(20),
            claim_wait: Duration::from_secs(20),
            deadline_delay: minutes(1),
            worker_update: minutes(30),
            limits: Limits::default(),
        }
    }
}

/// What the methods work with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The state.
    pub store: Store,
    /// Where the bytes of artifacts are.
    pub blobs: Buckets,
    /// Calls the deployment's object service as the queue, if it has one.
    pub objects: Option<Caller>,
    /// Where the time comes from.
    pub clock: SharedClock,
    /// The queue's own credentials: those of tasks are made from them.
    pub credentials: Credentials,
    /// How the queue behaves.
    pub settings: Settings,
    /// Cancelled when nobody shall wait any longer.
    pub shutdown: CancellationToken,
}

/// The queue as an implementation of its reference.
pub struct Api {
    store: Store,
    blobs: Buckets,
    objects: Option<Objects>,
    clock: SharedClock,
    credentials: Credentials,
    settings: Settings,
    shutdown: CancellationToken,
    /// What this process remembers of workers, so that a claim need not ask the store about its worker each time.
    seen: Mutex<HashMap<(String, Worker), Seen>>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// When it was last written down that the worker came.
    written: Timestamp,
    /// When it was last looked whether the worker is in quarantine, and until when it is.
    quarantine: Option<(Timestamp, Option<Timestamp>)>,
}

/// A quarantine that another process has decided on is noticed after this time.
const QUARANTINE_FRESH: Duration = Duration::from_secs(5);

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Api {
    /// The methods over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { store, blobs, objects, clock, credentials, settings, shutdown } = parts;
        let objects = objects.map(Objects::new);
        Self { store, blobs, objects, clock, credentials, settings, shutdown, seen: Mutex::default() }
    }

    async fn find(&self, task_id: TaskId) -> Result<Task, Failure> {
        Ok(self.store.status(task_id).await?.ok_or(ApplyRefusal::NoSuchTask(task_id))?)
    }

    async fn apply(&self, task_id: TaskId, event: Event) -> Result<Task, Failure> {
        Ok(self.store.apply(task_id, event, self.clock.now()).await??)
    }

    /// Remembers that a worker asked for work, now and then.
    async fn see(&self, task_queue_id: &str, worker: &Worker) -> Result<(), Failure> {
        let now = self.clock.now();
        let key = (task_queue_id.to_owned(), worker.clone());
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let recent = |seen: &Seen| now < seen.written + self.settings.worker_update;
            if seen.get(&key).is_some_and(recent) {
                return Ok(());
            }
            // Those who have not come for a while need no place here.
            seen.retain(|_, seen| recent(seen));
            seen.insert(key, Seen { written: now, quarantine: None });
        }
        Ok(self.store.saw_worker(task_queue_id, worker, now).await?)
    }

    /// Is the worker to get no work?
    async fn is_quarantined(&self, task_queue_id: &str, worker: &Worker) -> Result<bool, Failure> {
        let now = self.clock.now();
        let key = (task_queue_id.to_owned(), worker.clone());
        let known = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&key).and_then(|seen| seen.quarantine);
        let until = match known {
            Some((looked, until)) if now < looked + QUARANTINE_FRESH => until,
            Some(_) | None => {
                let until = self.store.quarantine_of(task_queue_id, worker).await?;
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(seen) = seen.get_mut(&key) {
                    seen.quarantine = Some((now, until));
                }
                until
            }
        };
        Ok(until.is_some_and(|until| until > now))
    }

    /// A quarantine was changed: what is remembered of it is no longer true.
    fn forget_quarantine(&self, task_queue_id: &str, worker: &Worker) {
        let key = (task_queue_id.to_owned(), worker.clone());
        if let Some(seen) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&key) {
            seen.quarantine = None;
        }
    }
}

/// The trait wants its methods in one place; each is one of [`Api`]'s own, in the file of its group.
macro_rules! methods {
    ($($name:ident($($arg:ident: $type:ty),*) -> $output:ty;)*) => {
        #[taskcluster_server::async_trait]
        impl QueueApi for Api {
            $(async fn $name(&self, call: &Call, $($arg: $type),*) -> Result<Reply<$output>, Failure> {
                Self::$name(self, call, $($arg),*).await.map(Into::into)
            })*
        }
    };
}

methods! {
    task(task_id: TaskId) -> wire::TaskDefinition;
    tasks(query: TasksQuery, payload: wire::TaskIdsRequest) -> wire::TasksResponse;
    status(task_id: TaskId) -> wire::TaskStatusResponse;
    statuses(query: StatusesQuery, payload: wire::TaskIdsRequest) -> wire::StatusesResponse;
    list_dependent_tasks(task_id: TaskId, query: ListDependentTasksQuery) -> wire::ListDependentTasksResponse;
    create_task(task_id: TaskId, payload: wire::TaskDefinitionRequest) -> wire::TaskStatusResponse;
    schedule_task(task_id: TaskId) -> wire::TaskStatusResponse;
    rerun_task(task_id: TaskId) -> wire::TaskStatusResponse;
    cancel_task(task_id: TaskId) -> wire::TaskStatusResponse;
    change_task_priority(task_id: TaskId, payload: wire::TaskPriorityRequest) -> wire::TaskStatusResponse;
    get_task_group(group: TaskId) -> wire::TaskGroup;
    list_task_group(group: TaskId, query: ListTaskGroupQuery) -> wire::ListTaskGroupResponse;
    seal_task_group(group: TaskId) -> wire::TaskGroup;
    cancel_task_group(group: TaskId) -> wire::CancelTaskGroupResponse;
    change_task_group_priority(group: TaskId, payload: wire::TaskPriorityRequest) -> wire::TaskGroupPriorityResponse;
    claim_work(task_queue_id: String, payload: wire::ClaimWorkRequest) -> wire::ClaimWorkResponse;
    claim_task(task_id: TaskId, run_id: RunId, payload: wire::TaskClaimRequest) -> wire::TaskClaim;
    reclaim_task(task_id: TaskId, run_id: RunId) -> wire::TaskReclaimResponse;
    report_completed(task_id: TaskId, run_id: RunId) -> wire::TaskStatusResponse;
    report_failed(task_id: TaskId, run_id: RunId) -> wire::TaskStatusResponse;
    report_exception(task_id: TaskId, run_id: RunId, payload: wire::TaskExceptionRequest) -> wire::TaskStatusResponse;
    create_artifact(
        task_id: TaskId, run_id: RunId, name: String, payload: wire::PostArtifactRequest
    ) -> wire::PostArtifactResponse;
    finish_artifact(task_id: TaskId, run_id: RunId, name: String, payload: wire::FinishArtifactRequest) -> ();
    get_artifact(task_id: TaskId, run_id: RunId, name: String) -> wire::GetArtifactResponse;
    get_latest_artifact(task_id: TaskId, name: String) -> wire::GetArtifactResponse;
    list_artifacts(task_id: TaskId, run_id: RunId, query: ListArtifactsQuery) -> wire::ListArtifactsResponse;
    list_latest_artifacts(task_id: TaskId, query: ListLatestArtifactsQuery) -> wire::ListArtifactsResponse;
    artifact_info(task_id: TaskId, run_id: RunId, name: String) -> wire::Artifact;
    latest_artifact_info(task_id: TaskId, name: String) -> wire::Artifact;
    artifact(task_id: TaskId, run_id: RunId, name: String) -> wire::ArtifactContentResponse;
    latest_artifact(task_id: TaskId, name: String) -> wire::ArtifactContentResponse;
    list_task_queues(query: ListTaskQueuesQuery) -> wire::ListTaskQueuesResponse;
    get_task_queue(task_queue_id: String) -> wire::TaskQueue;
    pending_tasks(task_queue_id: String) -> wire::PendingTasksResponse;
    task_queue_counts(task_queue_id: String) -> wire::TaskQueueCountsResponse;
    list_pending_tasks(task_queue_id: String, query: ListPendingTasksQuery) -> wire::ListPendingTasksResponse;
    list_claimed_tasks(task_queue_id: String, query: ListClaimedTasksQuery) -> wire::ListClaimedTasksResponse;
    list_provisioners(query: ListProvisionersQuery) -> wire::ListProvisionersResponse;
    get_provisioner(provisioner_id: String) -> wire::Provisioner;
    list_worker_types(provisioner_id: String, query: ListWorkerTypesQuery) -> wire::ListWorkerTypesResponse;
    get_worker_type(provisioner_id: String, worker_type: String) -> wire::WorkerType;
    list_workers(provisioner_id: String, worker_type: String, query: ListWorkersQuery) -> wire::ListWorkersResponse;
    get_worker(provisioner_id: String, worker_type: String, worker_group: String, worker_id: String) -> wire::Worker;
    quarantine_worker(
        provisioner_id: String, worker_type: String, worker_group: String, worker_id: String,
        payload: wire::QuarantineWorkerRequest
    ) -> wire::Worker;
    declare_worker(
        provisioner_id: String, worker_type: String, worker_group: String, worker_id: String,
        payload: wire::DeclareWorkerRequest
    ) -> wire::Worker;
}
