//! One claimed run: kept claimed, run, ended, reported.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use taskcluster::queue::{Queue, TaskClaim, TaskCredentials, TaskExceptionRequest};
use taskcluster_core::credentials::{Certificate, Credentials, SharedCredentials};
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;

use super::undecided::Undecided;
use super::{Running, cancellations};
use crate::artifacts::Allowance;
use crate::context::{Parts, TaskContext};
use crate::events::Event;
use crate::log::TaskLog;
use crate::outcome::{NotOurs, Outcome};
use crate::run::{Fault, Run};
use crate::shutdown::Shutdown;
use crate::stop::Stop;
use crate::worker::Inner;
use taskcluster_core::chain;

/// What the claim loop wants to know of a run.
#[derive(Debug)]
pub(super) struct Attended {
    pub(super) task_id: TaskId,
    /// Who was at fault.
    pub(super) fault: Fault,
}

/// How long to wait before a failed reclaim or report is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// How long the reason of a refused reclaim is waited for: a run that is over stops within two seconds.
const BRIEFLY: Duration = Duration::from_secs(1);

/// Attend to a run from its claim to its end. Its task waits until caches are `purged`; it is `undecided` what it needs until the
/// engine has seen its payload.
pub(super) async fn attend(
    inner: Arc<Inner>,
    running: Running,
    shutdown: Shutdown,
    purged: impl Future<Output = ()>,
    claim: TaskClaim,
    undecided: Undecided,
) -> Attended {
    let (task_id, run_id) = (claim.status.task_id, claim.run_id);
    tracing::info!(task.id = %task_id, run.id = %run_id, "claimed");
    inner.emit(Event::Claimed { task_id, run_id, name: claim.task.metadata.name.clone() });
    let claimed = match Claimed::new(&inner, claim) {
        Ok(claimed) => claimed,
        Err(message) => {
            // Without credentials or a log nothing can be reported: the claim expires and the queue tries again.
            tracing::error!(task.id = %task_id, run.id = %run_id, message, "cannot begin a run");
            inner.emit(Event::Trouble { message });
            return Attended { task_id, fault: Fault::Own };
        }
    };
    let key = (task_id, run_id);
    running.lock().expect("nothing panics holding it").insert(key, claimed.task.clone());
    let (outcome, fault) = tokio::select! {
        end = claimed.attend(purged, undecided) => end,
        never = claimed.keep() => match never {},
        never = claimed.give_back(&shutdown) => match never {},
    };
    running.lock().expect("nothing panics holding it").remove(&key);
    tracing::info!(task.id = %task_id, run.id = %run_id, %outcome, "ended");
    inner.emit(Event::Resolved { task_id, run_id, outcome });
    Attended { task_id, fault }
}

/// A run that is this worker's for the time being.
struct Claimed {
    inner: Arc<Inner>,
    task: Arc<TaskContext>,
    taken_until: Mutex<Timestamp>,
    /// What the queue has been told; held while it is being told.
    told: tokio::sync::Mutex<Option<Outcome>>,
    _scratch: Scratch,
}

impl Claimed {
    fn new(inner: &Arc<Inner>, claim: TaskClaim) -> Result<Self, String> {
        let (task_id, run_id) = (claim.status.task_id, claim.run_id);
        let credentials = SharedCredentials::new(credentials(&claim.credentials)?);
        let caller = inner.caller_of(credentials.clone()).map_err(|error| chain(&error).to_string())?;
        let scratch = Scratch::create(inner.settings.work_dir.join("runs").join(format!("{task_id}_{run_id}")))
            .map_err(|error| format!("cannot make the directory of a run: {error}"))?;
        let sink = inner.events.clone().map(|events| -> Arc<dyn Fn(bytes::Bytes) + Send + Sync> {
            Arc::new(move |chunk| events(Event::Log { task_id, run_id, chunk }))
        });
        let log = TaskLog::with_sink(&scratch.0.join("log"), inner.clock.clone(), sink)
            .map_err(|error| format!("cannot make the log of a run: {error}"))?;
        let task = TaskContext::new(Parts {
            task_id,
            run_id,
            definition: claim.task,
            identity: inner.identity.clone(),
            queue: Queue::new(caller.clone()),
            caller,
            credentials,
            log,
            clock: inner.clock.clone(),
            scratch: scratch.0.clone(),
            object_artifacts: inner.settings.object_artifacts,
            live_log: inner.settings.live_logs,
            artifacts: Allowance::new(inner.settings.artifact_limits),
            local: inner.local,
        });
        let taken_until = Mutex::new(claim.taken_until);
        Ok(Self { inner: inner.clone(), task, taken_until, told: Default::default(), _scratch: scratch })
    }

    /// Run the task and tell the queue how it ended.
    async fn attend(&self, purged: impl Future<Output = ()>, undecided: Undecided) -> (Outcome, Fault) {
        let task = &self.task;
        self.header();
        tokio::select! {
            () = purged => {}
            _ = task.switch.abandon() => {}
        }
        let (inner, context) = (self.inner.clone(), task.clone());
        let mut run = Run::new(task.clone(), &self.inner.plugins, move || {
            inner.emit(Event::Started { task_id: context.task_id(), run_id: context.run_id() });
        });
        run.once_prepared(move || drop(undecided));
        let outcome = run.drive(&*self.inner.engine, &self.inner.schema).await;
        let outcome = self.end(&mut run, outcome).await;
        let fault = run.fault;
        run.dispose().await;
        (outcome, fault)
    }

    fn header(&self) {
        let (task, identity) = (&self.task, self.task.identity());
        task.log().info(format!(
            "Task ID: {}\nRun ID: {}\nWorker: {}/{} of {}\nEngine: {}",
            task.task_id(),
            task.run_id(),
            identity.worker_group,
            identity.worker_id,
            identity.task_queue_id,
            self.inner.engine.name(),
        ));
    }

    /// Upload the log and report, in the order that the outcome asks for.
    ///
    /// The queue takes no artifacts of a run that is completed or failed, so these are reported last. A worker that goes away
    /// has reported already; artifacts are taken for a while after an exception.
    async fn end(&self, run: &mut Run, outcome: Outcome) -> Outcome {
        if let Some(abandoned) = self.task.switch.abandoned() {
            let outcome = self.report(abandoned).await;
            run.finish(outcome).await;
            return outcome;
        }
        let finishing = run.finish(outcome);
        tokio::pin!(finishing);
        tokio::select! {
            outcome = &mut finishing => self.report(outcome).await,
            abandoned = self.task.switch.abandon() => {
                let outcome = self.report(abandoned).await;
                finishing.await;
                outcome
            }
        }
    }

    /// Tell the queue how the run ended, once. Gives what it has been told, which is what somebody else may have told before.
    async fn report(&self, outcome: Outcome) -> Outcome {
        let mut told = self.told.lock().await;
        match *told {
            Some(before) => before,
            None => *told.insert(self.insist(outcome).await),
        }
    }

    /// Tell the queue, again and again for as long as the run is ours. Gives how it has ended.
    async fn insist(&self, outcome: Outcome) -> Outcome {
        let task = &self.task;
        loop {
            let error = match self.report_once(outcome).await {
                Ok(()) => return outcome,
                Err(error) => error,
            };
            if error.is_conflict() || error.is_not_found() {
                tracing::info!(task.id = %task.task_id(), %outcome, "the run was resolved by somebody else");
                // What was cancelled in the same moment was cancelled.
                let over = cancellations::why_over(&self.inner, (task.task_id(), task.run_id())).await;
                return over.map_or(outcome, Outcome::NotOurs);
            }
            let message = chain(&error).to_string();
            tracing::error!(task.id = %task.task_id(), %outcome, message, "cannot report");
            self.inner.emit(Event::Trouble { message });
            if !error.is_retryable() || task.clock().now() + AGAIN > self.taken_until() {
                return outcome;
            }
            task.clock().sleep(AGAIN).await;
        }
    }

    async fn report_once(&self, outcome: Outcome) -> Result<(), taskcluster_core::Error> {
        let (queue, task_id, run_id) = (self.task.queue(), self.task.task_id(), self.task.run_id());
        match outcome {
            Outcome::Completed => queue.report_completed(&task_id, run_id).await.map(drop),
            Outcome::Failed => queue.report_failed(&task_id, run_id).await.map(drop),
            Outcome::Exception(reason) => {
                let request = TaskExceptionRequest::new(reason.as_str());
                queue.report_exception(&task_id, run_id, &request).await.map(drop)
            }
            Outcome::NotOurs(_) => Ok(()),
        }
    }

    /// Keep the run claimed for as long as this is polled.
    async fn keep(&self) -> Infallible {
        let clock = self.task.clock();
        loop {
            let left = self.taken_until().since(clock.now());
            clock.sleep(left / 2).await;
            if let Err(lost) = self.reclaim().await {
                self.task.stop(lost);
                std::future::pending::<()>().await;
            }
        }
    }

    /// Stop the run when the worker is to go, and tell the queue without waiting until that is done: the machine may be gone
    /// before a process has ended.
    async fn give_back(&self, shutdown: &Shutdown) -> Infallible {
        let why = shutdown.given_back().await;
        let _ = self.task.given_back.set(why.to_owned());
        self.task.stop(Stop::WorkerShutdown);
        if let Some(given_back @ Outcome::Exception(_)) = self.task.switch.abandoned() {
            self.report(given_back).await;
        }
        std::future::pending().await
    }

    async fn reclaim(&self) -> Result<(), Stop> {
        let (task, clock) = (&self.task, self.task.clock());
        loop {
            let error = match task.queue().reclaim_task(&task.task_id(), task.run_id()).await {
                Ok(response) => {
                    match credentials(&response.credentials) {
                        Ok(fresh) => task.credentials().replace(fresh),
                        Err(message) => {
                            tracing::error!(task.id = %task.task_id(), message, "cannot use fresh credentials")
                        }
                    }
                    *self.taken_until.lock().expect("nothing panics holding it") = response.taken_until;
                    return Ok(());
                }
                Err(error) => error,
            };
            if error.is_conflict() || error.is_not_found() {
                return Err(Stop::NotOurs(self.why_over().await));
            }
            tracing::warn!(task.id = %task.task_id(), error = %chain(&error), "cannot reclaim");
            if clock.now() + AGAIN > self.taken_until() {
                return Err(Stop::NotOurs(NotOurs::ClaimLost));
            }
            clock.sleep(AGAIN).await;
        }
    }

    /// Why the queue says that the run is over. It has just answered; a run that must stop does not wait long for more.
    async fn why_over(&self) -> NotOurs {
        let asked = cancellations::why_over(&self.inner, (self.task.task_id(), self.task.run_id()));
        let why = tokio::time::timeout(BRIEFLY, asked).await;
        why.ok().flatten().unwrap_or(NotOurs::Resolved)
    }

    fn taken_until(&self) -> Timestamp {
        *self.taken_until.lock().expect("nothing panics holding it")
    }
}

/// A run's own directory, removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn create(path: PathBuf) -> std::io::Result<Self> {
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let path: &Path = &self.0;
        if let Err(error) = fs::remove_dir_all(path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove the directory of a run");
        }
    }
}

/// Credentials as the queue hands them out.
pub(super) fn credentials(given: &TaskCredentials) -> Result<Credentials, String> {
    let certificate = Certificate::from_json(given.certificate.expose())
        .map_err(|error| format!("the queue gave a certificate that is none: {}", chain(&error)))?;
    Ok(Credentials::new(&*given.client_id, given.access_token.clone()).with_certificate(certificate))
}
