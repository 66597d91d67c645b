//! As whom a task's programs run.

use std::io;

use crate::{groups, limits, nproc};

/// Who a task's programs are to the system.
#[derive(Clone, Debug)]
pub(crate) enum Owner {
    /// A user of the task's own.
    Task(TaskUser),
    /// The user of the worker, who may have so many processes and threads more for the task, if the system is to see to that.
    Worker { processes: Option<u64> },
}

/// The user of a task.
#[derive(Clone, Debug)]
pub(crate) struct TaskUser {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Groups beside its own.
    pub(crate) groups: Vec<u32>,
    /// The most processes and threads that it may have.
    pub(crate) processes: u64,
}

impl Owner {
    /// The task's own user.
    pub(crate) fn user(&self) -> Option<&TaskUser> {
        match self {
            Self::Task(user) => Some(user),
            Self::Worker { .. } => None,
        }
    }

    /// Start something that has been told to become this user and group.
    pub(crate) fn start<T: Send>(&self, start: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        match self {
            Self::Task(user) => nproc::with_most(user.processes, || match user.groups.as_slice() {
                [] => start(),
                groups => groups::start_in(user.gid, groups, start),
            }),
            Self::Worker { processes } => match processes.and_then(limits::of_own_user) {
                Some(most) => nproc::with_most(most, start),
                None => start(),
            },
        }
    }
}
