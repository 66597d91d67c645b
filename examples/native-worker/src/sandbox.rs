//! A task's directory and the commands in it, from furnishing to running.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use taskcluster_worker::context::TaskContext;
use taskcluster_worker::engine::{Door, Exit, ResultSet, Sandbox, SandboxBuilder, SandboxHandle, Visitors, Volume};
use taskcluster_worker::error::{Error, Result};
use taskcluster_worker::shell::{Shell, ShellRequest};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::engine::{TaskDir, blocking};
use crate::process::{KillOnDrop, Tree};
use crate::results::NativeResults;
use crate::shell::Place;
use crate::tree;
use crate::user::TemporaryUser;

/// A sandbox being furnished.
#[derive(Debug)]
pub(crate) struct NativeBuilder {
    task: Arc<TaskContext>,
    commands: Vec<Vec<String>>,
    env: BTreeMap<String, String>,
    home: Home,
}

/// The task's directory, the caches mounted in it and its user. Dropping it removes the directory, then the user.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) dir: TaskDir,
    pub(crate) user: Option<TemporaryUser>,
    volumes: Vec<PathBuf>,
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.user.is_some() {
            for volume in &self.volumes {
                if let Err(error) = tree::take_back(volume) {
                    tracing::error!(path = %volume.display(), %error, "cannot take a cache back");
                }
            }
        }
    }
}

impl NativeBuilder {
    pub(crate) fn new(
        task: Arc<TaskContext>,
        commands: Vec<Vec<String>>,
        dir: TaskDir,
        user: Option<TemporaryUser>,
        mut env: BTreeMap<String, String>,
    ) -> Self {
        if let Some(user) = &user {
            for (name, value) in [("HOME", &*dir.0.to_string_lossy()), ("USER", &user.name), ("LOGNAME", &user.name)] {
                env.insert(name.to_owned(), value.to_owned());
            }
        }
        Self { task, commands, env, home: Home { dir, user, volumes: Vec::new() } }
    }

    /// Make the place for a mount and say where it is.
    async fn place(&self, path: &str) -> Result<PathBuf> {
        let relative = Path::new(path);
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if !relative.components().all(plain) || relative.file_name().is_none() {
            return Err(Error::payload(format!("{path:?} cannot be mounted: it is not below the task's directory")));
        }
        let place = self.home.dir.0.join(relative);
        if place.symlink_metadata().is_ok() {
            return Err(Error::payload(format!("two mounts are at {path:?}")));
        }
        let (root, owner) = (self.home.dir.0.clone(), self.owner());
        let made = place.clone();
        let inside = blocking("make the place of a mount", move || {
            let parent = made.parent().unwrap_or(&root);
            fs::create_dir_all(parent)?;
            if let Some((uid, gid)) = owner {
                for dir in parent.ancestors().take_while(|dir| dir.starts_with(&root)) {
                    std::os::unix::fs::lchown(dir, Some(uid), Some(gid))?;
                }
            }
            // A link of an earlier mount must not lead out of the task's directory.
            Ok(parent.canonicalize()?.starts_with(&root))
        })
        .await?;
        if inside {
            Ok(place)
        } else {
            Err(Error::payload(format!("{path:?} cannot be mounted: it is inside of a cache")))
        }
    }

    fn owner(&self) -> Option<(u32, u32)> {
        self.home.user.as_ref().map(|user| (user.uid, user.gid))
    }
}

#[async_trait]
impl SandboxBuilder for NativeBuilder {
    fn set_env(&mut self, name: &str, value: &str) -> Result<()> {
        self.env.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    async fn mount_directory(&mut self, path: &str, volume: Volume) -> Result<()> {
        if volume.read_only {
            return Err(Error::Unsupported("directories that can only be read"));
        }
        let place = self.place(path).await?;
        let owner = self.owner();
        self.home.volumes.push(volume.path.clone());
        blocking("mount a directory", move || {
            if let Some((uid, gid)) = owner {
                tree::hand_over(&volume.path, uid, gid)?;
            }
            std::os::unix::fs::symlink(&volume.path, &place)
        })
        .await
    }

    async fn add_file(&mut self, path: &str, source: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let place = self.place(path).await?;
        let (source, owner) = (source.to_owned(), self.owner());
        blocking("mount a file", move || {
            fs::copy(&source, &place)?;
            fs::set_permissions(&place, fs::Permissions::from_mode(0o644))?;
            match owner {
                Some((uid, gid)) => std::os::unix::fs::lchown(&place, Some(uid), Some(gid)),
                None => Ok(()),
            }
        })
        .await
    }

    async fn add_directory(&mut self, path: &str, source: &Path) -> Result<()> {
        let place = self.place(path).await?;
        let (source, owner) = (source.to_owned(), self.owner());
        blocking("mount a directory", move || {
            fs::rename(&source, &place)?;
            match owner {
                Some((uid, gid)) => tree::hand_over(&place, uid, gid),
                None => Ok(()),
            }
        })
        .await
    }

    async fn open_door(&mut self, _host: &str) -> Result<Door> {
        let user = self.owner().map_or_else(|| rustix::process::geteuid().as_raw(), |(uid, _)| uid);
        Door::on_loopback(Visitors::User(user)).await
    }

    async fn start(mut self: Box<Self>) -> Result<Box<dyn Sandbox>> {
        let dir = &self.home.dir.0;
        self.env.insert("TASK_WORKDIR".to_owned(), dir.to_string_lossy().into_owned());
        let (receiver, sender) = output_pipe().map_err(|error| Error::worker_caused("cannot make a pipe", error))?;
        let tree = Tree::new(dir, self.home.user.as_ref().map(|user| user.uid));
        let owner = self.home.user.as_ref().map(|user| (user.uid, user.gid));
        let place = Place { dir: dir.clone(), env: self.env.clone(), owner };
        let control = Arc::new(Control { kill: CancellationToken::new(), over: AtomicBool::new(false), place });
        let execution = Execution {
            task: self.task,
            env: self.env,
            tree: KillOnDrop(tree),
            home: self.home,
            receiver,
            sender,
            control: control.clone(),
        };
        let commands = self.commands;
        #[expect(clippy::disallowed_methods, reason = "the sandbox holds it and waits for it")]
        let running = AbortOnDropHandle::new(tokio::spawn(execution.run(commands)));
        Ok(Box::new(NativeSandbox { running, control }))
    }

    async fn discard(self: Box<Self>) {
        discard(self.home).await;
    }
}

/// Remove a task's directory and user without holding up the runtime.
pub(crate) async fn discard(home: Home) {
    if let Err(error) = tokio::task::spawn_blocking(move || drop(home)).await {
        tracing::error!(%error, "cannot clean up after a task");
    }
}

fn output_pipe() -> io::Result<(pipe::Receiver, io::PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    Ok((pipe::Receiver::from_owned_fd(reader.into())?, writer))
}

/// A sandbox whose commands run.
#[derive(Debug)]
struct NativeSandbox {
    running: AbortOnDropHandle<NativeResults>,
    control: Arc<Control>,
}

#[async_trait]
impl Sandbox for NativeSandbox {
    fn handle(&self) -> Arc<dyn SandboxHandle> {
        self.control.clone()
    }

    async fn wait(self: Box<Self>) -> Result<Box<dyn ResultSet>> {
        match self.running.await {
            Ok(results) => Ok(Box::new(results)),
            Err(error) => Err(Error::worker_caused("the commands are no longer watched", error)),
        }
    }
}

#[derive(Debug)]
struct Control {
    kill: CancellationToken,
    /// Nothing may be started any more.
    over: AtomicBool,
    place: Place,
}

#[async_trait]
impl SandboxHandle for Control {
    async fn kill(&self) {
        self.kill.cancel();
    }

    async fn open_shell(&self, request: &ShellRequest) -> Result<Shell> {
        if self.kill.is_cancelled() || self.over.load(Ordering::SeqCst) {
            return Err(Error::task("the task is over"));
        }
        self.place.open(request)
    }
}

/// The commands under way.
struct Execution {
    task: Arc<TaskContext>,
    env: BTreeMap<String, String>,
    // Before the home: processes end first.
    tree: KillOnDrop,
    home: Home,
    receiver: pipe::Receiver,
    sender: io::PipeWriter,
    control: Arc<Control>,
}

/// How long output may take to be read once nobody writes any more.
const DRAIN: Duration = Duration::from_secs(10);

impl Execution {
    async fn run(mut self, commands: Vec<Vec<String>>) -> NativeResults {
        let mut exit = Exit::Code(0);
        for argv in commands {
            exit = self.command(&argv).await;
            if !exit.is_success() {
                break;
            }
        }
        self.stay_for_visitors().await;
        self.control.over.store(true, Ordering::SeqCst);
        self.tree.0.destroy().await;
        // The processes that wrote are gone, so the last writer is our own.
        let Self { task, tree, home, mut receiver, sender, .. } = self;
        drop((sender, tree));
        if tokio::time::timeout(DRAIN, copy(&mut receiver, &task)).await.is_err() {
            task.log().warn("the end of the output is lost: a process that is out of reach still holds it");
        }
        NativeResults::new(exit, home, task.scratch().to_owned())
    }

    /// Keep everything as long as somebody holds it, unless it is to be ended.
    async fn stay_for_visitors(&mut self) {
        if !self.task.is_held() || self.control.kill.is_cancelled() {
            return;
        }
        self.task.log().info("the commands have ended; the task stays for those who look at it in a shell");
        let (task, control) = (self.task.clone(), self.control.clone());
        tokio::select! {
            () = task.released() => {}
            () = control.kill.cancelled() => {}
            // What daemons of the task print meanwhile.
            () = copy(&mut self.receiver, &task) => {}
        }
    }

    async fn command(&mut self, argv: &[String]) -> Exit {
        self.task.log().info(format!("command: {}", shell_words(argv)));
        if self.control.kill.is_cancelled() {
            return Exit::Killed;
        }
        let mut child = match self.spawn(argv) {
            Ok(child) => child,
            Err(error) => {
                let program = argv.first().map_or("", String::as_str);
                let hint = match error.kind() {
                    std::io::ErrorKind::NotFound => {
                        "; each command is a program with its arguments, `sh -c` runs shell code"
                    }
                    _ => "",
                };
                return Exit::NotStarted(format!("{program}: {error}{hint}"));
            }
        };
        if let Some(leader) = child.id() {
            self.tree.0.add_group(leader);
        }
        let kill = self.control.kill.clone();
        let status = tokio::select! {
            status = self.attend(&mut child) => Some(status),
            () = kill.cancelled() => None,
        };
        let Some(status) = status else {
            let tree = self.tree.0.clone();
            // Reaped beside: until then the group's leader is there.
            let ((), _) = tokio::join!(tree.terminate(), self.attend(&mut child));
            return Exit::Killed;
        };
        drain(&mut self.receiver, &self.task);
        self.tree.0.forget_empty_groups();
        match status {
            Ok(status) => exit_of(status),
            Err(error) => Exit::NotStarted(error.to_string()),
        }
    }

    /// Copy output into the log until the child has ended.
    async fn attend(&mut self, child: &mut Child) -> io::Result<std::process::ExitStatus> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            tokio::select! {
                status = child.wait() => return status,
                // Never ends: we hold a writer ourselves.
                read = self.receiver.read(&mut buffer) => match read {
                    Ok(read) => self.task.log().write(&buffer[..read]),
                    Err(error) => {
                        self.task.log().error(format!("cannot read the output: {error}"));
                        return child.wait().await;
                    }
                },
            }
        }
    }

    fn spawn(&self, argv: &[String]) -> io::Result<Child> {
        let (program, arguments) = argv.split_first().ok_or_else(|| io::Error::other("no program"))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(&self.env)
            .current_dir(&self.home.dir.0)
            .stdin(Stdio::null())
            .stdout(self.sender.try_clone()?)
            .stderr(self.sender.try_clone()?)
            .process_group(0)
            .kill_on_drop(true);
        if let Some(user) = &self.home.user {
            command.uid(user.uid).gid(user.gid);
        }
        command.spawn()
    }
}

async fn copy(receiver: &mut pipe::Receiver, task: &TaskContext) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = receiver.read(&mut buffer).await {
        task.log().write(&buffer[..read]);
    }
}

/// Copy what is there already, so that it stands before what the worker says next.
fn drain(receiver: &mut pipe::Receiver, task: &TaskContext) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = receiver.try_read(&mut buffer) {
        task.log().write(&buffer[..read]);
    }
}

fn exit_of(status: std::process::ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::NotStarted(format!("it ended in an unknown way: {status}")),
    }
}

/// A command as one could type it.
fn shell_words(argv: &[String]) -> String {
    let plain =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c));
    let quote = |word: &String| if plain(word) { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) };
    argv.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_one_types_them() {
        let argv = ["bash", "-c", "echo it's", ""].map(str::to_owned);
        assert_eq!(shell_words(&argv), r"bash -c 'echo it'\''s' ''");
    }
}
