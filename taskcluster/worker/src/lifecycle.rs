//! A worker against the queue: claim, attend to what was claimed, notice cancellations, go away.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use taskcluster::queue::{ClaimWorkRequest, TaskClaim};
use taskcluster_core::chain;
use taskcluster_core::time::Timestamp;
use tokio::task::JoinSet;

use crate::context::TaskContext;
use crate::events::Event;
use crate::run::Fault;
use crate::shutdown::Shutdown;
use crate::worker::{Done, Inner, WhyDone, Worker, WorkerError};

mod attend;
mod cancellations;
mod ears;
mod held;
mod leftovers;
mod lost;
mod oversight;
mod purge;
mod quarantine;
mod room;
mod undecided;

use attend::{Attended, attend};
use held::RunKey;
use lost::Lost;
use oversight::Oversight;
use purge::Purge;
use quarantine::Quarantine;
use undecided::UndecidedTasks;

/// The runs under way, for those who must reach all of them.
type Running = Arc<Mutex<BTreeMap<RunKey, Arc<TaskContext>>>>;

/// An answer without tasks that comes faster than this is not a long poll: wait for the rest of it.
const EMPTY_ANSWER: Duration = Duration::from_secs(1);

pub(crate) async fn run(worker: &Worker, shutdown: &Shutdown) -> Result<Done, WorkerError> {
    let inner = &worker.inner;
    let work_dir = &inner.settings.work_dir;
    let _lock =
        WorkDirLock::take(work_dir).map_err(|source| WorkerError::WorkDir { path: work_dir.clone(), source })?;
    inner.engine.set_up().await.map_err(WorkerError::Engine)?;
    if inner.settings.recover_claims {
        leftovers::give_back_all(inner).await;
    }
    let running = Running::default();
    let watch = cancellations::watch(inner, &running);
    let claim = ClaimLoop::new(inner.clone(), running.clone(), shutdown.clone());
    tokio::select! {
        done = claim.run() => done,
        never = watch => match never {},
    }
}

/// The work directory is one worker's at a time, since what a former one left in it is removed.
struct WorkDirLock(File);

impl WorkDirLock {
    fn take(work_dir: &Path) -> std::io::Result<Self> {
        fs::create_dir_all(work_dir)?;
        let lock = File::options().create(true).truncate(false).write(true).open(work_dir.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(std::io::Error::other("another worker uses it")),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let lock = Self(lock);
        empty_private_dir(&work_dir.join("runs"))?;
        Ok(lock)
    }
}

impl Drop for WorkDirLock {
    fn drop(&mut self) {
        // Not left to closing: a process that is just being started may hold a copy of the descriptor.
        let _ = self.0.unlock();
    }
}

/// A fresh directory that only this user may look into.
fn empty_private_dir(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

struct ClaimLoop {
    inner: Arc<Inner>,
    running: Running,
    purge: Arc<Purge>,
    shutdown: Shutdown,
    runs: JoinSet<Attended>,
    claiming: Option<BoxFuture<'static, Claimed>>,
    /// Whether what is under way may have tasks granted at any moment.
    at_queue: AtQueue,
    oversight: Oversight,
    lost: Lost,
    undecided: UndecidedTasks,
    quarantine: Quarantine,
    /// Whether the queue has ever granted a claim, if only one without tasks.
    let_in: bool,
    claimed: u64,
    ended: u64,
    /// Claims that failed in a row.
    failed_claims: u32,
    /// Runs in a row that came to nothing by no fault of their tasks.
    failed_runs: u32,
    idle_since: Timestamp,
    /// Set when nothing more is to be claimed.
    why: Option<WhyDone>,
}

/// Whether the queue is being asked for tasks at the moment, rather than something waited for before that.
#[derive(Clone, Debug, Default)]
struct AtQueue(Arc<AtomicBool>);

impl AtQueue {
    fn set(&self, is: bool) {
        self.0.store(is, Ordering::Relaxed);
    }

    fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

enum Claimed {
    Tasks(Vec<TaskClaim>),
    /// For want of good credentials.
    Refused(WorkerError),
    Trouble(taskcluster_core::Error),
    /// Claims whose answer was lost have been looked for.
    Looked(Result<Vec<TaskClaim>, taskcluster_core::Error>),
    /// The worker has asked to be kept from tasks, successfully or not.
    Quarantined(bool),
}

impl ClaimLoop {
    fn new(inner: Arc<Inner>, running: Running, shutdown: Shutdown) -> Self {
        let idle_since = inner.clock.now();
        Self {
            purge: Arc::new(Purge::new(inner.clone())),
            at_queue: AtQueue::default(),
            oversight: Oversight::of(inner.overseer.clone()),
            inner,
            running,
            shutdown,
            runs: JoinSet::new(),
            claiming: None,
            lost: Lost::default(),
            undecided: UndecidedTasks::default(),
            quarantine: Quarantine::default(),
            let_in: false,
            claimed: 0,
            ended: 0,
            failed_claims: 0,
            failed_runs: 0,
            idle_since,
            why: None,
        }
    }

    async fn run(mut self) -> Result<Done, WorkerError> {
        let (shutdown, undecided) = (self.shutdown.clone(), self.undecided.clone());
        loop {
            self.begin_claim();
            if self.runs.is_empty()
                && self.claiming.is_none()
                && let Some(why) = self.why
            {
                if self.lost.is_doubtful() {
                    lost::leave(self.inner.clone(), self.lost.known()).await;
                }
                return Ok(Done { runs: self.ended, why });
            }
            let (idle, clock) = (self.idle_end(), self.inner.clock.clone());
            let claiming = self.claiming.as_mut();
            tokio::select! {
                biased;
                () = shutdown.any(), if self.why.is_none() || claiming.is_some() => self.claim_no_more(WhyDone::Shutdown),
                Some(attended) = self.runs.join_next() => self.ended(attended),
                claimed = async { claiming.expect("the branch is off otherwise").await }, if claiming.is_some() => {
                    self.claiming = None;
                    self.at_queue.set(false);
                    self.claimed(claimed)?;
                }
                // There may be room for another one now.
                () = undecided.fewer() => {}
                word = self.oversight.word(|| clock.now()), if self.why.is_none() => {
                    if let Some((why, reason)) = word {
                        self.hear_out(why, &reason);
                    }
                }
                () = async { idle.expect("the branch is off otherwise").await }, if idle.is_some() => {
                    if !self.oversight.ask(self.idle_since, clock.now()) {
                        self.claim_no_more(WhyDone::Idle);
                    }
                }
            }
        }
    }

    /// Have a claim under way if there is room for a task.
    fn begin_claim(&mut self) {
        let settings = &self.inner.settings;
        let left = settings.task_limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.claimed));
        if left == 0 && self.why.is_none() {
            self.why = Some(WhyDone::TaskLimit);
        }
        let spare = self.undecided.left_of(|| self.inner.engine.spare());
        let free = settings.capacity.saturating_sub(self.runs.len()).min(spare) as u64;
        // The queue gives at most 32 tasks at once.
        let wanted = free.min(left).min(32);
        if self.why.is_none() && self.claiming.is_none() && wanted > 0 {
            self.claiming = Some(self.next_step(wanted));
        }
    }

    /// What comes first when there is room for `wanted` tasks.
    fn next_step(&self, wanted: u64) -> BoxFuture<'static, Claimed> {
        let (inner, settings) = (self.inner.clone(), &self.inner.settings);
        if self.quarantine.is_due(settings) {
            return quarantine::begin(inner, self.quarantine.faults()).map(Claimed::Quarantined).boxed();
        }
        let at_queue = self.at_queue.clone();
        if self.lost.wants_a_look() {
            let known = self.lost.known();
            // What it takes up is claimed for good.
            at_queue.set(true);
            return async move { Claimed::Looked(lost::look(&inner, &known, wanted).await) }.boxed();
        }
        let wait = backoff(settings.backoff, settings.backoff_limit, self.failed_claims.max(self.failed_runs));
        claim(inner, wanted, wait, at_queue).boxed()
    }

    /// The worker is not needed. What is with the queue is heard out, so that no task waits in vain that it has just granted.
    fn hear_out(&mut self, why: WhyDone, reason: &str) {
        tracing::info!(reason, runs = self.runs.len(), "not needed any more: no more tasks are claimed");
        self.why = Some(why);
        if !self.at_queue.is() {
            self.claiming = None;
        }
    }

    fn claim_no_more(&mut self, why: WhyDone) {
        self.why = Some(why);
        // The queue notices that nobody waits any more. It may just have granted something.
        if self.claiming.take().is_some() {
            self.lost.doubt();
        }
    }

    /// Credentials that never worked will not; those that did may again, as after a change of the secret.
    fn claimed(&mut self, claimed: Claimed) -> Result<(), WorkerError> {
        match claimed {
            Claimed::Tasks(tasks) => {
                self.let_in = true;
                self.failed_claims = 0;
                self.lost.answered();
                self.attend_to(tasks);
            }
            Claimed::Refused(error) if !self.let_in => return Err(error),
            Claimed::Refused(error) => {
                self.lost.answered();
                self.trouble(chain(&error).to_string());
            }
            Claimed::Trouble(error) => {
                // Whatever says that the request is wrong has granted nothing.
                if error.status().is_some_and(|status| status.is_client_error()) {
                    self.lost.answered();
                } else {
                    self.lost.doubt();
                }
                self.trouble(chain(&error).to_string());
            }
            Claimed::Looked(found) => {
                self.lost.looked(found.is_ok());
                match found {
                    Ok(tasks) => self.attend_to(tasks),
                    Err(error) => {
                        tracing::warn!(error = %chain(&error), "cannot ask for claims that were not heard of")
                    }
                }
            }
            Claimed::Quarantined(done) => {
                self.quarantine.asked();
                if done {
                    self.failed_runs = 0;
                }
            }
        }
        Ok(())
    }

    fn attend_to(&mut self, tasks: Vec<TaskClaim>) {
        let purge = self.purge.clone();
        // Once for all of them.
        let purged = async move { purge.step().await }.boxed().shared();
        for claim in tasks {
            self.claimed += 1;
            self.lost.know((claim.status.task_id, claim.run_id));
            let (inner, running, shutdown) = (self.inner.clone(), self.running.clone(), self.shutdown.clone());
            let undecided = self.undecided.one_more();
            self.runs.spawn(attend(inner, running, shutdown, purged.clone(), claim, undecided));
        }
    }

    fn trouble(&mut self, message: String) {
        tracing::warn!(error = message, "cannot claim tasks");
        self.failed_claims += 1;
        self.inner.emit(Event::Trouble { message });
    }

    fn ended(&mut self, attended: Result<Attended, tokio::task::JoinError>) {
        self.ended += 1;
        self.idle_since = self.inner.clock.now();
        match attended {
            Ok(Attended { fault: Fault::Nobody, .. }) => {
                self.failed_runs = 0;
                self.quarantine = Quarantine::default();
            }
            Ok(Attended { fault: Fault::Elsewhere, .. }) => self.failed_runs += 1,
            Ok(Attended { fault: Fault::Own, task_id }) => {
                self.failed_runs += 1;
                self.quarantine.was_at_fault(Some(task_id));
            }
            Err(error) => {
                tracing::error!(%error, "a run came to an end that was not foreseen");
                self.failed_runs += 1;
                self.quarantine.was_at_fault(None);
            }
        }
    }

    fn idle_end(&self) -> Option<BoxFuture<'static, ()>> {
        let timeout = self.inner.settings.idle_timeout?;
        let since = self.oversight.waiting_since(self.idle_since)?;
        let idle = self.runs.is_empty() && self.why.is_none();
        idle.then(|| self.inner.clock.sleep_until(since + timeout))
    }
}

/// Wait out the backoff, and for room on the disk, then ask the queue for tasks. Dropping it leaves the claim to the queue.
async fn claim(inner: Arc<Inner>, tasks: u64, wait: Duration, at_queue: AtQueue) -> Claimed {
    if !wait.is_zero() {
        inner.clock.sleep(wait).await;
    }
    room::wait(&inner).await;
    let began = inner.clock.now();
    let identity = &inner.identity;
    let tasks = u32::try_from(tasks).expect("at most 32");
    let request = ClaimWorkRequest::new(&identity.worker_group, &identity.worker_id, tasks);
    at_queue.set(true);
    match inner.queue.claim_work(identity.task_queue_id.as_ref(), &request).await {
        Ok(response) => {
            if response.tasks.is_empty() {
                at_queue.set(false);
                inner.clock.sleep_until(began + EMPTY_ANSWER).await;
            }
            Claimed::Tasks(response.tasks)
        }
        Err(error) if error.is_unauthorized() => Claimed::Refused(WorkerError::Unauthorized(error)),
        Err(error) if error.is_forbidden() => Claimed::Refused(WorkerError::Forbidden(error)),
        Err(error) => Claimed::Trouble(error),
    }
}

/// No wait without a fault; then `first`, doubled with each further fault in a row.
fn backoff(first: Duration, limit: Duration, faults: u32) -> Duration {
    match faults {
        0 => Duration::ZERO,
        _ => first.saturating_mul(2u32.saturating_pow(faults - 1)).min(limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_limit() {
        let waits: Vec<u64> =
            (0..6).map(|faults| backoff(Duration::from_secs(5), Duration::from_secs(60), faults).as_secs()).collect();
        assert_eq!(waits, [0, 5, 10, 20, 40, 60]);
        assert_eq!(backoff(Duration::from_secs(5), Duration::from_secs(60), u32::MAX).as_secs(), 60);
    }
}
