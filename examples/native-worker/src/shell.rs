//! Programs that somebody starts beside a task's own: as its user, in its directory, with its variables.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::task::{Context, Poll};
use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use pty_process::OwnedWritePty;
use rustix::fs::{Gid, Uid};
use rustix::process::{Pid, Signal, kill_process_group};
use taskcluster_worker::error::{Error, Result};
use taskcluster_worker::shell::{Shell, ShellControl, ShellRequest, Size};
use tokio::io::AsyncWrite;
use tokio::process::{Child, Command};

use crate::owner::Owner;

/// What is started without being told otherwise: the first that there is.
const USUAL: [&str; 2] = ["/bin/bash", "/bin/sh"];

/// Where a task's programs run.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) owner: Owner,
}

impl Place {
    pub(crate) fn open(&self, request: &ShellRequest) -> Result<Shell> {
        let usual = USUAL.into_iter().find(|path| Path::new(path).exists()).map(str::to_owned);
        let usual = [usual.unwrap_or_else(|| USUAL[0].to_owned())];
        let argv = if request.command.is_empty() { &usual[..] } else { &request.command[..] };
        let opened = match request.terminal {
            Some(size) => self.in_terminal(argv, size),
            None => self.with_pipes(argv),
        };
        opened.map_err(|error| Error::task(format!("{}: {error}", argv[0])))
    }

    fn with_pipes(&self, argv: &[String]) -> io::Result<Shell> {
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).env_clear().envs(&self.env).current_dir(&self.dir).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(user) = self.owner.user() {
            command.uid(user.uid).gid(user.gid);
        }
        let mut child = self.owner.start(|| command.spawn())?;
        let missing = || io::Error::other("it has no pipes");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        Ok(Shell::new(stdin, stdout, Program { child, terminal: None }).with_stderr(stderr))
    }

    fn in_terminal(&self, argv: &[String], size: Size) -> io::Result<Shell> {
        let (terminal, inside) = pty_process::open().map_err(io::Error::other)?;
        terminal.resize(of_pty(size)).map_err(io::Error::other)?;
        let mut env = self.env.clone();
        env.entry("TERM".to_owned()).or_insert_with(|| "xterm-256color".to_owned());
        let mut command = pty_process::Command::new(&argv[0])
            .args(&argv[1..])
            .env_clear()
            .envs(&env)
            .current_dir(&self.dir)
            .kill_on_drop(true);
        if let Some(user) = self.owner.user() {
            let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
            // So that programs that open their terminal by its name can.
            rustix::fs::chown(rustix::pty::ptsname(&terminal, Vec::new())?.as_c_str(), Some(uid), Some(gid))?;
            command = command.uid(user.uid).gid(user.gid);
        }
        let child = self.owner.start(|| command.spawn(inside).map_err(io::Error::other))?;
        let (output, input) = terminal.into_split();
        let input = Arc::new(std::sync::Mutex::new(input));
        Ok(Shell::new(Keys(input.clone()), output, Program { child, terminal: Some(input) }))
    }
}

fn of_pty(size: Size) -> pty_process::Size {
    pty_process::Size::new(size.rows, size.columns)
}

/// A terminal is typed into and resized by way of the same handle.
type Handle = Arc<std::sync::Mutex<OwnedWritePty>>;

struct Keys(Handle);

impl Keys {
    fn with<T>(&self, act: impl FnOnce(Pin<&mut OwnedWritePty>) -> T) -> T {
        act(Pin::new(&mut *self.0.lock().expect("nothing panics holding it")))
    }
}

impl AsyncWrite for Keys {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|pty| pty.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|pty| pty.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|pty| pty.poll_shutdown(context))
    }
}

struct Program {
    child: Child,
    terminal: Option<Handle>,
}

#[async_trait]
impl ShellControl for Program {
    async fn wait(&mut self) -> Result<i32> {
        let status = self.child.wait().await;
        let status = status.map_err(|error| Error::worker_caused("nobody knows how the program ended", error))?;
        Ok(status.code().or_else(|| Some(128 + status.signal()?)).unwrap_or(-1))
    }

    fn resize(&mut self, size: Size) {
        let Some(terminal) = &self.terminal else { return };
        if let Err(error) = terminal.lock().expect("nothing panics holding it").resize(of_pty(size)) {
            tracing::debug!(%error, "a terminal keeps its size");
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // `None` once it was waited for: its number may be somebody else's by now.
        let leader = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(leader) = leader {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}
