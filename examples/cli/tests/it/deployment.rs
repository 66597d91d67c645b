//! `taskcluster up` as a process of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command};

#[cfg(any(feature = "postgres", feature = "docker", feature = "ec2"))]
use taskcluster_core::{caller::Caller, credentials::Credentials};

use crate::fixture::{Fixture, PATIENCE, finish, text};

/// A deployment that has said all that it says at the start. It is killed when this is dropped.
pub(crate) struct Up {
    child: Option<Child>,
    said: Vec<String>,
    /// Kept open: a closed pipe is no reason to stop, but none to be tried by accident either.
    _stdout: BufReader<ChildStdout>,
}

impl Up {
    /// Starts one on the fixture's data folder, at a free port.
    pub(crate) fn start(fixture: &Fixture, args: &[&str]) -> Self {
        Self::begin(command(fixture, args))
    }

    /// The same with more variables.
    #[cfg(feature = "docker")]
    pub(crate) fn start_with(fixture: &Fixture, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = command(fixture, args);
        command.envs(variables.iter().copied());
        Self::begin(command)
    }

    /// The same at this address, which is that of an earlier one.
    #[cfg(any(feature = "docker", feature = "ec2"))]
    pub(crate) fn start_at(fixture: &Fixture, address: &str, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = command_at(fixture, address, args);
        command.envs(variables.iter().copied());
        Self::begin(command)
    }

    /// Where it listens.
    #[cfg(any(feature = "docker", feature = "ec2"))]
    pub(crate) fn address(&self) -> String {
        self.variable("TASKCLUSTER_ROOT_URL").strip_prefix("http://").unwrap().to_owned()
    }

    fn begin(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut said = Vec::new();
        for line in stdout.by_ref().lines().map_while(Result::ok) {
            said.push(line);
            if said.last().is_some_and(|line| line.starts_with("Ctrl-C")) {
                return Self { child: Some(child), said, _stdout: stdout };
            }
        }
        let output = child.wait_with_output().unwrap();
        panic!("it did not come up: {said:?} {}", text(output.stderr));
    }

    /// The value of a variable that it printed.
    pub(crate) fn variable(&self, name: &str) -> &str {
        let start = format!("export {name}='");
        let line = self.said.iter().find_map(|line| line.strip_prefix(&start));
        line.unwrap_or_else(|| panic!("{name} in {:?}", self.said)).trim_end_matches('\'')
    }

    /// All that it printed.
    pub(crate) fn said(&self) -> String {
        self.said.join("\n")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Calls with the credentials that it printed.
    #[cfg(any(feature = "postgres", feature = "docker", feature = "ec2"))]
    pub(crate) fn caller(&self) -> Caller {
        let variable = |name| self.variable(name);
        let (client_id, token) = (variable("TASKCLUSTER_CLIENT_ID"), variable("TASKCLUSTER_ACCESS_TOKEN"));
        let root_url = variable("TASKCLUSTER_ROOT_URL");
        Caller::builder(root_url).credentials(Credentials::new(client_id, token)).build().unwrap()
    }

    /// Ctrl-C: it ends in order.
    pub(crate) fn stop(mut self) {
        let child = self.child.take().unwrap();
        interrupt(child.id());
        let output = finish(child);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The command, not yet started.
pub(crate) fn command(fixture: &Fixture, args: &[&str]) -> Command {
    command_at(fixture, "127.0.0.1:0", args)
}

fn command_at(fixture: &Fixture, address: &str, args: &[&str]) -> Command {
    let mut command = fixture.command(&["up", "--listen", address, "--data"]);
    command.arg(fixture.data()).args(args);
    command
}

/// What Ctrl-C does.
pub(crate) fn interrupt(process: u32) {
    assert!(Command::new("kill").args(["-INT", &process.to_string()]).status().unwrap().success());
}

/// The answer to a plain GET, headers and all.
pub(crate) fn get(address: &str, host: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    text(answer)
}
