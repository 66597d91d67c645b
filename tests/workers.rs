//! Workers against the real queue.

mod embedded;
mod mounts;
mod native;
mod proxy;
