//! Frames of a tunnel: a stranger's, and those of two sides whose streams are used in any order.

pub(crate) fn run(data: &[u8]) {
    taskcluster_worker::tunnel::exercise(data);
}
