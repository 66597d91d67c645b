//! The processes of a task: found wherever they went, ended politely or by force.
//!
//! A task may start daemons that leave its process group. They are found by what they cannot easily shed: the task's process
//! groups, the variable `TASK_WORKDIR` in their environment, a working directory inside the task's, and the task's own user
//! where it has one. Without such a user, a process that sheds all of these is out of reach; that is the price of isolation
//! `none`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

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
}

impl Tree {
    pub(crate) fn new(work_dir: &Path, uid: Option<u32>) -> Self {
        let mut marker = b"TASK_WORKDIR=".to_vec();
        marker.extend_from_slice(work_dir.as_os_str().as_bytes());
        Self { work_dir: work_dir.to_owned(), marker, uid, groups: BTreeSet::new() }
    }

    /// A process group is the task's as well.
    pub(crate) fn add_group(&mut self, leader: u32) {
        self.groups.extend(i32::try_from(leader).ok());
    }

    /// Ask all processes to end, wait a little, then kill what is left. Returns when nothing is left.
    pub(crate) async fn terminate(&self) {
        let tree = self.clone();
        let ended = tokio::task::spawn_blocking(move || {
            tree.signal(Signal::TERM);
            let patience = Instant::now();
            while patience.elapsed() < GRACE {
                if tree.find().is_empty() {
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
            if self.signal(Signal::KILL) == 0 {
                return;
            }
            if patience.elapsed() > INSIST {
                tracing::error!(work_dir = %self.work_dir.display(), "processes of a task do not die");
                return;
            }
            std::thread::sleep(POLL);
        }
    }

    fn signal(&self, signal: Signal) -> usize {
        let found = self.find();
        for pid in &found {
            // It may have ended in the meantime.
            let _ = kill_process(*pid, signal);
        }
        found.len()
    }

    /// Processes of the task that live.
    pub(crate) fn find(&self) -> Vec<Pid> {
        let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
        let own = i32::try_from(std::process::id()).ok();
        processes
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid: &i32| Some(*pid) != own && self.owns(*pid))
            .filter_map(Pid::from_raw)
            .collect()
    }

    fn owns(&self, pid: i32) -> bool {
        let process = PathBuf::from(format!("/proc/{pid}"));
        // The second field, the name in parentheses, may itself contain parentheses and spaces.
        let Ok(stat) = fs::read(process.join("stat")) else { return false };
        let stat = String::from_utf8_lossy(&stat);
        let mut fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).into_iter().flatten();
        let dead = matches!(fields.next(), None | Some("Z" | "X"));
        let group = fields.nth(1).and_then(|group| group.parse().ok());
        if dead {
            return false;
        }
        if let Some(uid) = self.uid {
            // A process of another user cannot be the task's, and all of this user's are.
            return real_uid(&process) == Some(uid);
        }
        group.is_some_and(|group: i32| self.groups.contains(&group))
            || fs::read(process.join("environ"))
                .is_ok_and(|env| env.split(|byte| *byte == 0).any(|variable| variable == self.marker))
            || fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&self.work_dir))
    }
}

fn real_uid(process: &Path) -> Option<u32> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().next()?.parse().ok()
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
        tree.add_group(child.id());
        patient(|| tree.find().len() >= 3);
        tree.kill();
        assert_eq!(tree.find(), []);
        child.wait().unwrap();
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
        tree.add_group(child.id());
        patient(|| path.join("ready").exists());
        let reaper = std::thread::spawn(move || child.wait().unwrap());
        tree.terminate().await;
        reaper.join().unwrap();
        assert!(path.join("polite").exists());
    }
}
