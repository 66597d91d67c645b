//! What tasks may take.

use crate::nproc;

/// What tasks may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Processes and threads that a task may have at once. A task that has as many for five seconds is ended.
    pub processes: u64,
}

impl Limits {
    /// A task may have so many processes and threads.
    #[must_use]
    pub fn with_processes(mut self, processes: u64) -> Self {
        self.processes = processes;
        self
    }
}

impl Default for Limits {
    /// 512 processes for each processor of the machine: the worker has to come to its turn whatever a task does.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { processes: 512 * processors as u64 }
    }
}

/// By how many times a task without a user of its own, and without a control group, may go beyond its limit before somebody looks:
/// the system counts all processes of that user together, and a few more of somebody else's are no fault of the task's.
const LEEWAY: u64 = 4;

/// The most processes that the worker's own user may have while a task of that user has at most `most`; `None` if the system does
/// not limit that user.
pub(crate) fn of_own_user(most: u64) -> Option<u64> {
    if rustix::process::getuid().is_root() {
        return None;
    }
    let present = nproc::count_of(rustix::process::getuid().as_raw());
    Some(present.saturating_add(most.saturating_mul(LEEWAY)))
}
