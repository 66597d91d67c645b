//! A control group (version 2) per task: where there is one, a single call ends all processes of the task, wherever they went, and
//! the system itself counts what they took.
//!
//! It comes on top of what tells a task's processes otherwise: a system may have no such groups, or not let this worker make any.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use crate::usage::Cpu;

/// Names of such groups begin like this; the number of the worker's process follows.
const PREFIX: &str = "tctask-";

/// A group that is removed when dropped.
#[derive(Debug)]
pub(crate) struct Cgroup {
    dir: PathBuf,
}

impl Cgroup {
    /// Make a group below the worker's own, if that can be done.
    pub(crate) fn create(task: &str) -> Option<Self> {
        let dir = own_group()?.join(format!("{PREFIX}{}-{task}", std::process::id()));
        match fs::create_dir(&dir) {
            Ok(()) => Some(Self { dir }),
            Err(error) => {
                tracing::debug!(path = %dir.display(), %error, "no control group for a task");
                None
            }
        }
    }

    /// Take a process in; what it starts from then on is in the group as well.
    pub(crate) fn adopt(&self, pid: u32) -> io::Result<()> {
        fs::write(self.dir.join("cgroup.procs"), pid.to_string())
    }

    /// Kill whoever is in the group, or will be by the time the system has done so.
    pub(crate) fn kill(&self) {
        if let Err(error) = fs::write(self.dir.join("cgroup.kill"), "1") {
            tracing::debug!(path = %self.dir.display(), %error, "the system does not kill whole control groups");
        }
    }

    /// The killed take a moment to be gone.
    fn wait_until_empty(&self) {
        let patience = Instant::now();
        while self.is_inhabited() && patience.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether anybody lives in the group, or in one that the task made inside.
    pub(crate) fn is_inhabited(&self) -> bool {
        self.read("cgroup.events").is_some_and(|text| text.lines().any(|line| line == "populated 1"))
    }

    /// Who is in the group.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        let text = self.read("cgroup.procs").unwrap_or_default();
        text.lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
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
    let Some(entries) = own_group().and_then(|own| fs::read_dir(own).ok()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let worker = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if worker.is_some_and(|worker| !Path::new("/proc").join(worker).exists()) {
            let left = Cgroup { dir: entry.path() };
            left.kill();
            left.wait_until_empty();
        }
    }
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

/// The directory of the group that this process is in.
fn own_group() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    place_of(Path::new(group), &mounts)
}

/// Where a group is found, given the table of mounts.
fn place_of(group: &Path, mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        Some(Path::new(point).join(group.strip_prefix(root).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_among_the_mounts() {
        let mounts = "25 1 0:22 / /proc rw - proc proc rw\n\
                      36 32 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        let place = place_of(Path::new("/system.slice/worker.service"), mounts);
        assert_eq!(place, Some(PathBuf::from("/sys/fs/cgroup/system.slice/worker.service")));
        let inside = "36 32 0:28 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
        assert_eq!(place_of(Path::new("/docker/1/a"), inside), Some(PathBuf::from("/sys/fs/cgroup/a")));
        assert_eq!(place_of(Path::new("/elsewhere"), inside), None);
        assert_eq!(place_of(Path::new("/"), "25 1 0:22 / /proc rw - proc proc rw\n"), None);
    }
}
