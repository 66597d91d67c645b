//! Workers against the real queue.

mod embedded;
mod native;
mod proxy;
