//! A worker, its queue, and what its tasks print.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use taskcluster_core::Credentials;
use taskcluster_core::ids::TaskId;
use taskcluster_native_worker::{Done, Event, Isolation, NativeWorker, NativeWorkerBuilder, Shutdown};
use taskcluster_worker::plugins::BACKING_LOG;
use taskcluster_worker::testing::{FakeQueue, task_with_payload};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(180);
pub(crate) const WORKER_TOKEN: &str = "the-secret-token-of-the-worker-itself";

pub(crate) struct Bench {
    pub(crate) queue: FakeQueue,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) output: Arc<Mutex<Vec<u8>>>,
    pub(crate) shutdown: Shutdown,
    pub(crate) isolation: Isolation,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(Isolation::None).await
    }

    pub(crate) async fn with(isolation: Isolation) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let queue = FakeQueue::start().await.unwrap();
        Self { queue, dir, output: Arc::default(), shutdown: Shutdown::new(), isolation }
    }

    pub(crate) fn add(&self, payload: Value) -> TaskId {
        self.add_with(payload, |_| {})
    }

    /// A task whose definition is changed.
    pub(crate) fn add_with(&self, payload: Value, change: impl FnOnce(&mut Value)) -> TaskId {
        let Value::Object(mut payload) = payload else { panic!("a payload is an object") };
        payload.entry("maxRunTime").or_insert(json!(3600));
        let mut definition = task_with_payload(&payload);
        definition["scopes"] = json!(["generic-worker:cache:*", "a:scope"]);
        change(&mut definition);
        self.queue.add_task(definition)
    }

    pub(crate) fn script(&self, script: &str) -> TaskId {
        self.add(json!({"command": [["/bin/sh", "-c", script]]}))
    }

    pub(crate) fn builder(&self) -> NativeWorkerBuilder {
        let output = self.output.clone();
        NativeWorker::builder(self.queue.root_url(), "test/worker".parse().unwrap())
            .credentials(Credentials::new("the-worker", WORKER_TOKEN))
            .worker_group("group")
            .worker_id("worker")
            .work_dir(self.dir.path().join("work"))
            .isolation(self.isolation)
            .task_limit(1)
            .events(Arc::new(move |event| {
                if let Event::Log { chunk, .. } = event {
                    output.lock().unwrap().extend(chunk);
                }
            }))
    }

    pub(crate) async fn run(&self) -> Done {
        self.run_as(|builder| builder).await
    }

    /// Run a worker that is put together a little differently.
    pub(crate) async fn run_as(&self, change: impl FnOnce(NativeWorkerBuilder) -> NativeWorkerBuilder) -> Done {
        let worker = change(self.builder()).build().await.unwrap();
        tokio::time::timeout(TIMEOUT, worker.run(self.shutdown.clone())).await.expect("the worker ends").unwrap()
    }

    pub(crate) async fn resolve(&self, payload: Value) -> (TaskId, String) {
        let task_id = self.add(payload);
        self.run().await;
        (task_id, self.queue.state(&task_id))
    }

    pub(crate) fn log(&self, task_id: &TaskId) -> String {
        self.queue.text(task_id, BACKING_LOG)
    }

    /// The directory of a task that runs; where tasks are users, of the only one that does.
    pub(crate) fn task_dir(&self, task_id: &TaskId) -> PathBuf {
        let tasks = self.dir.path().join("work/tasks");
        match self.isolation {
            Isolation::User => std::fs::read_dir(tasks).unwrap().next().expect("a task runs").unwrap().path(),
            Isolation::None => tasks.join(format!("{task_id}_0")),
        }
    }

    /// A file in a task's own directory, by which a test talks to its commands.
    pub(crate) fn touch(&self, task_id: &TaskId, name: &str) {
        std::fs::write(self.task_dir(task_id).join(name), "").unwrap();
    }

    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.output.lock().unwrap()).into_owned()
    }

    /// Wait until a line of the task's output begins like this, and return the rest of it.
    pub(crate) async fn line(&self, prefix: &str) -> String {
        let waiting = async {
            loop {
                let printed = self.printed();
                let whole = printed.rfind('\n').map_or("", |end| &printed[..end]);
                if let Some(rest) = whole.lines().find_map(|line| line.strip_prefix(prefix)) {
                    return rest.to_owned();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, waiting).await.unwrap_or_else(|_| panic!("no {prefix}: {}", self.printed()))
    }
}

/// A bench for tasks that are a user each; `None` where that cannot be, which is said.
pub(crate) async fn bench_of_users() -> Option<Bench> {
    let there = Command::new("useradd").arg("--help").output().is_ok();
    if Isolation::default_for_caller() == Isolation::None || !there {
        println!("skipped: needs root and useradd");
        return None;
    }
    Some(Bench::with(Isolation::User).await)
}

/// Whether a process lives; one that only waits to be reaped does not.
pub(crate) fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// The processes of a user, by number, that live.
pub(crate) fn processes_of(user: &str) -> Vec<String> {
    let own = |pid: &String| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
        line.split_whitespace().any(|uid| uid == user) && lives(pid)
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(own).collect()
}

/// Wait until a process is gone.
pub(crate) async fn gone(pid: &str) {
    let gone = async {
        while lives(pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, gone).await.unwrap_or_else(|_| panic!("{pid} lives"));
}

/// A file system of a few MiB at a directory, as long as this value is there.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m,mode=0711", "tmpfs"]).arg(&at).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(at));
        }
        println!("skipped: needs the right to mount");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
