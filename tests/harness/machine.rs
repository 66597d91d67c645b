//! A worker's program on the machine of this test.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::Deployment;

/// A worker's program that takes tasks from a deployment, with its credentials. It is killed when this is dropped.
#[derive(Debug)]
pub struct Machine {
    worker: Child,
}

impl Machine {
    /// Starts a program, such as `native-worker`, for a task queue. What it keeps is in `work_dir`, which outlives it.
    ///
    /// # Errors
    /// If the program cannot be run.
    pub fn start(
        program: &Path,
        deployment: &Deployment,
        queue: &str,
        work_dir: &Path,
        arguments: &[&str],
    ) -> Result<Self> {
        let root = deployment.root();
        let credentials = root.caller().credentials().context("the deployment has credentials")?;
        let name = program.file_name().context("a program has a name")?.to_string_lossy();
        let prefix = name.to_uppercase().replace('-', "_");
        let mut worker = Command::new(program);
        worker.args(["run", "--task-queue-id", queue, "--root-url", deployment.root_url()]);
        worker.args(["--client-id", &credentials.client_id, "--work-dir"]).arg(work_dir).args(arguments);
        worker.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("RUST_LOG", "warn");
        worker.env(format!("{prefix}_ACCESS_TOKEN"), credentials.access_token.expose());
        // However full the disk of this machine is.
        worker.env(format!("{prefix}_REQUIRED_DISK_SPACE"), "0");
        let worker = worker.stdin(Stdio::null()).kill_on_drop(true).spawn();
        Ok(Self { worker: worker.with_context(|| format!("cannot run {}", program.display()))? })
    }

    /// Kills it without a warning, and waits until it is gone.
    ///
    /// # Errors
    /// If it ended by itself before.
    pub async fn kill(mut self) -> Result<()> {
        let ended = self.worker.try_wait()?;
        ensure!(ended.is_none(), "the worker ended by itself: {ended:?}");
        self.worker.kill().await.context("cannot kill it")
    }

    /// Asks it to go, and waits until it has gone in order.
    ///
    /// # Errors
    /// If it fails.
    pub async fn end(mut self) -> Result<()> {
        let id = self.worker.id().context("the worker ended by itself")?;
        let pid = Pid::from_raw(i32::try_from(id)?).context("a process has a number")?;
        kill_process(pid, Signal::TERM)?;
        let status = self.worker.wait().await?;
        ensure!(status.success(), "the worker failed: {status}");
        Ok(())
    }

    /// The most memory that it has ever had, in bytes.
    ///
    /// # Errors
    /// If it does not run.
    pub fn most_memory(&self) -> Result<u64> {
        let id = self.worker.id().context("the worker ended by itself")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("it has memory")?;
        let kib: u64 = line.split_whitespace().next().context("a number")?.parse()?;
        Ok(kib * 1024)
    }
}
