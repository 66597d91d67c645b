//! The real program as a process of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use taskcluster::{Caller, Credentials, RetryPolicy};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Tester;

/// The program `taskcluster`, where cargo builds it: beside the folder of this test. `tests/run` builds it beforehand; where it
/// is missing, this says so in one line.
pub fn program() -> Option<PathBuf> {
    built("taskcluster")
}

/// Another program of the workspace, found as [`program`] is.
pub fn built(name: &str) -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    let program = test.parent()?.parent()?.join(name);
    if program.is_file() {
        Some(program)
    } else {
        println!("skipped: {} is not built", program.display());
        None
    }
}

/// What a deployment stands on, where that is not the default.
#[derive(Debug, Default)]
pub struct Ground {
    /// The port of loopback that it listens on; else it gets another one with each start.
    pub port: Option<u16>,
    /// The URL of a database of its own; else a file.
    pub database: Option<String>,
    /// The URL of a message broker; else messages stay in the process.
    pub bus: Option<String>,
    /// The task queue that its own worker serves; else it has none.
    pub serve: Option<String>,
    /// Certificates that it trusts in place of the system's.
    pub certificates: Option<PathBuf>,
}

/// `taskcluster up` with a data folder that outlives it. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    program: PathBuf,
    ground: Ground,
    child: Option<Child>,
    variables: Vec<(String, String)>,
    folder: TempDir,
}

impl Process {
    /// Starts one.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn start(program: PathBuf, ground: Ground) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut process = Self { program, ground, child: None, variables: Vec::new(), folder };
        process.restart().await?;
        Ok(process)
    }

    /// Starts it again after it was [killed](Self::kill), on the same data. It gets another port, unless it has one of its own.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn restart(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        let Ground { port, database, bus, serve, certificates } = &self.ground;
        let listen = format!("127.0.0.1:{}", port.unwrap_or(0));
        command.args(["up", "--listen", &listen, "--data"]).arg(self.folder.path());
        for (option, value) in [("--database", database), ("--bus", bus), ("--serve", serve)] {
            if let Some(value) = value {
                command.args([option, value]);
            }
        }
        for name in std::env::vars_os().map(|(name, _)| name) {
            if name.to_string_lossy().starts_with("TASKCLUSTER_") {
                command.env_remove(name);
            }
        }
        if let Some(certificates) = certificates {
            command.env("SSL_CERT_FILE", certificates);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot run {}", self.program.display()))?;
        let mut lines = BufReader::new(child.stdout.take().context("its output is ours")?).lines();
        self.variables.clear();
        loop {
            let line = tokio::time::timeout(Duration::from_secs(120), lines.next_line()).await;
            let Some(line) = line.context("it prints nothing for minutes")?? else {
                bail!("it ended before it was up: {}", child.wait().await?);
            };
            let Some((name, value)) = line.strip_prefix("export ").and_then(|setting| setting.split_once('=')) else {
                continue;
            };
            self.variables.push((name.to_owned(), value.trim_matches('\'').to_owned()));
            if name == "TASKCLUSTER_ACCESS_TOKEN" {
                break;
            }
        }
        // Nobody may be kept from writing to us.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.child = Some(child);
        Ok(())
    }

    /// Kills it without a warning, and waits until it is gone.
    ///
    /// # Errors
    /// If it is not ours to kill.
    pub async fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill().await.context("cannot kill it")
    }

    /// Where it keeps its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Has it stop in order, and waits until it has.
    ///
    /// # Errors
    /// If it is not ours to stop, or does not end well.
    pub async fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(id.context("it runs")?, rustix::process::Signal::TERM)?;
        let status =
            tokio::time::timeout(Duration::from_secs(120), child.wait()).await.context("it does not end")??;
        if status.success() { Ok(()) } else { bail!("it ended with {status}") }
    }

    /// Its process id while it runs.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref()?.id()
    }

    /// Somebody with the credentials that it printed.
    ///
    /// # Panics
    /// If it printed none that can be used.
    pub fn root(&self) -> Tester {
        let variable = |wanted: &str| {
            let found = self.variables.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone()).unwrap_or_else(|| panic!("it printed no {wanted}"))
        };
        let credentials = Credentials::new(variable("TASKCLUSTER_CLIENT_ID"), variable("TASKCLUSTER_ACCESS_TOKEN"));
        let caller = Caller::builder(variable("TASKCLUSTER_ROOT_URL").as_str())
            .credentials(credentials)
            .retry(RetryPolicy::never())
            .build()
            .expect("it printed what can be used");
        Tester::new(caller)
    }
}
