//! Who a process is: its number, and when it began, since numbers are given again.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, kill_process, kill_process_group, test_kill_process};
use taskcluster_core::time::Timestamp;

/// A process as it has written itself down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pid: i32,
    /// In ticks since the machine's start, where the system tells.
    begun: Option<u64>,
}

/// What a process is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    /// To end in order.
    Terminate,
    /// To be ended.
    Kill,
}

impl Identity {
    /// As it stands in the folder; nothing if no process has got so far.
    pub(super) async fn read(folder: &Path) -> io::Result<Option<Self>> {
        match tokio::fs::read_to_string(folder.join("identity")).await {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// See to it that no process begins here any more.
    pub(super) async fn forbid(folder: &Path) -> io::Result<()> {
        match tokio::fs::File::create_new(folder.join("identity")).await {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists && error.kind() != io::ErrorKind::NotFound => {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// A line of `/proc/PID/stat`, or a number. Source: proc_pid_stat(5); the name in parentheses may hold anything.
    fn parse(text: &str) -> Option<Self> {
        let pid = text.split_whitespace().next()?.parse().ok().filter(|pid| *pid > 1)?;
        let begun = text.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(19)?.parse().ok());
        Some(Self { pid, begun })
    }

    /// Whether it is there, and more than its remains.
    pub(super) fn lives(&self) -> bool {
        match std::fs::read_to_string(format!("/proc/{}/stat", self.pid)) {
            Ok(stat) => {
                let dead = stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']));
                !dead && Self::parse(&stat).as_ref() == Some(self)
            }
            // Without such files a number has to do.
            Err(_) => self.begun.is_none() && self.pid().is_some_and(|pid| test_kill_process(pid).is_ok()),
        }
    }

    /// Tell it something. One that is gone need not hear it.
    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            let _ = kill_process(pid, signal.into());
        }
    }

    /// Tell it and all that it has started in its own group.
    pub(super) fn signal_group(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            let _ = kill_process_group(pid, signal.into());
        }
    }

    /// When it was told to end, if it was.
    pub(super) async fn was_told(&self, folder: &Path) -> io::Result<Option<Timestamp>> {
        match modified(&folder.join("told")).await {
            Ok(time) => Ok(Some(time)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.pid)
    }
}

impl From<Signal> for rustix::process::Signal {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Terminate => Self::TERM,
            Signal::Kill => Self::KILL,
        }
    }
}

/// Note that the process is told to end.
pub(super) async fn note_told(folder: &Path) -> io::Result<()> {
    tokio::fs::write(folder.join("told"), []).await
}

/// How long the folder is there.
pub(super) async fn age(folder: &Path, now: Timestamp) -> io::Result<Duration> {
    Ok(now.since(modified(folder).await?))
}

async fn modified(path: &Path) -> io::Result<Timestamp> {
    let modified = tokio::fs::metadata(path).await?.modified()?;
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Ok(Timestamp::UNIX_EPOCH + since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_of_the_same_number() {
        let stat = "4711 (a (strange) name) S 1 4711 4711 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 0 0";
        assert_eq!(Identity::parse(stat), Some(Identity { pid: 4711, begun: Some(987_654) }));
        assert_eq!(Identity::parse("4711\n"), Some(Identity { pid: 4711, begun: None }));
        assert_eq!(Identity::parse(""), None);
        assert_eq!(Identity::parse("1 (init) S"), None, "nobody ends the first process");
        let own = std::fs::read_to_string("/proc/self/stat").unwrap();
        let own = Identity::parse(&own).unwrap();
        assert!(own.lives());
        assert!(!Identity { begun: own.begun.map(|begun| begun - 1), ..own }.lives());
    }
}
