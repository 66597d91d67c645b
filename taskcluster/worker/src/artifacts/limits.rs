//! How large artifacts may be: a task can make a file in an instant that is larger than any disk.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::Missing;
use crate::size::size;

/// How large the artifacts of a run may be. What is larger becomes an `error` artifact with the reason `too-large-file-on-worker`,
/// and counts as a missing one. The log is none of them.
///
/// ```
/// use taskcluster_worker::artifacts::ArtifactLimits;
///
/// let limits = ArtifactLimits::default().with_each(1 << 30).with_all(10 << 30);
/// assert_eq!(limits.each, 1 << 30);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArtifactLimits {
    /// Bytes of one artifact. Default: 64 GiB.
    pub each: u64,
    /// Bytes of all artifacts of a run together. Default: 256 GiB.
    pub all: u64,
}

impl Default for ArtifactLimits {
    /// Far more than builds make, and less than a disk that a sparse file could fill.
    fn default() -> Self {
        Self { each: 64 << 30, all: 256 << 30 }
    }
}

impl ArtifactLimits {
    /// With at most so many bytes of one artifact.
    #[must_use]
    pub fn with_each(mut self, bytes: u64) -> Self {
        self.each = bytes;
        self
    }

    /// With at most so many bytes of all artifacts of a run.
    #[must_use]
    pub fn with_all(mut self, bytes: u64) -> Self {
        self.all = bytes;
        self
    }

    /// Whether there may be a file of so many `bytes` at `path`, which is what the payload calls it.
    ///
    /// # Errors
    /// [`Missing::TooLarge`].
    pub fn allow(&self, path: &str, bytes: u64) -> Result<(), Missing> {
        if bytes > self.each.min(self.all) {
            let (has, most) = (size(bytes), size(self.each.min(self.all)));
            return Err(Missing::TooLarge(format!("{path} has {has}; this worker takes artifacts of {most} at most")));
        }
        Ok(())
    }

    /// The same for a file that is to be copied to the folder `to` first. Where nobody knows how full a disk is, there is room.
    ///
    /// # Errors
    /// [`Missing::TooLarge`].
    pub fn allow_copy(&self, path: &str, bytes: u64, to: &Path) -> Result<(), Missing> {
        self.allow(path, bytes)?;
        let Ok(disk) = rustix::fs::statvfs(to) else { return Ok(()) };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if bytes > free {
            let (has, free) = (size(bytes), size(free));
            return Err(Missing::TooLarge(format!("{path} has {has}, and the disk of the worker only {free} free")));
        }
        Ok(())
    }
}

/// What the artifacts of one run have taken of its limits.
#[derive(Debug)]
pub(crate) struct Allowance {
    limits: ArtifactLimits,
    taken: AtomicU64,
}

impl Allowance {
    pub(crate) fn new(limits: ArtifactLimits) -> Self {
        Self { limits, taken: AtomicU64::new(0) }
    }

    pub(crate) fn limits(&self) -> ArtifactLimits {
        self.limits
    }

    /// Before an artifact of so many `bytes` is uploaded. What is refused takes nothing, so that smaller ones still fit.
    pub(crate) fn take(&self, path: &str, bytes: u64) -> Result<(), Missing> {
        self.limits.allow(path, bytes)?;
        let fits = |taken: u64| taken.checked_add(bytes).filter(|taken| *taken <= self.limits.all);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map(drop).map_err(|taken| {
            let (has, most, taken) = (size(bytes), size(self.limits.all), size(taken));
            Missing::TooLarge(format!(
                "{path} has {has}; this worker takes {most} of artifacts from a run, of which {taken} are taken"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(answer: Result<(), Missing>) -> bool {
        answer.is_err_and(|missing| missing.reason() == "too-large-file-on-worker")
    }

    #[test]
    fn one_may_be_as_large_as_the_limit_and_no_larger() {
        let allowance = Allowance::new(ArtifactLimits::default().with_each(10).with_all(100));
        allowance.take("a", 10).unwrap();
        assert!(is_refused(allowance.take("a", 11)));
    }

    #[test]
    fn what_no_longer_fits_leaves_room_for_what_does() {
        let allowance = Allowance::new(ArtifactLimits::default().with_all(100));
        allowance.take("a", 60).unwrap();
        assert!(is_refused(allowance.take("b", 41)));
        allowance.take("c", 40).unwrap();
        assert!(is_refused(allowance.take("d", 1)));
        allowance.take("empty", 0).unwrap();
        assert!(is_refused(allowance.take("e", u64::MAX)));
    }

    #[test]
    fn what_does_not_fit_on_the_disk_is_not_copied() {
        let dir = tempfile::tempdir().unwrap();
        let limits = ArtifactLimits::default().with_each(u64::MAX).with_all(u64::MAX);
        limits.allow_copy("a", 1, dir.path()).unwrap();
        assert!(is_refused(limits.allow_copy("a", u64::MAX, dir.path())));
        limits.allow_copy("a", u64::MAX, &dir.path().join("nowhere")).unwrap();
    }
}
