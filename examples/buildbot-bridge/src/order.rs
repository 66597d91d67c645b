//! An order: what Buildbot is asked to build for a run, and how it is told from all other orders.
//!
//! Each order has the properties `taskId` and `runId`. By these it is found again after the bridge was killed, and after an answer
//! that was lost, so that nothing is ordered twice. A run takes over the order of an earlier one that nobody has judged: the queue
//! made the new run because the bridge was away, and the build knows nothing of that.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use taskcluster::queue::Run;
use taskcluster_core::ids::TaskId;
use taskcluster_worker::{Error, Result, TaskContext};

use crate::bridge::Bridge;
use crate::buildbot::{BuildRequest, BuildbotError, Scheduler};
use crate::payload::BuildPayload;

/// Names the task.
pub(crate) const TASK_ID: &str = "taskId";

/// Names the run.
pub(crate) const RUN_ID: &str = "runId";

/// Holds all properties of the payload as JSON, on masters that have such a parameter.
const PROPERTIES: &str = "properties";

/// Requests in one page of them.
const PAGE: usize = 200;

/// How far the clocks of queue and master may be apart, in seconds.
const APART: i64 = 5 * 60;

/// What Buildbot is to build for a run.
#[derive(Debug)]
pub(crate) struct Order {
    bridge: Bridge,
    builderid: u64,
    parameters: Map<String, Value>,
    task_id: TaskId,
    run_id: u32,
    /// The earliest run whose order is taken over.
    since: u32,
    /// When the task was made, in seconds since 1970: there are no older orders.
    created: i64,
}

impl Order {
    /// Check that what the task asks for can be ordered.
    ///
    /// # Errors
    /// [`Error::Payload`]: it cannot. [`Error::Worker`]: Buildbot or the queue cannot be asked, or the master is not made for this.
    pub(crate) async fn prepare(bridge: &Bridge, task: &Arc<TaskContext>, payload: &BuildPayload) -> Result<Self> {
        let name = &payload.buildername;
        check_scope(bridge, task, name)?;
        let builder = bridge.buildbot.builder(name).await.map_err(|error| match error {
            BuildbotError::NotFound(_) => {
                Error::payload(format!("payload/buildername: Buildbot has no builder {name:?}"))
            }
            error => Error::worker_caused("cannot look at the builder", error),
        })?;
        let scheduler = bridge.buildbot.scheduler(&bridge.scheduler).await;
        let scheduler = scheduler.map_err(|error| Error::worker_caused("cannot look at the scheduler", error))?;
        let parameters = parameters(bridge, task, payload, &scheduler)?;
        let (task_id, run_id) = (task.task_id(), u32::from(task.run_id()));
        let since = if run_id == 0 { 0 } else { first_unjudged(bridge, task_id, run_id).await? };
        let created = task.definition().created.as_seconds();
        Ok(Self { bridge: bridge.clone(), builderid: builder.builderid, parameters, task_id, run_id, since, created })
    }

    /// The request for it, if it was made already.
    pub(crate) async fn find(&self) -> Result<Option<u64>, BuildbotError> {
        for page in 0.. {
            let requests = self.bridge.buildbot.requests(self.builderid, [TASK_ID, RUN_ID], page * PAGE, PAGE).await?;
            if let Some(found) = requests.iter().find(|request| self.is_ours(request)) {
                return Ok(Some(found.buildrequestid));
            }
            if requests.last().is_none_or(|oldest| oldest.submitted_at + APART < self.created) {
                break;
            }
        }
        Ok(None)
    }

    /// Make the request. Only after nothing was [found](Self::find).
    pub(crate) async fn place(&self) -> Result<u64, BuildbotError> {
        self.bridge.buildbot.force(&self.bridge.scheduler, self.builderid, &self.parameters).await
    }

    fn is_ours(&self, request: &BuildRequest) -> bool {
        let run = request.property(RUN_ID).and_then(|run| run.parse::<u32>().ok());
        request.property(TASK_ID) == Some(&*self.task_id.to_string())
            && run.is_some_and(|run| (self.since..=self.run_id).contains(&run))
    }
}

fn check_scope(bridge: &Bridge, task: &TaskContext, builder: &str) -> Result<()> {
    let scopes = ["", "project:releng:"].map(|prefix| format!("{prefix}buildbot-bridge:builder-name:{builder}"));
    if bridge.is_restricted(builder) && !scopes.iter().any(|scope| task.has_scope(scope)) {
        return Err(Error::payload(format!("the task needs the scope {} for this builder", scopes[0])));
    }
    Ok(())
}

/// What the scheduler is told.
fn parameters(
    bridge: &Bridge,
    task: &TaskContext,
    payload: &BuildPayload,
    scheduler: &Scheduler,
) -> Result<Map<String, Value>> {
    let name = &bridge.scheduler;
    if !scheduler.enabled || !scheduler.takes(TASK_ID) || !scheduler.takes(RUN_ID) {
        return Err(Error::worker(format!(
            "Buildbot's scheduler {name:?} is off, or has no parameters {TASK_ID} and {RUN_ID}"
        )));
    }
    if !scheduler.builder_names.contains(&payload.buildername) {
        return Err(Error::payload(format!(
            "payload/buildername: builds of {:?} are not for tasks: Buildbot's scheduler {name:?} does not have it",
            payload.buildername
        )));
    }
    let mut given = payload.properties.clone();
    if !scheduler.takes(PROPERTIES) {
        let unknown: Vec<String> = given
            .keys()
            .filter(|property| !scheduler.takes(property))
            .map(|property| format!("payload/properties: Buildbot's scheduler {name:?} has no parameter {property:?}"))
            .collect();
        if !unknown.is_empty() {
            return Err(Error::Payload(unknown));
        }
    }
    let all = Value::Object(given.clone()).to_string();
    // What it would take for something else than a property stands among all of them only.
    given.retain(|property, _| scheduler.takes(property));
    given.insert(PROPERTIES.to_owned(), all.into());
    given.insert(TASK_ID.to_owned(), task.task_id().to_string().into());
    given.insert(RUN_ID.to_owned(), task.run_id().to_string().into());
    given.insert("reason".to_owned(), format!("task {}", task.task_id()).into());
    given.insert("priority".to_owned(), priority(task).into());
    given.insert("builderNames".to_owned(), json!([payload.buildername]));
    given.extend(payload.sourcestamp.iter().flat_map(|sourcestamp| sourcestamp.parameters()));
    Ok(given)
}

/// The task's priority as Buildbot has it: a number, the usual one 0.
fn priority(task: &TaskContext) -> i32 {
    let names = ["lowest", "very-low", "low", "medium", "high", "very-high", "highest"];
    let asked = task.definition().priority.as_str();
    names.iter().zip(0..).find(|(name, _)| asked == **name).map_or(0, |(_, number)| number)
}

/// The earliest run, before this one, from which on the bridge was away each time.
async fn first_unjudged(bridge: &Bridge, task_id: TaskId, run_id: u32) -> Result<u32> {
    let status = bridge.queue.status(&task_id).await;
    let runs =
        status.map_err(|error| Error::worker_caused("cannot ask for earlier runs of the task", error))?.status.runs;
    let upto = runs.iter().position(|run| u32::from(run.run_id) == run_id).map_or(0, |own| own + 1);
    let pairs = runs[..upto].windows(2).rev();
    let unjudged = pairs.take_while(|pair| is_taken_over(&pair[0], &pair[1]));
    Ok(unjudged.last().map_or(run_id, |pair| u32::from(pair[0].run_id)))
}

/// Whether `run` goes on with what was ordered for the run before it: the queue made it by itself, since the bridge was away.
pub(crate) fn is_taken_over(before: &Run, run: &Run) -> bool {
    let reason = before.reason_resolved.as_ref().map(|reason| reason.as_str());
    matches!(reason, Some("worker-shutdown" | "claim-expired")) && run.reason_created.as_str() == "retry"
}
