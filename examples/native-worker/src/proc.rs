//! What the system says of processes, in `/proc`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Pid;

use crate::usage::Cpu;

/// A process that was there when somebody looked. It may be gone at any time; then nothing is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(Pid);

impl From<Pid> for Process {
    fn from(pid: Pid) -> Self {
        Self(pid)
    }
}

/// All processes.
pub(crate) fn processes() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?).map(Process))
}

/// What the system keeps of a process until its parent has taken notice of its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stat {
    /// It only waits for its parent to take notice.
    pub(crate) dead: bool,
    /// Who started it; once that process is gone, who looks after it instead.
    pub(crate) parent: i32,
    /// Its process group.
    pub(crate) group: i32,
    /// Its session.
    pub(crate) session: i32,
    /// How many threads it has, the first one included.
    pub(crate) threads: u64,
    /// When it was started, on the clock of [`ticks_since_boot`].
    pub(crate) start: u64,
    /// What it took, with those of its children whose end it took notice of.
    pub(crate) cpu: Cpu,
}

impl Process {
    /// This program.
    pub(crate) fn own() -> Self {
        Self(rustix::process::getpid())
    }

    pub(crate) fn pid(self) -> Pid {
        self.0
    }

    pub(crate) fn number(self) -> i32 {
        self.0.as_raw_nonzero().get()
    }

    pub(crate) fn stat(self) -> Option<Stat> {
        Stat::parse(&String::from_utf8_lossy(&self.read("stat")?))
    }

    pub(crate) fn real_uid(self) -> Option<u32> {
        self.status("Uid:")?.split_whitespace().next()?.parse().ok()
    }

    /// Bytes of memory that no file stands behind, so that they cannot be had back while it lives.
    pub(crate) fn memory(self) -> Option<u64> {
        let kib: u64 = self.status("RssAnon:")?.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    }

    /// Whether it was started with a variable, in the form `NAME=value`, of which that is so.
    pub(crate) fn has_variable(self, is_it: impl Fn(&[u8]) -> bool) -> bool {
        self.read("environ").is_some_and(|environ| environ.split(|byte| *byte == 0).any(is_it))
    }

    /// Its working directory; where that was deleted, the path that it had.
    pub(crate) fn work_dir(self) -> Option<PathBuf> {
        let found = fs::read_link(self.file("cwd")).ok()?.into_os_string().into_vec();
        // The system's own mark. A directory that is really called so is taken for the one without.
        let path = found.strip_suffix(b" (deleted)").unwrap_or(&found);
        Some(PathBuf::from(OsStr::from_bytes(path)))
    }

    fn status(self, field: &str) -> Option<String> {
        let status = String::from_utf8_lossy(&self.read("status")?).into_owned();
        status.lines().find_map(|line| line.strip_prefix(field)).map(str::to_owned)
    }

    fn read(self, file: &str) -> Option<Vec<u8>> {
        fs::read(self.file(file)).ok()
    }

    fn file(self, file: &str) -> String {
        format!("/proc/{}/{file}", self.number())
    }
}

impl Stat {
    fn parse(line: &str) -> Option<Self> {
        // The second field, the name in parentheses, may itself contain parentheses and spaces.
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |number: usize| fields.get(number)?.parse::<u64>().ok();
        let time = |own: usize, children: usize| Some(of_ticks(ticks(own)?.checked_add(ticks(children)?)?));
        Some(Self {
            dead: matches!(*fields.first()?, "Z" | "X"),
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            threads: ticks(17)?,
            start: ticks(19)?,
            cpu: Cpu { user: time(11, 13)?, kernel: time(12, 14)? },
        })
    }
}

/// The time since the machine was started, in the units of [`Stat::start`].
pub(crate) fn ticks_since_boot() -> Option<u64> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let (seconds, hundredths) = uptime.split_whitespace().next()?.split_once('.')?;
    let hundredths = seconds.parse::<u64>().ok()?.checked_mul(100)?.checked_add(hundredths.parse().ok()?)?;
    Some(hundredths.saturating_mul(rustix::param::clock_ticks_per_second()) / 100)
}

fn of_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_more_fields() {
        let line = "7 (a) Z (b)) S 1 42 42 0 -1 4194304 1 2 3 4 100 50 200 25 20 0 1 0 5 6";
        let stat = Stat::parse(line).unwrap();
        assert!(!stat.dead);
        assert_eq!((stat.parent, stat.group, stat.session, stat.threads, stat.start), (1, 42, 42, 1, 5));
        assert_eq!(stat.cpu, Cpu { user: of_ticks(300), kernel: of_ticks(75) });
    }

    #[test]
    fn this_process_holds_memory() {
        let own = Process::own();
        assert!(processes().any(|process| process == own));
        assert!(own.memory().unwrap() > 0);
        assert_eq!(own.real_uid(), Some(rustix::process::getuid().as_raw()));
        assert!(own.stat().unwrap().start <= ticks_since_boot().unwrap());
    }
}
