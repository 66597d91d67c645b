//! The commands of a task under way: started one after the other, attended to, measured, ended.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use taskcluster_worker::context::TaskContext;
use taskcluster_worker::engine::{Exit, ResultSet, Sandbox, SandboxHandle};
use taskcluster_worker::error::{Error, Result};
use taskcluster_worker::shell::{Shell, ShellRequest};
use taskcluster_worker::stop::Stop;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::cgroup::Cgroup;
use crate::owner::{Owner, TaskUser};
use crate::proc::Process;
use crate::process::{KillOnDrop, Tree};
use crate::results::NativeResults;
use crate::sandbox::{Furniture, Home};
use crate::shell::Place;
use crate::usage::{Cpu, Meter, Usage};

/// Start the commands of a task in its directory.
pub(crate) fn start(task: Arc<TaskContext>, home: Home, furniture: Furniture) -> Result<Box<dyn Sandbox>> {
    let (receiver, sender) = output_pipe().map_err(|error| Error::worker_caused("cannot make a pipe", error))?;
    let Furniture { commands, env, limits, measured, .. } = furniture;
    let most = limits.processes;
    let tree = Tree::new(&home.dir.0, home.user.as_ref().map(|user| user.uid)).since_now().with_cgroups(most);
    let owner = match &home.user {
        Some(user) => {
            Owner::Task(TaskUser { uid: user.uid, gid: user.gid, groups: user.groups.clone(), processes: most })
        }
        // One that counts for the task alone is better.
        None => Owner::Worker { processes: tree.first(Cgroup::count).is_none().then_some(most) },
    };
    let control = Arc::new(Control {
        kill: CancellationToken::new(),
        over: AtomicBool::new(false),
        place: Place { dir: home.dir.0.clone(), env, owner },
        tree: tree.clone(),
    });
    let tree = KillOnDrop(tree);
    let execution = Execution { task, measured, most, tree, home, receiver, sender, control: control.clone() };
    #[expect(clippy::disallowed_methods, reason = "the sandbox holds it and waits for it")]
    let running = AbortOnDropHandle::new(tokio::spawn(execution.run(commands)));
    Ok(Box::new(NativeSandbox { running, control }))
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
    /// As far as it can be told without the process groups of its commands.
    tree: Tree,
}

#[async_trait]
impl SandboxHandle for Control {
    async fn kill(&self) {
        self.kill.cancel();
    }

    fn memory(&self) -> Option<u64> {
        Some(self.tree.memory())
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
    measured: bool,
    /// Processes and threads that the task may have.
    most: u64,
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
        let ran_something = !commands.is_empty();
        for argv in commands {
            exit = self.command(&argv).await;
            if !exit.is_success() {
                break;
            }
        }
        self.stay_for_visitors(ran_something).await;
        self.control.over.store(true, Ordering::SeqCst);
        self.tree.0.destroy().await;
        // The processes that wrote are gone, so the last writer is our own.
        let Self { task, tree, home, mut receiver, sender, .. } = self;
        drop((sender, tree));
        if tokio::time::timeout(DRAIN, copy(&mut receiver, &task)).await.is_err() {
            task.log().warn("the end of the output is lost: a process that is out of reach still holds it");
        }
        NativeResults::new(exit, home, &task)
    }

    /// Keep everything as long as somebody holds it, unless it is to be ended.
    async fn stay_for_visitors(&mut self, ran_something: bool) {
        if !self.task.is_held() || self.control.kill.is_cancelled() {
            return;
        }
        if ran_something {
            self.task.log().info("the commands have ended; the task stays for those who look at it in a shell");
            self.task.stays();
        }
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
            Err(error) => return not_started(argv, &error),
        };
        let meter = Meter::start(&self.tree.0, self.most);
        let (exit, usage) = self.measure(&mut child, meter).await;
        if self.measured {
            self.task.log().info(usage.report(&exit));
        }
        exit
    }

    /// Attend to a command until it has ended, by itself or killed, and say what it took.
    async fn measure(&mut self, child: &mut Child, mut meter: Meter) -> (Exit, Usage) {
        let (kill, task) = (self.control.kill.clone(), self.task.clone());
        let watch = async {
            task.stop(Stop::Fail(meter.watch().await));
            // Whoever is told so kills the task.
            std::future::pending::<Infallible>().await
        };
        let end = tokio::select! {
            end = self.attend(child) => Some(end),
            () = kill.cancelled() => None,
            never = watch => match never {},
        };
        let Some(end) = end else {
            let tree = self.tree.0.clone();
            // Reaped beside: until then the group's leader is there.
            let ((), end) = tokio::join!(tree.terminate(), self.attend(child));
            return (Exit::Killed, meter.stop(end.cpu));
        };
        drain(&mut self.receiver, &self.task);
        self.tree.0.forget_empty_groups();
        let exit = match end.status {
            Ok(status) => exit_of(status),
            Err(error) => Exit::NotStarted(error.to_string()),
        };
        if !exit.is_success()
            && let Some(excuse) = meter.excuse().await
        {
            self.task.log().error(excuse);
        }
        (exit, meter.stop(end.cpu))
    }

    /// Copy output into the log until the child has ended.
    async fn attend(&mut self, child: &mut Child) -> End {
        let mut buffer = vec![0; 64 * 1024];
        let pid = pid_of(child);
        let mut ended = pin!(ended(pid));
        loop {
            tokio::select! {
                () = &mut ended => break,
                // Never ends: we hold a writer ourselves.
                read = self.receiver.read(&mut buffer) => match read {
                    Ok(read) => self.task.log().write(&buffer[..read]),
                    Err(error) => {
                        self.task.log().error(format!("cannot read the output: {error}"));
                        ended.await;
                        break;
                    }
                },
            }
        }
        // The system forgets what it took as soon as its end is taken notice of.
        let cpu = pid.and_then(|pid| Process::from(pid).stat()).map(|stat| stat.cpu);
        End { cpu, status: child.wait().await }
    }

    /// Start a command, and have it counted as the task's.
    fn spawn(&mut self, argv: &[String]) -> io::Result<Child> {
        let child = self.launch(argv)?;
        if let Some(leader) = child.id() {
            self.tree.0.add_leader(leader);
        }
        Ok(child)
    }

    fn launch(&self, argv: &[String]) -> io::Result<Child> {
        let (program, arguments) = argv.split_first().ok_or_else(|| io::Error::other("no program"))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(&self.control.place.env)
            .current_dir(&self.control.place.dir)
            .stdin(Stdio::null())
            .stdout(self.sender.try_clone()?)
            .stderr(self.sender.try_clone()?)
            .process_group(0)
            .kill_on_drop(true);
        let owner = &self.control.place.owner;
        if let Some(user) = owner.user() {
            command.uid(user.uid).gid(user.gid);
        }
        owner.start(|| command.spawn())
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

/// How the first process of a command ended.
struct End {
    /// What it took, if the system told.
    cpu: Option<Cpu>,
    status: io::Result<std::process::ExitStatus>,
}

/// Wait until a child has ended, without taking notice of it: until somebody does, the system says what it took.
async fn ended(pid: Option<Pid>) {
    let Some(pid) = pid else { return };
    // An error means that there is nothing to wait for.
    let wait = move || waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).map(drop);
    let _ = tokio::task::spawn_blocking(wait).await;
}

fn pid_of(child: &Child) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child.id()?).ok()?)
}

fn not_started(argv: &[String], error: &io::Error) -> Exit {
    let program = argv.first().map_or("", String::as_str);
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "; each command is a program with its arguments, `sh -c` runs shell code",
        _ => "",
    };
    Exit::NotStarted(format!("{program}: {error}{hint}"))
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
