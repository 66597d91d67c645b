//! The processes of a task: found wherever they went, ended politely or by force.
//!
//! A task may start daemons that leave its process group. They are found by what they cannot easily shed: the task's process
//! groups, the variable `TASK_WORKDIR` in their environment, a working directory inside the task's, and the task's own user
//! where it has one. Where the system has control groups for the worker to use, being in the task's tells as well. With neither
//! such a user nor such a group, a process that sheds all of these is out of reach; that is the price of isolation `none`.
//!
//! Looking and killing are two steps between which a process may fork and be gone under another number. So where one call
//! reaches many at once, it comes first: the system signals a whole control group or process group, or all processes of a user, in
//! one go.

use std::collections::{BTreeSet, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::cgroup::Cgroup;
use crate::proc::{Process, processes, ticks_since_boot};

/// How long a process may take to end politely.
pub(crate) const GRACE: Duration = Duration::from_millis(500);

/// How long to insist before giving up on what does not die (a process in an uninterruptible wait).
const INSIST: Duration = Duration::from_secs(10);

const POLL: Duration = Duration::from_millis(10);

/// What tells the processes of one task.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    work_dir: PathBuf,
    marker: Vec<u8>,
    uid: Option<u32>,
    groups: BTreeSet<i32>,
    cgroup: Option<Arc<Cgroup>>,
    /// What was started before is none of the task's, in ticks since boot.
    since: u64,
}

/// How far the clocks by which a start is told may be apart, in ticks.
const SLACK: u64 = 2;

impl Tree {
    pub(crate) fn new(work_dir: &Path, uid: Option<u32>) -> Self {
        let mut marker = b"TASK_WORKDIR=".to_vec();
        marker.extend_from_slice(work_dir.as_os_str().as_bytes());
        Self { work_dir: work_dir.to_owned(), marker, uid, groups: BTreeSet::new(), cgroup: None, since: 0 }
    }

    /// Nothing of the task was started yet: whatever is there needs no closer look, however often it is looked for.
    pub(crate) fn since_now(mut self) -> Self {
        self.since = ticks_since_boot().unwrap_or_default().saturating_sub(SLACK);
        self
    }

    /// Have a control group for what is started from now on, where that can be.
    pub(crate) fn with_cgroup(mut self) -> Self {
        let name = self.work_dir.file_name().unwrap_or_default().to_string_lossy();
        self.cgroup = Cgroup::create(&name).map(Arc::new);
        self
    }

    pub(crate) fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_deref()
    }

    /// A process and the group that it leads are the task's as well.
    pub(crate) fn add_leader(&mut self, leader: u32) {
        self.groups.extend(i32::try_from(leader).ok());
        let adopted = self.cgroup.as_ref().map_or(Ok(()), |cgroup| cgroup.adopt(leader));
        if let Err(error) = adopted {
            // Without it, the group tells nothing of the task.
            tracing::debug!(work_dir = %self.work_dir.display(), %error, "a control group does not take a process");
            self.cgroup = None;
        }
    }

    /// Forget the groups that nobody is in any more, before their numbers are given to somebody else's processes.
    pub(crate) fn forget_empty_groups(&mut self) {
        let inhabited: BTreeSet<i32> = processes().filter_map(|process| Some(process.stat()?.group)).collect();
        self.groups.retain(|group| inhabited.contains(group));
    }

    /// Ask all processes to end, wait a little, then kill what is left. Returns when nothing is left.
    pub(crate) async fn terminate(&self) {
        let tree = self.clone();
        let ended = tokio::task::spawn_blocking(move || {
            tree.signal(Signal::TERM);
            let patience = Instant::now();
            while patience.elapsed() < GRACE {
                if tree.is_empty() {
                    return;
                }
                std::thread::sleep(POLL);
            }
            tree.kill();
        });
        if let Err(error) = ended.await {
            tracing::error!(%error, "cannot end the processes of a task");
        }
    }

    /// Kill all processes without asking. Returns when nothing is left.
    pub(crate) async fn destroy(&self) {
        let tree = self.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || tree.kill()).await {
            tracing::error!(%error, "cannot kill the processes of a task");
        }
    }

    /// Kill all processes, again and again until none is found: one may fork while the others are looked at.
    pub(crate) fn kill(&self) {
        let patience = Instant::now();
        loop {
            // First, and without a look: looking takes long where there are many, who go on forking meanwhile.
            if let Some(cgroup) = &self.cgroup {
                cgroup.kill();
            }
            if self.is_empty() {
                return;
            }
            self.kill_at_once();
            self.signal(Signal::KILL);
            if patience.elapsed() > INSIST {
                tracing::error!(work_dir = %self.work_dir.display(), "processes of a task do not die");
                return;
            }
            std::thread::sleep(POLL);
        }
    }

    /// Kill what a single call reaches: a process that forks all the time cannot slip through.
    fn kill_at_once(&self) {
        match self.uid {
            Some(uid) => kill_all_of(uid),
            None => {
                for group in self.groups.iter().filter_map(|group| Pid::from_raw(*group)) {
                    let _ = kill_process_group(group, Signal::KILL);
                }
            }
        }
    }

    fn signal(&self, signal: Signal) {
        for pid in self.find() {
            // It may have ended in the meantime.
            let _ = kill_process(pid, signal);
        }
    }

    fn is_empty(&self) -> bool {
        self.find().is_empty() && self.cgroup.as_ref().is_none_or(|cgroup| !cgroup.is_inhabited())
    }

    /// Processes of the task that live.
    pub(crate) fn find(&self) -> Vec<Pid> {
        let own = Process::own();
        let grouped: HashSet<Pid> = self.cgroup.iter().flat_map(|cgroup| cgroup.processes()).collect();
        let owned = |process: &Process| *process != own && (grouped.contains(&process.pid()) || self.owns(process));
        processes().filter(owned).map(|process| process.pid()).collect()
    }

    /// Bytes of memory that the task's processes hold, apart from what they share with others.
    pub(crate) fn memory(&self) -> u64 {
        let counted = self.cgroup.as_ref().and_then(|cgroup| cgroup.memory());
        counted.unwrap_or_else(|| self.find().into_iter().filter_map(|pid| Process::from(pid).memory()).sum())
    }

    fn owns(&self, process: &Process) -> bool {
        let Some(stat) = process.stat() else { return false };
        if stat.dead {
            return false;
        }
        if let Some(uid) = self.uid {
            // A process of another user cannot be the task's, and all of this user's are.
            return process.real_uid() == Some(uid);
        }
        if stat.start < self.since {
            return false;
        }
        self.groups.contains(&stat.group)
            || process.has_variable(&self.marker)
            || process.work_dir().is_some_and(|dir| dir.starts_with(&self.work_dir))
    }
}

/// A group without rights, for a process whose user is all that counts.
const NOBODYS: u32 = 65534;

/// Kill all processes of a user with one call, which only that user can make without reaching others.
fn kill_all_of(uid: u32) {
    // As root the same call would end the machine.
    if uid == 0 {
        return;
    }
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "kill -KILL -1"]).uid(uid).gid(NOBODYS).current_dir("/").env_clear();
    // Where it cannot be done (no process more, say), they are killed one by one.
    let _ = shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// Kills what is left when the run is dropped in the middle.
#[derive(Debug)]
pub(crate) struct KillOnDrop(pub(crate) Tree);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    fn patient(mut done: impl FnMut() -> bool) {
        let patience = Instant::now();
        while !done() {
            assert!(patience.elapsed() < Duration::from_secs(60), "took too long");
            std::thread::sleep(POLL);
        }
    }

    #[test]
    fn a_daemon_outside_of_the_group_is_found_and_killed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "cd /; setsid sleep 1000 & sleep 1000"])
            .env("TASK_WORKDIR", &path)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut tree = Tree::new(&path, None);
        tree.add_leader(child.id());
        patient(|| tree.find().len() >= 3);
        tree.kill();
        assert_eq!(tree.find(), []);
        child.wait().unwrap();
    }

    #[test]
    fn who_was_there_before_the_task_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        let mut child = Command::new("sleep").arg("1000").current_dir(&path).stdin(Stdio::null()).spawn().unwrap();
        patient(|| Tree::new(&path, None).find().len() == 1);
        let start = Process::from(Tree::new(&path, None).find()[0]).stat().unwrap().start;
        patient(|| ticks_since_boot().unwrap() > start + SLACK);
        let tree = Tree::new(&path, None).since_now();
        assert_eq!(tree.find(), []);
        let mut own = Command::new("sleep").arg("1000").current_dir(&path).stdin(Stdio::null()).spawn().unwrap();
        patient(|| tree.find().len() == 1);
        for child in [&mut child, &mut own] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn where_there_are_control_groups_nothing_gets_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        let mut tree = Tree::new(&path, None).with_cgroup();
        if tree.cgroup().is_none() {
            println!("skipped: no control groups to use");
            return;
        }
        // It sheds all else that tells it, once it is in the group.
        let mut child = Command::new("sh")
            .args(["-c", "read go; cd /; env -i setsid sh -c 'sleep 1000 & sleep 1000' & exit"])
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        tree.add_leader(child.id());
        drop(child.stdin.take());
        child.wait().unwrap();
        tree.forget_empty_groups();
        patient(|| tree.find().len() >= 3);
        assert_eq!(Tree::new(&path, None).find(), [], "nothing else tells");
        assert!(tree.cgroup().unwrap().cpu().is_some());
        tree.kill();
        assert_eq!(tree.find(), []);
    }

    #[tokio::test]
    async fn a_process_may_end_politely() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap();
        let script = "trap 'touch polite; exit 0' TERM; touch ready; while :; do sleep 0.01; done";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .env("TASK_WORKDIR", &path)
            .current_dir(&path)
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut tree = Tree::new(&path, None);
        tree.add_leader(child.id());
        patient(|| path.join("ready").exists());
        let reaper = std::thread::spawn(move || child.wait().unwrap());
        tree.terminate().await;
        reaper.join().unwrap();
        assert!(path.join("polite").exists());
    }
}
