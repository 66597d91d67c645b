//! What tells a process of a task that has no user of its own from all others of the same user.
//!
//! - The variable `TASK_WORKDIR` in the environment with which it was started. The directory itself need not be there any more.
//! - A working directory inside the task's, also one that was deleted meanwhile.
//! - Its lineage: who was started by a process of the task is the task's, and so is whoever is in a session that such a process
//!   began. Sessions are remembered from look to look, so a process that has shed everything else, and whose parent is gone, is
//!   found if it, or one of its session, was seen while the parent still lived.

use std::collections::{BTreeSet, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::proc::{Process, Stat};

const VARIABLE: &[u8] = b"TASK_WORKDIR=";

/// The marks of one task, or of all that there were. Clones remember sessions together.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    dir: PathBuf,
    /// Whether the tasks are meant that have their directories in this one.
    below: bool,
    sessions: Arc<Mutex<BTreeSet<i32>>>,
}

impl Marks {
    pub(super) fn of_task(work_dir: &Path) -> Self {
        Self { dir: work_dir.to_owned(), below: false, sessions: Arc::default() }
    }

    pub(super) fn of_all_below(tasks_dir: &Path) -> Self {
        Self { dir: tasks_dir.to_owned(), below: true, sessions: Arc::default() }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Those of `living` who bear a mark, are `known` anyway, or descend from such.
    pub(super) fn members(
        &self,
        living: Vec<(Process, Stat)>,
        known: impl Fn(&Process, &Stat) -> bool,
    ) -> Vec<(Process, Stat)> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        // Before their numbers are given to somebody else's.
        sessions.retain(|session| living.iter().any(|(_, stat)| stat.session == *session));
        let own_session = self.own_session();
        let is_marked = |(process, stat): &(Process, Stat)| known(process, stat) || self.is_named_by(*process);
        let (mut found, mut others): (Vec<_>, Vec<_>) = living.into_iter().partition(is_marked);
        let mut parents = HashSet::new();
        let mut new = found.clone();
        loop {
            parents.extend(new.iter().map(|(process, _)| process.number()));
            if let Some(own) = own_session {
                sessions.extend(new.iter().map(|(_, stat)| stat.session).filter(|session| ![0, own].contains(session)));
            }
            let descends =
                |(_, stat): &(Process, Stat)| parents.contains(&stat.parent) || sessions.contains(&stat.session);
            (new, others) = others.into_iter().partition(descends);
            if new.is_empty() {
                break;
            }
            found.extend(new.iter().copied());
        }
        // Somebody may just look around there, from a session that has nothing to do with the task.
        let inside = |(process, _): &(Process, Stat)| process.work_dir().is_some_and(|dir| dir.starts_with(&self.dir));
        found.extend(others.into_iter().filter(inside));
        found
    }

    /// The session in which the worker starts tasks, so that every other one that they are in is theirs. `None` for tasks of a
    /// former worker: they may be in its session, with whoever started that.
    fn own_session(&self) -> Option<i32> {
        if self.below { None } else { Process::own().stat().map(|stat| stat.session) }
    }

    /// Whether it was started with the task's directory in its environment.
    fn is_named_by(&self, process: Process) -> bool {
        process.has_variable(|variable| {
            let Some(dir) = variable.strip_prefix(VARIABLE) else { return false };
            match dir.strip_prefix(self.dir.as_os_str().as_bytes()) {
                Some([]) => !self.below,
                Some([b'/', ..]) => self.below,
                Some(_) | None => false,
            }
        })
    }
}
