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
            Ok(Room { free, exists }) if free >= required => {
                let how = if exists { "can be written and has" } else { "does not exist yet and can be made, with" };
                examination.good(what, format!("{shown} {how} {} MiB free", free >> 20));
            }
            Ok(Room { free, .. }) => examination.wrong(
                what,
                format!("{shown} has {} MiB free, but {} MiB are required", free >> 20, required >> 20),
                "Free some, or set required_disk_space; until then no tasks are claimed.",
            ),
            Err(error) => examination.wrong(
                what,
                format!("{shown} cannot be used: {error}"),
                "Set work_dir and cache_dir to folders of the user who runs the worker.",
            ),
        }
    }
}

/// What there is for a folder.
#[derive(Debug, PartialEq, Eq)]
struct Room {
    /// Bytes that are free where it is, or would be.
    free: u64,
    exists: bool,
}

/// Try a folder, which must be one that can be written, or made. It is not made.
fn room(path: &Path) -> io::Result<Room> {
    let path = std::path::absolute(path)?;
    let there = path.ancestors().find(|ancestor| ancestor.symlink_metadata().is_ok());
    let there = there.ok_or(io::ErrorKind::NotFound)?;
    tempfile::tempfile_in(there).map_err(|error| {
        io::Error::new(error.kind(), format!("nothing can be written in {}: {error}", there.display()))
    })?;
    let disk = rustix::fs::statvfs(there)?;
    Ok(Room { free: disk.f_bavail.saturating_mul(disk.f_frsize), exists: there == path })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let found = room(&path).unwrap();
        assert!(found.free > 0 && !found.exists);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
        std::fs::create_dir_all(&path).unwrap();
        assert!(room(&path).unwrap().exists);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = room(&file.join("work")).unwrap_err().to_string();
        assert!(error.contains(&format!("nothing can be written in {}", file.display())), "{error}");
    }
}
