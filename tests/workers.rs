//! Workers against the real queue.

mod caches;
mod embedded;
mod log;
mod mounts;
mod native;
mod proxy;
