//! Workers against the real queue.

mod caches;
mod embedded;
mod native;
mod proxy;
