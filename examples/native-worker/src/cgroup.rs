//! Control groups per task: where there are such, a call ends all processes of the task, wherever they went, the system itself
//! counts what they took, and keeps them from becoming too many.
//!
//! They come on top of what tells a task's processes otherwise: a system may have none, or not let this worker make any. A task gets
//! one in the unified hierarchy (version 2), and where that does not limit processes another one in the hierarchy of version 1
//! that does.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use crate::usage::Cpu;

mod place;

use place::Hierarchy;

/// Names of such groups begin like this; the number of the worker's process follows.
const PREFIX: &str = "tctask-";

/// A group that is removed when dropped.
#[derive(Debug)]
pub(crate) struct Cgroup {
    dir: PathBuf,
}

impl Cgroup {
    /// Make the groups that can be made for a task, for no more than `most` processes and threads.
    pub(crate) fn create_all(task: &str, most: u64) -> Vec<Self> {
        let mut made = Vec::new();
        for hierarchy in [Hierarchy::Unified, Hierarchy::Pids] {
            made.extend(Self::create(hierarchy, task));
            if made.last().is_some_and(|group| group.limit(most)) {
                break;
            }
        }
        made
    }

    /// Make a group below the worker's own, if that can be done.
    fn create(hierarchy: Hierarchy, task: &str) -> Option<Self> {
        let own = hierarchy.own_group()?;
        let dir = own.join(format!("{PREFIX}{}-{task}", std::process::id()));
        if let Err(error) = fs::create_dir(&dir) {
            tracing::debug!(path = %dir.display(), %error, "no control group for a task");
            return None;
        }
        if hierarchy == Hierarchy::Unified && !dir.join(PIDS_MAX).exists() {
            // It may be left to whoever has groups below its own whether these are counted. Where it is not, that is all.
            let _ = fs::write(own.join("cgroup.subtree_control"), "+pids");
        }
        Some(Self { dir })
    }

    /// Whether it now holds no more than `most` processes and threads.
    fn limit(&self, most: u64) -> bool {
        // Not to be made where it is not: in the unified hierarchy that needs the right controller.
        let file = self.dir.join(PIDS_MAX);
        file.exists() && fs::write(file, most.to_string()).is_ok()
    }

    /// Take a process in; what it starts from then on is in the group as well.
    pub(crate) fn adopt(&self, pid: u32) -> io::Result<()> {
        fs::write(self.dir.join("cgroup.procs"), pid.to_string())
    }

    /// Kill whoever is in the group, or will be by the time the system has done so.
    pub(crate) fn kill(&self) {
        let file = self.dir.join("cgroup.kill");
        // Version 1 has no such thing.
        if file.exists()
            && let Err(error) = fs::write(file, "1")
        {
            tracing::debug!(path = %self.dir.display(), %error, "the system does not kill whole control groups");
        }
    }

    /// The killed take a moment to be gone.
    fn wait_until_empty(&self) {
        let patience = Instant::now();
        while (self.is_inhabited() || !self.processes().is_empty()) && patience.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether anybody lives in the group, or in one that the task made inside, as far as the system tells that.
    pub(crate) fn is_inhabited(&self) -> bool {
        self.read("cgroup.events").is_some_and(|text| text.lines().any(|line| line == "populated 1"))
    }

    /// Who is in the group.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        let text = self.read("cgroup.procs").unwrap_or_default();
        text.lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
    }

    /// How many processes and threads are in the group and in those inside, where the system counts them for groups.
    pub(crate) fn count(&self) -> Option<u64> {
        self.read("pids.current")?.trim().parse().ok()
    }

    /// How often somebody in the group could start nothing because there were as many as may be.
    pub(crate) fn refused(&self) -> Option<u64> {
        let text = self.read("pids.events")?;
        text.lines().find_map(|line| line.strip_prefix("max ")?.parse().ok())
    }

    /// Time of the processor that the group had until now.
    pub(crate) fn cpu(&self) -> Option<Cpu> {
        let text = self.read("cpu.stat")?;
        let time = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
            Some(Duration::from_micros(value.parse().ok()?))
        };
        Some(Cpu { user: time("user_usec")?, kernel: time("system_usec")? })
    }

    /// Bytes that the group holds now, where the system counts them for groups.
    pub(crate) fn memory(&self) -> Option<u64> {
        let text = self.read("memory.stat")?;
        text.lines().find_map(|line| line.strip_prefix("anon ")?.parse().ok())
    }

    fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.dir.join(file)).ok()
    }
}

/// Where the most processes and threads stand that a group may have.
const PIDS_MAX: &str = "pids.max";

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Workers that begin at the same time may find the same one left.
        if let Err(error) = remove(&self.dir)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.dir.display(), %error, "cannot remove the control group of a task");
        }
    }
}

/// End and remove the groups of workers that are gone.
pub(crate) fn remove_leftovers() {
    for hierarchy in [Hierarchy::Unified, Hierarchy::Pids] {
        let Some(entries) = hierarchy.own_group().and_then(|own| fs::read_dir(own).ok()) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let worker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
            if worker.is_some_and(|worker| !Path::new("/proc").join(worker).exists()) {
                end(&Cgroup { dir: entry.path() });
            }
        }
    }
}

fn end(left: &Cgroup) {
    left.kill();
    for process in left.processes() {
        let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
    }
    left.wait_until_empty();
}

/// Groups that the task itself made come first.
fn remove(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(dir)
}
