//! Workers against the real queue.

mod native;
mod proxy;
