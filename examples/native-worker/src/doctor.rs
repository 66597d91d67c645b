//! What this worker needs of its machine: users for tasks.

use std::path::{Path, PathBuf};

use worker_kit::Examination;

use crate::isolation::Isolation;
use crate::user::TemporaryUser;

/// Make a user and remove it, if tasks are to have their own.
pub(crate) async fn examine(isolation: Isolation, work_dir: PathBuf, examination: &mut Examination) {
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

fn make_one(home: &Path) -> std::io::Result<String> {
    TemporaryUser::create(home).map(|user| user.name.clone())
}
