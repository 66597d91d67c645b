//! A message broker of a test's own.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::soon;

/// Becomes a RabbitMQ in a folder.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rabbitmq");

/// RabbitMQ as a process that a test may end, with data that outlive it. It is killed when this is dropped.
#[derive(Debug)]
pub struct Broker {
    folder: TempDir,
    url: String,
    child: Option<Child>,
}

impl Broker {
    /// Starts one on free ports. Nothing where `TEST_AMQP` names no broker: then none is installed, either.
    ///
    /// # Panics
    /// If it does not come up.
    pub async fn start() -> Option<Self> {
        if std::env::var_os("TEST_AMQP").is_none() {
            println!("skipped: TEST_AMQP is not set");
            return None;
        }
        // A port that was free may be taken by the time it is needed.
        for _ in 0..3 {
            let folder = tempfile::tempdir().expect("a folder");
            let mut broker = Self { folder, url: String::new(), child: None };
            match broker.restart().await {
                Ok(()) => return Some(broker),
                Err(error) => println!("a broker did not come up: {error:#}"),
            }
        }
        panic!("no broker comes up");
    }

    /// Its URL, the same before and after it was ended.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Ends it, and waits until it is gone. Not by force: RabbitMQ 3.10 does not always find the leader of a young quorum queue
    /// again after that, and then the queue takes nothing any more.
    ///
    /// # Errors
    /// If it is not ours to end.
    pub async fn end(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let id = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)).context("it ended by itself")?;
        rustix::process::kill_process(id, Signal::TERM)?;
        soon(child.wait()).await?;
        Ok(())
    }

    /// Starts it again after it was [ended](Self::end), on the same data and ports, and waits until it is up.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn restart(&mut self) -> Result<()> {
        let mut command = Command::new(SCRIPT);
        command.arg(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot run {SCRIPT}"))?;
        let url = soon(async {
            loop {
                if let Some(url) = self.up().await? {
                    return Ok(url);
                }
                let ended = child.try_wait()?;
                ensure!(ended.is_none(), "it ended before it was up");
            }
        });
        self.url = url.await?;
        self.child = Some(child);
        Ok(())
    }

    /// Its URL, if it is up, which this waits for once its node is there.
    async fn up(&self) -> Result<Option<String>> {
        let output = Command::new(SCRIPT).arg(self.folder.path()).arg("await").output().await?;
        Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned()))
    }
}
