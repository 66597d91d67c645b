//! What engines and plugins know of a run and can do for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use taskcluster::queue::{Queue, TaskDefinition};
use taskcluster_core::Caller;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::credentials::SharedCredentials;
use taskcluster_core::ids::{RunId, TaskId};
use taskcluster_core::scopes::satisfies;
use taskcluster_core::time::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::artifacts::{self, Allowance, ArtifactLimits, Upload};
use crate::engine::Missing;
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::log::TaskLog;
use crate::stop::{Stop, StopSwitch};

/// One run of a task, as engines and plugins see it.
#[derive(Debug)]
pub struct TaskContext {
    pub(crate) parts: Parts,
    pub(crate) switch: StopSwitch,
    /// Why the worker gives the run back.
    pub(crate) given_back: OnceLock<String>,
    names: Mutex<BTreeSet<String>>,
    /// SHA-256 of the artifacts that were uploaded.
    uploaded: Mutex<BTreeMap<String, String>>,
    described: Mutex<BTreeMap<String, String>>,
    tracker: TaskTracker,
    over: CancellationToken,
    /// How many hold the sandbox.
    holds: watch::Sender<usize>,
    /// The user's code has ended, and the sandbox stays for those who hold it alone.
    stays: AtomicBool,
    /// Nobody who holds the sandbox counts any more.
    dismissed: CancellationToken,
    touched: AtomicBool,
    on_touch: Mutex<Vec<OnTouch>>,
}

/// What a touch means to whoever keeps something of a run.
struct OnTouch(Box<dyn Fn() -> io::Result<()> + Send + Sync>);

impl fmt::Debug for OnTouch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnTouch")
    }
}

/// Keeps a sandbox until it is dropped.
#[derive(Debug)]
#[must_use = "the sandbox is kept until this is dropped"]
pub struct Hold(watch::Sender<usize>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.send_modify(|holds| *holds -= 1);
    }
}

/// What a run is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) task_id: TaskId,
    pub(crate) run_id: RunId,
    pub(crate) definition: TaskDefinition,
    pub(crate) identity: Arc<Identity>,
    /// Both act with the task's credentials.
    pub(crate) caller: Caller,
    pub(crate) queue: Queue,
    pub(crate) credentials: SharedCredentials,
    pub(crate) log: TaskLog,
    pub(crate) clock: SharedClock,
    pub(crate) scratch: PathBuf,
    /// Uploads go to the object service.
    pub(crate) object_artifacts: bool,
    /// The log can be read while the run goes on.
    pub(crate) live_log: bool,
    pub(crate) artifacts: Allowance,
    /// No queue waits for the end of the run.
    pub(crate) local: bool,
}

impl TaskContext {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            switch: StopSwitch::new(),
            given_back: OnceLock::new(),
            names: Mutex::default(),
            uploaded: Mutex::default(),
            described: Mutex::default(),
            tracker: TaskTracker::new(),
            over: CancellationToken::new(),
            holds: watch::channel(0).0,
            stays: AtomicBool::new(false),
            dismissed: CancellationToken::new(),
            touched: AtomicBool::new(false),
            on_touch: Mutex::default(),
        })
    }

    /// The task.
    #[must_use]
    pub fn task_id(&self) -> TaskId {
        self.parts.task_id
    }

    /// The run of it.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.parts.run_id
    }

    /// The group that the task belongs to.
    #[must_use]
    pub fn task_group_id(&self) -> TaskId {
        self.parts.definition.task_group_id
    }

    /// The task as it was created.
    #[must_use]
    pub fn definition(&self) -> &TaskDefinition {
        &self.parts.definition
    }

    /// Tasks that this one waited for.
    #[must_use]
    pub fn dependencies(&self) -> &[TaskId] {
        &self.parts.definition.dependencies
    }

    /// The task's scopes.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.parts.definition.scopes
    }

    /// Whether the task's own scopes satisfy `scope`.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        satisfies(self.scopes(), scope)
    }

    /// When the task and everything it made expire.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.parts.definition.expires.unwrap_or(self.parts.definition.deadline)
    }

    /// Who runs it.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.parts.identity
    }

    /// Root URL of the deployment.
    #[must_use]
    pub fn root_url(&self) -> &str {
        self.parts.caller.root_url().as_str()
    }

    /// The run's log.
    #[must_use]
    pub fn log(&self) -> &TaskLog {
        &self.parts.log
    }

    /// The worker's clock.
    #[must_use]
    pub fn clock(&self) -> &SharedClock {
        &self.parts.clock
    }

    /// A folder for the worker's own files about this run, removed with it. Not for the task's eyes.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        &self.parts.scratch
    }

    /// The queue, called with the task's credentials, which are renewed as the claim is.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.parts.queue
    }

    /// Calls any service of the deployment with the task's credentials.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.parts.caller
    }

    /// The task's credentials. They can resolve the run: the task itself must not see them.
    #[must_use]
    pub fn credentials(&self) -> &SharedCredentials {
        &self.parts.credentials
    }

    /// Order the run to end.
    pub fn stop(&self, stop: Stop) {
        if let Stop::Fail(reason) = &stop {
            self.log().error(reason);
        }
        self.switch.order(stop);
    }

    /// Why the run is to end, once somebody has ordered that; for an engine whose [`kill`](crate::SandboxHandle::kill) depends on it.
    #[must_use]
    pub fn stopped(&self) -> Option<Stop> {
        self.switch.ordered()
    }

    /// Do something beside the run. It is dropped once the run's log is closed.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let over = self.over.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = over.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Drop what was spawned and wait until it is gone.
    pub(crate) async fn end_spawned(&self) {
        self.over.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Keep the sandbox, also when the user's code has ended by itself, as long as the answer is not dropped.
    pub fn hold(&self) -> Hold {
        self.holds.send_modify(|holds| *holds += 1);
        Hold(self.holds.clone())
    }

    /// For engines: whether somebody [holds](Self::hold) the sandbox.
    #[must_use]
    pub fn is_held(&self) -> bool {
        *self.holds.borrow() > 0
    }

    /// For engines: wait until nobody [holds](Self::hold) the sandbox, or its time [is over](Self::stays). Cancel safe.
    pub async fn released(&self) {
        let mut holds = self.holds.subscribe();
        tokio::select! {
            // It cannot be gone: it is ours.
            _ = holds.wait_for(|holds| *holds == 0) => {}
            () = self.dismissed.cancelled() => {}
        }
    }

    /// For engines: the user's code has ended by itself, and the sandbox stays only for those who hold it. When the time of the run
    /// is over, they have to go; what the code came to stands.
    pub fn stays(&self) {
        self.stays.store(true, Ordering::SeqCst);
    }

    /// Whether the user's code has ended by itself, and the sandbox is only there for those who hold it.
    pub(crate) fn is_staying(&self) -> bool {
        self.stays.load(Ordering::SeqCst)
    }

    /// The time of the run is over: its code is ended, or those who stay when it has ended are.
    pub(crate) fn time_is_over(&self, why: String) {
        if self.is_staying() {
            self.log().info(format!("{why}: whoever is still in a shell has to go"));
            self.dismissed.cancel();
        } else {
            self.stop(Stop::Fail(why));
        }
    }

    /// Somebody is about to put a hand into this run: its caches are nothing to keep, also if the worker is killed the moment
    /// after. Blocks for as long as the disk takes to note that.
    ///
    /// # Errors
    /// [`Error::Worker`]: it cannot be noted. Then nobody is to be let in.
    pub fn touch(&self) -> Result<()> {
        // First, for what is only being got: whoever gives it back looks here.
        self.touched.store(true, Ordering::SeqCst);
        let noted =
            self.on_touch.lock().expect("nothing panics holding it").iter().try_for_each(|OnTouch(note)| note());
        noted.map_err(|error| Error::worker_caused("cannot note that the caches of the run are not to be kept", error))
    }

    /// Do this whenever somebody [touches](Self::touch) the run: note durably what is not to be kept.
    pub fn on_touch(&self, note: impl Fn() -> io::Result<()> + Send + Sync + 'static) {
        self.on_touch.lock().expect("nothing panics holding it").push(OnTouch(Box::new(note)));
    }

    /// Whether somebody may have put a hand into this run.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        self.touched.load(Ordering::SeqCst)
    }

    /// Say that this run makes an artifact of that name.
    ///
    /// # Errors
    /// [`Error::Payload`]: it makes another one of the same name, or the queue takes no such name.
    pub fn reserve_artifact(&self, name: &str) -> Result<()> {
        if !artifacts::is_name(name) {
            return Err(Error::payload(format!(
                "no artifact can have the name {name:?}: {}",
                artifacts::RULE_OF_NAMES
            )));
        }
        let fresh = self.names.lock().expect("nothing panics holding it").insert(name.to_owned());
        if fresh { Ok(()) } else { Err(Error::payload(format!("two artifacts have the name {name:?}"))) }
    }

    /// How large the artifacts of this run may be, for engines that copy them.
    #[must_use]
    pub fn artifact_limits(&self) -> ArtifactLimits {
        self.parts.artifacts.limits()
    }

    /// Make an artifact out of a file.
    ///
    /// # Errors
    /// [`Error::Worker`] after retries.
    pub async fn upload(&self, name: &str, upload: &Upload) -> Result<()> {
        let sha256 = artifacts::upload(self, name, upload).await?;
        self.uploaded.lock().expect("nothing panics holding it").insert(name.to_owned(), sha256);
        Ok(())
    }

    /// The artifacts that were uploaded until now, with the SHA-256 of their content in hexadecimal.
    #[must_use]
    pub fn uploaded(&self) -> BTreeMap<String, String> {
        self.uploaded.lock().expect("nothing panics holding it").clone()
    }

    /// State something of what this run is made of, such as the `imageHash` of its container, for whoever signs for it.
    pub fn describe(&self, name: impl Into<String>, value: impl Into<String>) {
        self.described.lock().expect("nothing panics holding it").insert(name.into(), value.into());
    }

    /// What was stated of this run until now.
    #[must_use]
    pub fn described(&self) -> BTreeMap<String, String> {
        self.described.lock().expect("nothing panics holding it").clone()
    }

    /// Make an artifact that refers to a URL.
    ///
    /// # Errors
    /// [`Error::Worker`] after retries.
    pub async fn create_reference_artifact(&self, name: &str, url: &Url, content_type: &str) -> Result<()> {
        artifacts::reference(self, name, url, content_type).await
    }

    /// Make an artifact that stands for another one of this run.
    ///
    /// # Errors
    /// [`Error::Worker`] after retries.
    pub async fn create_link_artifact(&self, name: &str, target: &str, content_type: &str) -> Result<()> {
        artifacts::link(self, name, target, content_type).await
    }

    /// Make an artifact that says why there is none.
    ///
    /// # Errors
    /// [`Error::Worker`] after retries.
    pub async fn create_error_artifact(&self, name: &str, missing: &Missing, expires: Option<Timestamp>) -> Result<()> {
        artifacts::error(self, name, missing, expires).await
    }

    /// Fetch an artifact of a task's latest run into the file `to`, as it is stored.
    ///
    /// # Errors
    /// [`Error::Payload`]: there is no such artifact, or the task's scopes do not allow it. [`Error::Worker`] after retries.
    pub async fn download(&self, task_id: &TaskId, name: &str, to: &Path) -> Result<()> {
        artifacts::download(self, task_id, name, to).await.map(drop)
    }
}
