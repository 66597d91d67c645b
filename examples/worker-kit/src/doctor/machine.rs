//! What every worker needs of its machine.

use std::io;
use std::net::TcpListener;
use std::path::Path;

use super::Examination;
use crate::config::Base;

pub(super) fn examine(base: &Base, examination: &mut Examination) {
    disk(base, examination);
    live_log(base, examination);
}

fn disk(base: &Base, examination: &mut Examination) {
    let required = base.settings.required_disk_space;
    for (what, path) in [("work directory", &*base.settings.work_dir), ("caches", &*base.cache_dir)] {
        let shown = path.display();
        match room(path) {
            Ok(free) if free >= required => {
                examination.good(what, format!("{shown} can be written and has {} MiB free", free >> 20));
            }
            Ok(free) => examination.wrong(
                what,
                format!("{shown} has {} MiB free, but {} MiB are required", free >> 20, required >> 20),
                "Free some, or set required_disk_space; until then no tasks are claimed.",
            ),
            Err(error) => examination.wrong(
                what,
                format!("{shown} cannot be written: {error}"),
                "Set work_dir and cache_dir to folders of the user who runs the worker.",
            ),
        }
    }
}

/// The bytes that are free where a folder is, which must be one that can be written.
fn room(path: &Path) -> io::Result<u64> {
    std::fs::create_dir_all(path)?;
    tempfile::tempfile_in(path)?;
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn live_log(base: &Base, examination: &mut Examination) {
    if base.tunnel.is_some() {
        return;
    }
    let (what, address) = ("live logs", base.live_log_address);
    match TcpListener::bind(address) {
        Err(error) => examination.wrong(
            what,
            format!("cannot listen on {address}: {error}"),
            "Set live_log_address to an address of this machine and a port that nobody else has.",
        ),
        Ok(_) if address.ip().is_loopback() && base.live_log_url.is_none() => {
            examination.note(what, format!("{address} can be reached from this machine only; see live_log_address"));
        }
        Ok(_) => examination.good(what, format!("{address} is free")),
    }
}
