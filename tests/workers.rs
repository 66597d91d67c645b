//! Workers against the real queue.

mod caches;
mod desk;
mod doctor;
mod embedded;
mod log;
mod mounts;
mod native;
mod proxy;
mod tunnel;
