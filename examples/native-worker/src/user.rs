//! A user per task.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::accounts::{self, Account};
use crate::groups::Group;
use crate::proc::processes;
use crate::process::Tree;
use crate::tree::remove_belongings;

/// Names of such users begin like this.
const PREFIX: &str = "tctask-";

/// How long the dead are waited for.
const REAPING: Duration = Duration::from_secs(10);

/// A user that exists as long as this value. Needs root.
#[derive(Debug)]
pub(crate) struct TemporaryUser {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Where its directory is to be, named like the user.
    pub(crate) home: PathBuf,
    /// Groups that it is in, beside its own.
    pub(crate) groups: Vec<u32>,
}

/// The programs that change the list of users do not wait for each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
static COUNT: AtomicU32 = AtomicU32::new(0);

impl TemporaryUser {
    /// Make a user whose home will be below `homes`. Blocks.
    pub(crate) fn create(homes: &Path) -> io::Result<Self> {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{count:x}", prefix_of_life());
        let home = homes.join(&name);
        let mut useradd = Command::new("useradd");
        useradd.args(["--no-create-home", "--no-log-init", "--user-group", "--shell", "/bin/sh", "--home-dir"]);
        change_users(useradd.arg(&home).arg(&name))?;
        let account = accounts::user(&name)?.ok_or_else(|| io::Error::other(format!("user {name} is not there")))?;
        Ok(Self::from(account))
    }

    /// Have it in these groups as well. Blocks.
    pub(crate) fn join(&mut self, groups: &[Group]) -> io::Result<()> {
        if groups.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        change_users(Command::new("usermod").args(["--append", "--groups", &names.join(","), &self.name]))?;
        self.groups = groups.iter().map(|group| group.gid).collect();
        Ok(())
    }
}

impl From<Account> for TemporaryUser {
    fn from(Account { name, uid, gid, home }: Account) -> Self {
        Self { name, uid, gid, home, groups: Vec::new() }
    }
}

impl Drop for TemporaryUser {
    fn drop(&mut self) {
        Tree::new(&self.home, Some(self.uid)).kill();
        self.remove_belongings();
        self.await_reaping();
        // By force, since the dead count as well.
        if let Err(error) = change_users(Command::new("userdel").args(["--force", &self.name])) {
            tracing::error!(user = self.name, %error, "cannot remove the user of a task");
        }
    }
}

impl TemporaryUser {
    /// The number will be given to the next user, and the dead count for that one's limit of processes until they are reaped: by
    /// whoever started them, or by the system's first process, which is quick about it. Blocks.
    fn await_reaping(&self) {
        let begun = Instant::now();
        while processes().any(|process| process.real_uid() == Some(self.uid)) && begun.elapsed() < REAPING {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The number will be given to the next user, who must not inherit files.
    fn remove_belongings(&self) {
        for dir in ["/tmp", "/var/tmp", "/dev/shm"] {
            if let Err(error) = remove_belongings(Path::new(dir), self.uid) {
                tracing::error!(user = self.name, dir, %error, "cannot remove what a task left outside of its directory");
            }
        }
    }
}

/// What the names of the users of this process begin with.
fn prefix_of_life() -> String {
    format!("{PREFIX}{:x}-", std::process::id())
}

/// Remove the users that a former worker left, those whose home is below `homes`. Blocks. To be called before this one makes any.
pub(crate) fn remove_leftovers(homes: &Path) -> io::Result<()> {
    remove_if(homes, |_| true)
}

/// Remove those that came into being only after this worker had begun: a program that makes a user lives on when the worker that
/// called it is killed. Blocks.
pub(crate) fn remove_latecomers(homes: &Path) -> io::Result<()> {
    let own = prefix_of_life();
    remove_if(homes, |name| !name.starts_with(&own))
}

fn remove_if(homes: &Path, is_left: impl Fn(&str) -> bool) -> io::Result<()> {
    for account in accounts::users()? {
        if account.name.starts_with(PREFIX) && account.home.starts_with(homes) && is_left(&account.name) {
            drop(TemporaryUser::from(account));
        }
    }
    Ok(())
}

fn change_users(command: &mut Command) -> io::Result<()> {
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // Programs of other processes may hold the lock on the list of users.
    let mut last = None;
    for _ in 0..300 {
        let Output { status, stderr, .. } = command.output()?;
        if status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&stderr).trim().to_owned();
        let locked = text.contains("lock");
        last = Some(io::Error::other(format!("{}: {text}", command.get_program().to_string_lossy())));
        if !locked {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(last.expect("set in each round"))
}
