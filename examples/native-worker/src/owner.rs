//! As whom a task's programs run.

use std::io;

use crate::{groups, nproc};

/// The user of a task.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Groups beside its own.
    pub(crate) groups: Vec<u32>,
    /// The most processes and threads that it may have.
    pub(crate) processes: u64,
}

impl Owner {
    /// Start something that has been told to become this user and group.
    pub(crate) fn start<T: Send>(&self, start: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        nproc::with_most(self.processes, || match self.groups.as_slice() {
            [] => start(),
            groups => groups::start_in(self.gid, groups, start),
        })
    }
}
