//! Workers against the real queue.

mod caches;
mod embedded;
mod mounts;
mod native;
mod proxy;
