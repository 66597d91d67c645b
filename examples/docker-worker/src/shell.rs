//! Programs that somebody starts beside a task's own, in its container: `docker exec`, with an end.
//!
//! The engine knows how to start such a program, and forgets about it: it goes on when nobody is attached any more, and nothing in
//! the engine's API ends it. So a small wrapper, run by the image's own shell, tells the number that it has within the container
//! before it becomes the program; by that number it is ended from within the container as well, with whatever else is in its
//! session. What has left the session, as daemons do, ends with the container. The number that the engine tells instead is the
//! machine's: a worker may not be allowed to use it, or may be on another machine's side of a virtual one.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bollard::models::ExecConfig;
use taskcluster_worker::error::{Error, Result};
use taskcluster_worker::shell::{Shell, ShellControl, ShellRequest, Size};
use tokio::io::{AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::docker::{Docker, exec};

mod output;

use output::{Output, deliver};

/// What is started without being told otherwise.
const USUAL: &str = "/bin/sh";

/// How long the engine may take to start a program.
const STARTING: Duration = Duration::from_secs(60);

/// What is on its way in or out of a program.
const BUFFER: usize = 64 * 1024;

/// Tells its number and becomes the program, or tells why there is no such program.
const WRAPPER: &str = r#"
command -v "$1" >/dev/null 2>&1 || { echo "$1: there is no such program"; exit 127; }
echo "$$"
exec "$@"
"#;

/// The same in a terminal, which has its size before the program can ask for it.
const WRAPPER_IN_TERMINAL: &str = r#"
stty rows "$1" cols "$2" 2>/dev/null
shift 2
command -v "$1" >/dev/null 2>&1 || { echo "$1: there is no such program"; exit 127; }
echo "$$"
exec "$@"
"#;

/// Ends everything in the session of a number, also what is being started meanwhile. Built into every shell: an image may have
/// nothing else.
const END: &str = r#"
round=0
while [ "$round" -lt 10 ]; do
  round=$((round + 1)) found=
  for stat in /proc/[0-9]*/stat; do
    read -r line 2>/dev/null <"$stat" || continue
    fields=${line##*) }
    set -- "$1" ${fields}
    if [ "$5" = "$1" ] && [ "$2" != Z ]; then kill -KILL "${line%% *}" && found=1; fi
  done
  [ "$found" ] || break
done
"#;

/// A key that takes an attached terminal off its program is not wanted: whoever types means the program. The engine takes none
/// for its own usual one, hence one that nobody types.
const NEVER_TYPED: &str = "ctrl-^,ctrl-@,ctrl-^,ctrl-@,ctrl-^,ctrl-@,ctrl-^,ctrl-@";

/// Start a program in a container.
///
/// # Errors
/// [`Error::Task`]: there is no such program, or the container does not run.
pub(crate) async fn open(docker: &Docker, container: &str, request: &ShellRequest) -> Result<Shell> {
    let starting = tokio::time::timeout(STARTING, start(docker, container, request));
    starting.await.unwrap_or_else(|_| Err(Error::worker("Docker does not start a program in a container")))
}

async fn start(docker: &Docker, container: &str, request: &ShellRequest) -> Result<Shell> {
    let terminal = request.terminal;
    let (id, stream) = docker.exec(container, config(request)).await?;
    let (reading, writing) = tokio::io::split(stream);
    let mut output = if terminal.is_some() { Output::raw(reading) } else { Output::framed(reading) };
    let greeting = output.line().await.map_err(|error| Error::worker_caused("cannot start a program", error))?;
    let Ok(leader) = greeting.trim().parse() else { return Err(Error::task(reason(&greeting))) };

    let (stdin, typed) = tokio::io::duplex(BUFFER);
    let (stdout, out) = tokio::io::duplex(BUFFER);
    let (stderr, side) = tokio::io::duplex(BUFFER);
    let (sizes, changes) = watch::channel(terminal.unwrap_or(Size { rows: 0, columns: 0 }));
    let over = CancellationToken::new();
    let program =
        Program { docker: docker.clone(), container: container.to_owned(), id: id.clone(), leader, code: None, over };
    let delivering = deliver(output, [out, side], program.ended(), program.over.clone());
    let mut beside = vec![spawn(delivering), spawn(feed(typed, writing, terminal.is_none()))];
    if terminal.is_some() {
        beside.push(spawn(resize(docker.clone(), id, changes)));
        sizes.send_modify(|_| {});
    }
    let shell = Shell::new(stdin, stdout, Control { program, sizes, _beside: beside });
    Ok(if terminal.is_some() { shell } else { shell.with_stderr(stderr) })
}

fn config(request: &ShellRequest) -> ExecConfig {
    let usual = [USUAL.to_owned()];
    let program = if request.command.is_empty() { &usual[..] } else { &request.command[..] };
    let mut cmd = match request.terminal {
        Some(Size { rows, columns }) => exec::shell(WRAPPER_IN_TERMINAL, [&rows.to_string(), &columns.to_string()]),
        None => exec::shell(WRAPPER, []),
    };
    cmd.extend_from_slice(program);
    let is_terminal = request.terminal.is_some();
    ExecConfig {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(is_terminal),
        env: is_terminal.then(|| vec!["TERM=xterm-256color".to_owned()]),
        detach_keys: Some(NEVER_TYPED.to_owned()),
        cmd: Some(cmd),
        ..ExecConfig::default()
    }
}

/// What is wrong, without what the engine and the runtime say of themselves.
fn reason(greeting: &str) -> String {
    let text = greeting.trim();
    match text.find("exec: ") {
        Some(at) => format!("the image has no shell: {}", text[at + "exec: ".len()..].trim_end_matches(": unknown")),
        None if text.is_empty() => "the program cannot be started".to_owned(),
        None => text.to_owned(),
    }
}

#[expect(clippy::disallowed_methods, reason = "the shell holds it")]
fn spawn(work: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(work))
}

/// Pass on what is typed until that ends; a terminal stays open all the same.
async fn feed(mut typed: DuplexStream, mut program: impl AsyncWrite + Unpin, ends: bool) {
    let fed: io::Result<()> = async {
        tokio::io::copy(&mut typed, &mut program).await?;
        if ends { program.shutdown().await } else { std::future::pending().await }
    }
    .await;
    if let Err(error) = fed {
        tracing::debug!(%error, "a program in a container reads no more");
    }
}

/// Follow the sizes of a terminal: what it was meanwhile does not count.
async fn resize(docker: Docker, id: String, mut changes: watch::Receiver<Size>) {
    while changes.changed().await.is_ok() {
        let size = *changes.borrow_and_update();
        if let Err(error) = docker.resize_exec(&id, size).await {
            tracing::debug!(error = error.reasons().join("; "), "a terminal keeps its size");
        }
    }
}

/// A program in a container. Dropping it ends the program, unless it is known to have ended.
#[derive(Debug)]
struct Program {
    docker: Docker,
    container: String,
    id: String,
    /// Its number within the container.
    leader: u32,
    code: Option<i32>,
    /// Nothing more comes from it.
    over: CancellationToken,
}

/// How often the engine is asked whether a program has ended: at first, and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];

impl Program {
    /// Ask the engine until the program has ended.
    fn ended(&self) -> impl Future<Output = Result<i32>> + Send + 'static {
        let (docker, id) = (self.docker.clone(), self.id.clone());
        async move {
            let [mut pause, longest] = PAUSES;
            loop {
                if let Some(code) = docker.exec_code(&id).await? {
                    return Ok(code);
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.code.is_some() {
            return;
        }
        // Without a runtime the process is about to end, and the container is removed at the next start.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (docker, container, leader) = (self.docker.clone(), self.container.clone(), self.leader.to_string());
        runtime.spawn(async move {
            let cmd = Some(exec::shell(END, [&leader]));
            // Whoever the program has become meanwhile, root may end it.
            let config = ExecConfig { cmd, user: Some("0".to_owned()), ..ExecConfig::default() };
            if let Err(error) = docker.exec_beside(&container, config).await {
                tracing::debug!(error = error.reasons().join("; "), "a program ends with its container");
            }
        });
    }
}

struct Control {
    program: Program,
    sizes: watch::Sender<Size>,
    _beside: Vec<AbortOnDropHandle<()>>,
}

#[async_trait]
impl ShellControl for Control {
    async fn wait(&mut self) -> Result<i32> {
        if let Some(code) = self.program.code {
            return Ok(code);
        }
        // The engine need not be asked before: it ends the streams when the program has ended.
        self.program.over.cancelled().await;
        let code = self.program.ended().await?;
        Ok(*self.program.code.insert(code))
    }

    fn resize(&mut self, size: Size) {
        self.sizes.send_replace(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_started_is_told_without_the_runtimes_own_words() {
        let told = "OCI runtime exec failed: exec failed: unable to start container process: exec: \"/bin/sh\": stat /bin/sh: no \
                    such file or directory: unknown\r\n";
        assert_eq!(reason(told), "the image has no shell: \"/bin/sh\": stat /bin/sh: no such file or directory");
        assert_eq!(reason("x: there is no such program\r\n"), "x: there is no such program");
        assert_eq!(reason(""), "the program cannot be started");
    }
}
