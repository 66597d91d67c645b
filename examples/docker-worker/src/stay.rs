//! Containers that outlive their command, for those who look around in them: what runs in a container ends with its first process.
//!
//! The first process is the image's shell, which runs the command, tells that it has ended, and waits to be let go. It does so
//! by two pipes of the worker's in a directory that the container can only read: it can write into the pipes, and put nothing in
//! their place. A task that plays with them ends itself early or late, as it could anyhow.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bollard::models::{Mount, MountType};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use taskcluster_worker::TaskContext;
use taskcluster_worker::error::{Error, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;

use crate::docker::exec;

/// Where the container finds the pipes.
const INSIDE: &str = "/run/taskcluster-stay";

/// The command as arguments, if there is one.
const SCRIPT: &str = r#"
"$@"
code=$?
echo "$code" >"/run/taskcluster-stay/ended"
read -r _ <"/run/taskcluster-stay/go"
exit "$code"
"#;

/// What keeps one container.
#[derive(Debug)]
pub(crate) struct Stay {
    dir: PathBuf,
    ended: pipe::Receiver,
    go: pipe::Sender,
}

impl Stay {
    /// The pipes, in a folder of the run's own.
    pub(crate) fn new(scratch: &Path) -> Result<Self> {
        let dir = scratch.join("stay");
        let make = || {
            std::fs::create_dir(&dir)?;
            std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755))?;
            let options = || {
                let mut options = pipe::OpenOptions::new();
                // Ours for ever: whoever opens one inside waits for nobody.
                options.read_write(true);
                options
            };
            let ended = options().open_receiver(fifo(&dir.join("ended"))?)?;
            let go = options().open_sender(fifo(&dir.join("go"))?)?;
            Ok((ended, go))
        };
        let (ended, go) = make().map_err(|error: io::Error| Error::worker_caused("cannot make pipes", error))?;
        Ok(Self { dir, ended, go })
    }

    /// What the container mounts.
    pub(crate) fn mount(&self) -> Mount {
        Mount {
            target: Some(INSIDE.to_owned()),
            source: Some(self.dir.to_string_lossy().into_owned()),
            typ: Some(MountType::BIND),
            read_only: Some(true),
            ..Mount::default()
        }
    }

    /// What the container begins with; the command follows as arguments.
    pub(crate) fn entry_point() -> Vec<String> {
        exec::shell(SCRIPT, [])
    }

    /// Wait until the command has ended and nobody holds the sandbox any more, then let it go. Nothing more happens here: the end
    /// of the container is the engine's to tell.
    pub(crate) async fn attend(&mut self, task: &TaskContext, has_command: bool) -> std::convert::Infallible {
        let mut said = [0; 1];
        let _ = self.ended.read(&mut said).await;
        if task.is_held() && has_command {
            task.log().info("the command has ended; the task stays for those who look at it in a shell");
            task.stays();
        }
        task.released().await;
        self.let_go().await;
        std::future::pending().await
    }

    /// Let it end as soon as the command has.
    pub(crate) async fn let_go(&mut self) {
        if let Err(error) = self.go.write_all(b"\n").await {
            tracing::error!(%error, "a container cannot be told to go; it will be ended");
        }
    }
}

/// A pipe that everybody in the container may use: whoever its users are. Nobody else comes into the folder.
fn fifo(path: &Path) -> io::Result<&Path> {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(path)
}
