//! How many processes a task's user may have: a limit that holds from the first instruction of a command on.

use std::io;
use std::sync::{Mutex, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};

use crate::proc::processes;

/// The limit is one of the worker as a whole while it starts something.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Start something whose user may have `most` processes and threads.
///
/// A limit that was set once it runs would come too late: what it had forked by then is not bound. So the worker has the limit for that
/// moment, and what it starts inherits it. It does not bind a worker that is root. A worker that has the right to raise limits
/// again gives its tasks none that they can raise; others, as in some containers, rely on the tasks' leaving it alone.
pub(crate) fn with_most<T>(most: u64, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let usual = getrlimit(Resource::Nproc);
    let most = usual.maximum.map_or(most, |maximum| maximum.min(most));
    let may_raise = capabilities(None)?.effective.contains(CapabilitySet::SYS_RESOURCE);
    let maximum = if may_raise { Some(most) } else { usual.maximum };
    setrlimit(Resource::Nproc, Rlimit { current: Some(most), maximum })?;
    let started = start();
    if let Err(error) = setrlimit(Resource::Nproc, usual) {
        tracing::error!(%error, "the worker keeps the limit of its tasks");
    }
    started
}

/// How many processes and threads a user has, as the system counts them for the limit.
pub(crate) fn count_of(uid: u32) -> u64 {
    let of_user = processes().filter(|process| process.real_uid() == Some(uid));
    of_user.filter_map(|process| Some(process.stat()?.threads)).sum()
}
