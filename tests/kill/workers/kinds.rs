//! Kinds of workers, and what their tasks leave on a machine.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::built;
use serde_json::{Map, Value, json};
use taskcluster::object;

use crate::docker::{self, There};

/// A kind of worker.
pub(super) trait Kind {
    /// Its program.
    fn program(&self) -> PathBuf;

    /// What is particular to it.
    fn arguments(&self) -> Vec<String>;

    /// A task that takes so many seconds and goes into hiding besides.
    fn payload(&self, seconds: &str) -> Map<String, Value>;

    /// What is there now of the tasks of a worker with that directory, each by a name that nothing else ever has.
    fn traces(&self, work_dir: &Path) -> BTreeSet<String>;
}

/// Tasks on the machine itself.
#[derive(Debug)]
pub(super) struct Native {
    program: PathBuf,
    isolation: &'static str,
}

impl Native {
    pub(super) fn without_users() -> Option<Self> {
        Some(Self { program: built("native-worker")?, isolation: "none" })
    }

    /// `None`, which is said, where nobody may make users.
    pub(super) fn with_users() -> Option<Self> {
        let there = Command::new("useradd").arg("--help").output().is_ok();
        if !rustix::process::geteuid().is_root() || !there {
            println!("skipped: needs root and useradd");
            return None;
        }
        Some(Self { program: built("native-worker")?, isolation: "user" })
    }
}

impl Kind for Native {
    fn program(&self) -> PathBuf {
        self.program.clone()
    }

    fn arguments(&self) -> Vec<String> {
        ["--isolation", self.isolation].map(str::to_owned).to_vec()
    }

    fn payload(&self, seconds: &str) -> Map<String, Value> {
        // One leaves the group of processes, one the directory as well.
        let script = format!(
            "sleep 1000 & setsid sleep 1000 & (cd /; setsid sleep 1000 >/dev/null 2>&1 &); echo made > made; sleep {seconds}"
        );
        object! {
            "command": json!([["/bin/sh", "-c", script]]),
            "artifacts": json!([{"type": "file", "path": "made", "name": "public/made"}]),
            "maxRunTime": 600,
        }
    }

    fn traces(&self, work_dir: &Path) -> BTreeSet<String> {
        let tasks = work_dir.join("tasks");
        let users = users(&tasks);
        let mut found: BTreeSet<String> = users.iter().map(|(name, _)| format!("user {name}")).collect();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let pid = entry.file_name().to_string_lossy().into_owned();
            if pid.bytes().all(|byte| byte.is_ascii_digit())
                && let Some(start) = start_of_task(&entry.path(), &tasks, &users)
            {
                found.insert(format!("process {pid} of {start}"));
            }
        }
        found
    }
}

/// The users that have their homes there, with their numbers.
fn users(homes: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string("/etc/passwd").unwrap();
    let below = |line: &&str| line.split(':').nth(5).is_some_and(|home| Path::new(home).starts_with(homes));
    let user = |line: &str| {
        let mut fields = line.split(':');
        Some((fields.next()?.to_owned(), fields.nth(1)?.to_owned()))
    };
    text.lines().filter(below).filter_map(user).collect()
}

/// When a process was started, if it lives and is one of the tasks with directories in `tasks`.
fn start_of_task(process: &Path, tasks: &Path, users: &[(String, String)]) -> Option<String> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    let environment = fs::read(process.join("environ")).unwrap_or_default();
    let marker = [b"TASK_WORKDIR=", tasks.as_os_str().as_bytes()].concat();
    let is_marked = environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(&marker));
    let is_there = fs::read_link(process.join("cwd")).is_ok_and(|dir| dir.starts_with(tasks));
    let status = fs::read_to_string(process.join("status")).ok()?;
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?;
    let is_theirs = users.iter().any(|(_, number)| number == uid);
    (is_marked || is_there || is_theirs).then(|| fields.get(19).map(|start| (*start).to_owned()))?
}

/// Tasks in containers.
pub(super) struct Docker {
    program: PathBuf,
    there: There,
}

impl Docker {
    /// `None`, which is said, where there is no engine.
    pub(super) async fn find() -> Option<Self> {
        let there = docker::find().await?;
        Some(Self { program: built("docker-worker")?, there })
    }
}

impl Kind for Docker {
    fn program(&self) -> PathBuf {
        self.program.clone()
    }

    fn arguments(&self) -> Vec<String> {
        vec!["--docker".to_owned(), self.there.host.clone()]
    }

    fn payload(&self, seconds: &str) -> Map<String, Value> {
        let script = format!("sleep 1000 & echo made > /made; sleep {seconds}");
        object! {
            "image": self.there.image.clone(),
            "command": ["/bin/sh", "-c", &script],
            "artifacts": json!({"public/made": {"type": "file", "path": "/made"}}),
            // A network of its own.
            "features": json!({"taskclusterProxy": true}),
            "maxRunTime": 600,
        }
    }

    fn traces(&self, work_dir: &Path) -> BTreeSet<String> {
        docker::things_of(&self.there.host, &work_dir.to_string_lossy()).into_iter().collect()
    }
}
