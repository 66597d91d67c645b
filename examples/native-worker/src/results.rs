//! What a task leaves: files of its directory, read with no more rights than the task had.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use async_trait::async_trait;
use taskcluster_worker::TaskContext;
use taskcluster_worker::artifacts::ArtifactLimits;
use taskcluster_worker::engine::{Exit, Extracted, Missing, ResultSet};
use taskcluster_worker::log::TaskLog;
use tokio::process::Command;

use crate::sandbox::{Home, discard};
use crate::tree;

#[derive(Debug)]
pub(crate) struct NativeResults {
    exit: Exit,
    home: Home,
    scratch: PathBuf,
    limits: ArtifactLimits,
    log: TaskLog,
}

impl NativeResults {
    pub(crate) fn new(exit: Exit, home: Home, task: &TaskContext) -> Self {
        let (scratch, limits, log) = (task.scratch().to_owned(), task.artifact_limits(), task.log().clone());
        Self { exit, home, scratch, limits, log }
    }

    /// A program that runs as the task's user.
    fn as_user(&self, program: &str) -> Option<Command> {
        let user = self.home.user.as_ref()?;
        let mut command = Command::new(program);
        command.uid(user.uid).gid(user.gid).current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        Some(command)
    }

    /// A link could point where only the worker may read, so that a copy is made by the task's own user.
    async fn copy_as_user(&self, mut cat: Command, path: &Path) -> io::Result<Option<Extracted>> {
        let copy = tempfile::NamedTempFile::new_in(&self.scratch)?;
        let status = cat.arg("--").arg(path).stdout(copy.reopen()?).status().await?;
        Ok(status.success().then(|| Extracted::copy(copy.into_temp_path())))
    }
}

#[async_trait]
impl ResultSet for NativeResults {
    fn exit(&self) -> &Exit {
        &self.exit
    }

    async fn file(&self, path: &str) -> Result<Extracted, Missing> {
        let full = self.home.dir.0.join(path);
        let found = fs::metadata(&full).map_err(|error| missing(path, &error))?;
        if !found.is_file() {
            return Err(Missing::WrongType(format!("{path} is not a regular file")));
        }
        self.limits.allow(path, found.len())?;
        let Some(cat) = self.as_user("cat") else {
            return match fs::File::open(&full) {
                Ok(_) => Ok(Extracted::in_place(full)),
                Err(error) => Err(missing(path, &error)),
            };
        };
        self.limits.allow_copy(path, found.len(), &self.scratch)?;
        match self.copy_as_user(cat, &full).await {
            Ok(Some(copy)) => Ok(copy),
            Ok(None) => Err(Missing::NotReadable(format!("{path} cannot be read by the task's user"))),
            Err(error) => Err(Missing::NotReadable(format!("{path} cannot be copied: {error}"))),
        }
    }

    async fn directory(&self, path: &str) -> Result<Vec<String>, Missing> {
        let full = self.home.dir.0.join(path);
        let found = fs::metadata(&full).map_err(|error| missing(path, &error))?;
        if !found.is_dir() {
            return Err(Missing::WrongType(format!("{path} is not a directory")));
        }
        let Some(mut find) = self.as_user("find") else {
            return tree::files(&full).map_err(|error| missing(path, &error));
        };
        let unreadable = || Missing::NotReadable(format!("{path} cannot be listed by the task's user"));
        let arguments = ["-mindepth", "1", "!", "-type", "d", "-printf", r"%y%P\0"];
        let listing = find.arg("-H").arg(&full).args(arguments).output().await.map_err(|_| unreadable())?;
        if !listing.status.success() {
            return Err(unreadable());
        }
        let found = listing.stdout.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
        let (files, others): (Vec<&[u8]>, Vec<&[u8]>) = found.partition(|entry| entry.starts_with(b"f"));
        if !others.is_empty() {
            self.log.warn(format!("{path}: {} are left out of it: only regular files become artifacts", others.len()));
        }
        let mut files: Vec<String> =
            files.iter().map(|name| String::from_utf8_lossy(&name[1..]).into_owned()).collect();
        files.sort();
        Ok(files)
    }

    async fn dispose(self: Box<Self>) {
        discard(self.home).await;
    }
}

fn missing(path: &str, error: &io::Error) -> Missing {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Missing::NotFound(path.to_owned()),
        _ => Missing::NotReadable(format!("{path} cannot be read: {error}")),
    }
}
