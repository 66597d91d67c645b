//! `osGroups`: what the task's user may do beside what everybody may.

use std::io;
use std::thread;

use rustix::thread::{CapabilitySet, Gid, capabilities, set_capabilities, set_thread_groups};
use taskcluster_worker::context::TaskContext;
use taskcluster_worker::error::{Error, Result};

use crate::accounts;
use crate::isolation::Isolation;

/// A group of the machine.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) gid: u32,
}

/// The groups that a task asks for, if it may be in them. Blocks.
///
/// # Errors
/// [`Error::Payload`]: there is no such group, the task lacks the scope for it, or tasks are no users of their own.
/// [`Error::Worker`]: the machine does not tell its groups.
pub(crate) fn allowed(task: &TaskContext, names: &[String], isolation: Isolation) -> Result<Vec<Group>> {
    if isolation == Isolation::None && !names.is_empty() {
        return Err(Error::payload(
            "payload/osGroups: tasks run as the user of this worker, in the groups of that user",
        ));
    }
    let (mut groups, mut reasons) = (Vec::new(), Vec::new());
    for name in names {
        let scope = format!("generic-worker:os-group:{}/{name}", task.identity().task_queue_id);
        if !task.has_scope(&scope) {
            reasons.push(format!("payload/osGroups: {name:?} takes the scope {scope}"));
            continue;
        }
        let found = accounts::group(name).map_err(|error| Error::worker_caused("cannot look for groups", error))?;
        match found {
            Some(gid) => groups.push(Group { name: name.clone(), gid }),
            None => reasons.push(format!("payload/osGroups: this machine has no group {name:?}")),
        }
    }
    if reasons.is_empty() { Ok(groups) } else { Err(Error::Payload(reasons)) }
}

/// Start something that becomes another user and group by itself, in more groups.
///
/// The standard library has a process that becomes another user leave all groups; only where it may not do even that do those
/// of its parent remain. So the parent is a thread of its own that is in the groups, and has given up the right to change them.
pub(crate) fn start_in<T: Send>(
    gid: u32,
    groups: &[u32],
    start: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let runtime = tokio::runtime::Handle::current();
    let begin = move || {
        let _entered = runtime.enter();
        let groups: Vec<Gid> = groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        let gid = Gid::from_raw(gid);
        set_thread_groups(&groups)?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        let mut rights = capabilities(None)?;
        rights.effective.remove(CapabilitySet::SETGID);
        set_capabilities(None, rights)?;
        start()
    };
    thread::scope(|scope| scope.spawn(begin).join()).unwrap_or_else(|_| Err(io::Error::other("the thread is lost")))
}
