//! Workers against the real queue.

mod embedded;
mod log;
mod native;
mod proxy;
