//! What mounting may take of the machine, and why it is given up.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// How much may be written for the mounts of one run, all together: archives that swell when they are unpacked, and answers of
/// web servers that do not end, come to an end here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountLimits {
    /// Bytes, of what is fetched and of what becomes of it. Default: 64 GiB. A task that has more is malformed.
    pub bytes: u64,
    /// Files, directories and links. Default: four million. A task that has more is malformed.
    pub entries: u64,
    /// Bytes of the disk that are left free. Default: 1 GiB. Where they are not, the worker is short of disk and gives the run
    /// back.
    pub free_disk: u64,
}

impl Default for MountLimits {
    fn default() -> Self {
        Self { bytes: 64 << 30, entries: 4_000_000, free_disk: 1 << 30 }
    }
}

impl MountLimits {
    /// With this many bytes.
    #[must_use]
    pub fn with_bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// With this many files, directories and links.
    #[must_use]
    pub fn with_entries(mut self, entries: u64) -> Self {
        self.entries = entries;
        self
    }

    /// With so much of the disk left free.
    #[must_use]
    pub fn with_free_disk(mut self, free_disk: u64) -> Self {
        self.free_disk = free_disk;
        self
    }
}

/// Why something is not mounted. Travels inside of an [`io::Error`] through readers and writers that know nothing of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The task's: it would be the same another time.
    #[error("{0}")]
    Refused(String),
    /// The disk's.
    #[error("cannot write what is mounted")]
    Disk(#[source] io::Error),
    /// There is too little disk.
    #[error("less than {0} bytes of the disk are free")]
    Short(u64),
    /// Nobody wants it any more.
    #[error("the run has been given up")]
    Stopped,
}

impl Fault {
    pub(super) fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(fault) => fault,
            // What the system says is about files; readers of archives say what they find in words of their own.
            Err(error) if error.raw_os_error().is_some() => Self::Disk(error),
            Err(error) => Self::Refused(format!("it is damaged: {error}")),
        }
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        Self::other(fault)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Refused(why) => Self::payload(why),
            Fault::Disk(error) => Self::worker_caused("cannot write what is mounted", error),
            Fault::Short(_) | Fault::Stopped => Self::worker(fault.to_string()),
        }
    }
}

/// Bytes between two looks at how much of the disk is free.
const STRIDE: u64 = 64 << 20;

/// What the mounts of a run have used of its limits.
#[derive(Debug)]
pub(super) struct Budget {
    limits: MountLimits,
    bytes: AtomicU64,
    entries: AtomicU64,
    stop: CancellationToken,
}

impl Budget {
    /// Nothing is used yet; nothing more is granted once `stop` is cancelled.
    pub(super) fn new(limits: MountLimits, stop: CancellationToken) -> Self {
        Self { limits, bytes: AtomicU64::new(0), entries: AtomicU64::new(0), stop }
    }

    /// Before so many bytes are written to the disk that `place` is on.
    pub(super) fn take_bytes(&self, more: u64, place: impl AsFd) -> Result<(), Fault> {
        self.go_on()?;
        let before = self.bytes.fetch_add(more, Ordering::Relaxed);
        let after = before.saturating_add(more);
        if after > self.limits.bytes {
            return Err(Fault::refused(format!("what is mounted is larger than {} bytes", self.limits.bytes)));
        }
        if before == 0 || before / STRIDE != after / STRIDE { self.look_at_disk(place) } else { Ok(()) }
    }

    /// Before a file, a directory or a link is made.
    pub(super) fn take_entry(&self) -> Result<(), Fault> {
        self.go_on()?;
        if self.entries.fetch_add(1, Ordering::Relaxed) >= self.limits.entries {
            return Err(Fault::refused(format!("what is mounted has more than {} entries", self.limits.entries)));
        }
        Ok(())
    }

    /// Whether anybody still wants it.
    pub(super) fn go_on(&self) -> Result<(), Fault> {
        if self.stop.is_cancelled() { Err(Fault::Stopped) } else { Ok(()) }
    }

    fn look_at_disk(&self, place: impl AsFd) -> Result<(), Fault> {
        let disk = rustix::fs::fstatvfs(place).map_err(|error| Fault::Disk(error.into()))?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) < self.limits.free_disk {
            return Err(Fault::Short(self.limits.free_disk));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(limits: MountLimits) -> Budget {
        Budget::new(limits, CancellationToken::new())
    }

    #[test]
    fn what_is_too_large_is_the_tasks_fault() {
        let (place, budget) = (tempfile::tempfile().unwrap(), budget(MountLimits::default().with_bytes(10)));
        budget.take_bytes(10, &place).unwrap();
        assert!(matches!(budget.take_bytes(1, &place), Err(Fault::Refused(_))));
    }

    #[test]
    fn too_many_entries_are_the_tasks_fault() {
        let budget = budget(MountLimits::default().with_entries(2));
        budget.take_entry().unwrap();
        budget.take_entry().unwrap();
        assert!(matches!(budget.take_entry(), Err(Fault::Refused(_))));
    }

    #[test]
    fn a_disk_that_fills_up_is_the_workers_fault() {
        let (place, budget) = (tempfile::tempfile().unwrap(), budget(MountLimits::default().with_free_disk(u64::MAX)));
        let fault = budget.take_bytes(1, &place).unwrap_err();
        assert!(matches!(Error::from(fault), Error::Worker { .. }));
    }

    #[test]
    fn nothing_is_granted_to_a_run_that_was_given_up() {
        let (place, stop) = (tempfile::tempfile().unwrap(), CancellationToken::new());
        let budget = Budget::new(MountLimits::default(), stop.clone());
        budget.take_bytes(1, &place).unwrap();
        stop.cancel();
        assert!(matches!(budget.take_bytes(1, &place), Err(Fault::Stopped)));
        assert!(matches!(budget.take_entry(), Err(Fault::Stopped)));
    }

    #[test]
    fn a_fault_comes_out_of_an_error_as_it_went_in() {
        let fault = Fault::from(io::Error::from(Fault::Stopped));
        assert!(matches!(fault, Fault::Stopped));
        let fault = Fault::from(io::Error::from_raw_os_error(28));
        assert!(matches!(fault, Fault::Disk(_)));
        let fault = Fault::from(io::Error::from(io::ErrorKind::UnexpectedEof));
        assert!(matches!(fault, Fault::Refused(_)));
    }
}
