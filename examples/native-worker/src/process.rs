//! The processes of a task: found wherever they went, ended politely or by force.
//!
//! A task may start daemons that leave its process group. They are found by what they cannot easily shed, see [`Marks`], and by the
//! task's own user where it has one. Where the system has control groups for the worker to use, being in the task's tells as well.
//! With neither such a user nor such a group, a process that sheds all of these before anybody has looked is out of reach; that is
//! the price of isolation `none`.
//!
//! Looking and killing are two steps between which a process may fork and be gone under another number. So where one call
//! reaches many at once, it comes first: the system signals a whole control group or process group, or all processes of a user, in
//! one go.

use std::collections::{BTreeSet, HashSet};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::cgroup::Cgroup;
use crate::proc::{Process, Stat, processes, ticks_since_boot};

mod marks;
#[cfg(test)]
mod tests;

pub(crate) use marks::Marks;

/// How long a process may take to end politely.
pub(crate) const GRACE: Duration = Duration::from_millis(500);

/// How long to insist before giving up on what does not die (a process in an uninterruptible wait).
const INSIST: Duration = Duration::from_secs(10);

const POLL: Duration = Duration::from_millis(10);

/// What tells the processes of one task.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    marks: Marks,
    uid: Option<u32>,
    groups: BTreeSet<i32>,
    cgroups: Vec<Arc<Cgroup>>,
    /// What was started before is none of the task's, in ticks since boot.
    since: u64,
}

/// What a look at all processes of a task showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// Bytes of memory that they hold, apart from what they share with others.
    pub(crate) memory: u64,
    /// How many they are, threads counted.
    pub(crate) processes: u64,
}

/// How far the clocks by which a start is told may be apart, in ticks.
const SLACK: u64 = 2;

impl Tree {
    /// The processes of the task whose directory that is, or is to be, and who are of that user, if it has one of its own.
    pub(crate) fn new(work_dir: &Path, uid: Option<u32>) -> Self {
        Self::of(Marks::of_task(work_dir), uid)
    }

    /// The processes of all tasks that have, or had, their directories below this one, and no user of their own.
    pub(crate) fn of_all_below(tasks_dir: &Path) -> Self {
        Self::of(Marks::of_all_below(tasks_dir), None)
    }

    fn of(marks: Marks, uid: Option<u32>) -> Self {
        Self { marks, uid, groups: BTreeSet::new(), cgroups: Vec::new(), since: 0 }
    }

    /// Nothing of the task was started yet: whatever is there needs no closer look, however often it is looked for.
    pub(crate) fn since_now(mut self) -> Self {
        self.since = ticks_since_boot().unwrap_or_default().saturating_sub(SLACK);
        self
    }

    /// Have control groups for what is started from now on, where that can be, and in them no more than `most` processes and threads.
    pub(crate) fn with_cgroups(mut self, most: u64) -> Self {
        let name = self.marks.dir().file_name().unwrap_or_default().to_string_lossy();
        self.cgroups = Cgroup::create_all(&name, most).into_iter().map(Arc::new).collect();
        self
    }

    #[cfg(test)]
    fn cgroups(&self) -> &[Arc<Cgroup>] {
        &self.cgroups
    }

    /// A process and the group that it leads are the task's as well.
    pub(crate) fn add_leader(&mut self, leader: u32) {
        self.groups.extend(i32::try_from(leader).ok());
        let dir = self.marks.dir();
        self.cgroups.retain(|cgroup| match cgroup.adopt(leader) {
            Ok(()) => true,
            Err(error) => {
                // Without it, the group tells nothing of the task.
                tracing::debug!(work_dir = %dir.display(), %error, "a control group does not take a process");
                false
            }
        });
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
            for cgroup in &self.cgroups {
                cgroup.kill();
            }
            if self.is_empty() {
                return;
            }
            self.kill_at_once();
            self.signal(Signal::KILL);
            if patience.elapsed() > INSIST {
                tracing::error!(work_dir = %self.marks.dir().display(), "processes of a task do not die");
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
        self.find().is_empty() && !self.cgroups.iter().any(|cgroup| cgroup.is_inhabited())
    }

    /// Processes of the task that live.
    pub(crate) fn find(&self) -> Vec<Pid> {
        self.members().into_iter().map(|(process, _)| process.pid()).collect()
    }

    /// What the processes hold, and how many they are. Blocks.
    pub(crate) fn look(&self) -> Look {
        let (memory, count) = (self.first(Cgroup::memory), self.first(Cgroup::count));
        if let (Some(memory), Some(processes)) = (memory, count) {
            return Look { memory, processes };
        }
        let members = self.members();
        let of_each = || members.iter().filter_map(|(process, _)| process.memory()).sum();
        // What a command started before it was in a group is in none.
        let of_all: u64 = members.iter().map(|(_, stat)| stat.threads).sum();
        Look { memory: memory.unwrap_or_else(of_each), processes: of_all.max(count.unwrap_or_default()) }
    }

    /// Bytes of memory that the task's processes hold, apart from what they share with others.
    pub(crate) fn memory(&self) -> u64 {
        let of_each = || self.members().iter().filter_map(|(process, _)| process.memory()).sum();
        self.first(Cgroup::memory).unwrap_or_else(of_each)
    }

    /// What the first control group says that knows.
    pub(crate) fn first<T>(&self, what: impl Fn(&Cgroup) -> Option<T>) -> Option<T> {
        self.cgroups.iter().find_map(|cgroup| what(cgroup))
    }

    /// Who lives and is the task's.
    fn members(&self) -> Vec<(Process, Stat)> {
        let own = Process::own();
        let living = |process: Process| process.stat().filter(|stat| !stat.dead).map(|stat| (process, stat));
        let others = processes().filter(|process| *process != own).filter_map(living);
        if let Some(uid) = self.uid {
            // A process of another user cannot be the task's, and all of this user's are.
            return others.filter(|(process, _)| process.real_uid() == Some(uid)).collect();
        }
        let grouped: HashSet<Pid> = self.cgroups.iter().flat_map(|cgroup| cgroup.processes()).collect();
        let young: Vec<_> = others.filter(|(_, stat)| stat.start >= self.since).collect();
        let known =
            |process: &Process, stat: &Stat| self.groups.contains(&stat.group) || grouped.contains(&process.pid());
        self.marks.members(young, known)
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
