//! What this worker needs of its machine: users for tasks, and devices.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use worker_kit::Examination;

use crate::devices::LoopbackDevices;
use crate::isolation::Isolation;
use crate::task_dir::let_pass;
use crate::user::TemporaryUser;

/// Make a user and remove it, if tasks are to have their own, and see whether it would reach the directory of its task.
pub async fn users(isolation: Isolation, work_dir: PathBuf, examination: &mut Examination) {
    let what = "users";
    match isolation {
        Isolation::None => examination
            .note(what, "isolation is \"none\": tasks can read and change whatever the user can who runs the worker"),
        Isolation::User if !rustix::process::geteuid().is_root() => examination.wrong(
            what,
            "only root can make users for tasks",
            "Run the worker as root, or set isolation to none if tasks may do what the user can who runs it.",
        ),
        Isolation::User => {
            if let Err(error) = let_pass(&work_dir) {
                examination.wrong(
                    what,
                    error,
                    "Set work_dir to one that everybody may pass on the way to (chmod o+x).",
                );
            }
            let tried = tokio::task::spawn_blocking(move || make_one(&work_dir)).await;
            match tried.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
                Ok(name) => examination.good(what, format!("{name} was made and removed")),
                Err(error) => {
                    let remedy = "Debian: install passwd; the list of users must be one that can be changed.";
                    examination.wrong(what, format!("none can be made: {error}"), remedy);
                }
            }
        }
    }
}

/// Say what it means if tasks may be the worker's user.
pub(crate) fn current_user(allowed: bool, isolation: Isolation, examination: &mut Examination) {
    if allowed && isolation == Isolation::User {
        examination
            .note("run_task_as_current_user", "whoever may create tasks with the scope for it is root on this machine");
    }
}

/// Look for the devices that tasks are to have.
pub(crate) fn devices(devices: &LoopbackDevices, examination: &mut Examination) {
    let what = "loopback device";
    for files in devices.each() {
        match files.iter().find_map(|file| Some((file, why_no_device(file)?))) {
            Some((file, why)) => examination.wrong(
                what,
                format!("{}: {why}", file.display()),
                "Load the kernel module that makes it: v4l2loopback with video_nr, snd-aloop with index.",
            ),
            None => {
                let first = files.first().map(|file| file.to_string_lossy()).unwrap_or_default();
                examination.good(what, format!("{first} is there"));
            }
        }
    }
}

fn why_no_device(file: &Path) -> Option<String> {
    match file.metadata() {
        Ok(found) if found.file_type().is_char_device() => None,
        Ok(_) => Some("it is no device".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

fn make_one(home: &Path) -> std::io::Result<String> {
    TemporaryUser::create(home).map(|user| user.name.clone())
}
