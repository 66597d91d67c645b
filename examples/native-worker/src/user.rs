//! A user per task.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::process::Tree;
use crate::tree::remove_belongings;

/// Names of such users begin like this.
const PREFIX: &str = "tctask-";

/// A user that exists as long as this value. Needs root.
#[derive(Debug)]
pub(crate) struct TemporaryUser {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    home: PathBuf,
}

/// The programs that change the list of users do not wait for each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
static COUNT: AtomicU32 = AtomicU32::new(0);

impl TemporaryUser {
    /// Make a user whose home is `home`. Blocks.
    pub(crate) fn create(home: &Path) -> io::Result<Self> {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{:x}-{count:x}", std::process::id());
        let mut useradd = Command::new("useradd");
        useradd.args(["--no-create-home", "--no-log-init", "--user-group", "--shell", "/bin/sh", "--home-dir"]);
        change_users(useradd.arg(home).arg(&name))?;
        let (uid, gid) = lookup(&name)?;
        Ok(Self { name, uid, gid, home: home.to_owned() })
    }
}

impl Drop for TemporaryUser {
    fn drop(&mut self) {
        Tree::new(&self.home, Some(self.uid)).kill();
        self.remove_belongings();
        // By force, since the dead count as well until somebody reaps them.
        if let Err(error) = change_users(Command::new("userdel").args(["--force", &self.name])) {
            tracing::error!(user = self.name, %error, "cannot remove the user of a task");
        }
    }
}

impl TemporaryUser {
    /// The number will be given to the next user, who must not inherit files.
    fn remove_belongings(&self) {
        for dir in ["/tmp", "/var/tmp", "/dev/shm"] {
            if let Err(error) = remove_belongings(Path::new(dir), self.uid) {
                tracing::error!(user = self.name, dir, %error, "cannot remove what a task left outside of its directory");
            }
        }
    }
}

/// Remove the users that a former worker left, those whose home is below `tasks_dir`. Blocks.
pub(crate) fn remove_leftovers(tasks_dir: &Path) -> io::Result<()> {
    for entry in passwd()? {
        if entry.name.starts_with(PREFIX) && entry.home.starts_with(tasks_dir) {
            drop(TemporaryUser { name: entry.name, uid: entry.uid, gid: entry.gid, home: entry.home });
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
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Err(last.expect("set in each round"))
}

struct Entry {
    name: String,
    uid: u32,
    gid: u32,
    home: PathBuf,
}

fn passwd() -> io::Result<Vec<Entry>> {
    let parse = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = PathBuf::from(fields.nth(1)?);
        Some(Entry { name, uid, gid, home })
    };
    Ok(fs::read_to_string("/etc/passwd")?.lines().filter_map(parse).collect())
}

fn lookup(name: &str) -> io::Result<(u32, u32)> {
    let entry = passwd()?.into_iter().find(|entry| entry.name == name);
    entry.map(|entry| (entry.uid, entry.gid)).ok_or_else(|| io::Error::other(format!("user {name} is not there")))
}
