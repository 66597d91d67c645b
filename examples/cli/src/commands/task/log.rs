//! The log of a task's last run, from its beginning until the run ends.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use axum::http::Request;
use axum::http::header::CONTENT_ENCODING;
use flate2::write::MultiGzDecoder;
use futures_util::TryStreamExt as _;
use taskcluster::queue::{ArtifactContentResponse, Run, RunState, TaskState};
use taskcluster::{Body, RunId, TaskId, Taskcluster};
use taskcluster_core::transport::BoxError;
use taskcluster_worker::plugins::{BACKING_LOG, LIVE_LOG};

use super::unserved;
use crate::exit::one_line;
use crate::output::{Output, ReaderGone};

const NOT_PACKED: &str = "the log is not compressed as it says";

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_secs(1);

/// How often the log of a run that has ended may break off, or not be had, before that is the end.
const FAILURES: u32 = 5;

/// The longest log that is read from the object service.
const LONGEST: usize = 1 << 30;

/// Prints the log; waits for it where nobody has taken the task yet.
pub(super) async fn follow(tc: &Taskcluster, task: &TaskId, output: &mut Output) -> Result<()> {
    let mut log = Log { tc, task, output, printed: 0 };
    let mut notes = Notes::default();
    let (mut failures, mut asked) = (0, false);
    loop {
        let status = tc.queue().status(task).await?.status;
        let is_over = matches!(status.state, TaskState::Completed | TaskState::Failed | TaskState::Exception);
        match status.runs.last().filter(|run| run.started.is_some()) {
            Some(run) => match log.print(run.run_id, LIVE_LOG).await {
                Ok(Had::Whole) => return until_ended(tc, task, run.run_id).await,
                Err(error) if error.is::<ReaderGone>() => return Err(error),
                // A worker that has just claimed the task has not made its log yet.
                Ok(Had::Nothing) if run.state == RunState::Running => {}
                Ok(Had::Nothing) => bail!("run {} of {task} left no log {LIVE_LOG}", run.run_id),
                // Only the worker serves it while it runs. When the run has ended it is in one of the storage services.
                Err(error) if run.state == RunState::Running => {
                    notes.say(format!("{}: waiting for the end of the run", one_line(&error)));
                }
                Err(error) => {
                    failures += 1;
                    if failures == FAILURES {
                        return log.left_by_the_lost(run.run_id, error).await;
                    }
                }
            },
            None if is_over => bail!("{task} is {} and was never run: there is no log", status.state),
            None => {
                notes.say(format!("{task} is {}: waiting until somebody runs it", status.state));
                if status.state == TaskState::Pending && !asked {
                    asked = true;
                    unserved(tc, &status.task_queue_id).await.into_iter().for_each(|note| eprintln!("note: {note}"));
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The log ends a little before the run does: its artifacts are uploaded, the worker reports.
async fn until_ended(tc: &Taskcluster, task: &TaskId, run_id: RunId) -> Result<()> {
    loop {
        let status = tc.queue().status(task).await?.status;
        let runs = |run: &Run| run.run_id == run_id && run.state == RunState::Running;
        if !status.runs.iter().any(runs) {
            return Ok(());
        }
        tokio::time::sleep(PAUSE / 4).await;
    }
}

/// What is said on the side, each thing once in a row.
#[derive(Default)]
struct Notes {
    last: String,
}

impl Notes {
    fn say(&mut self, what: String) {
        if what != self.last {
            eprintln!("note: {what}");
            self.last = what;
        }
    }
}

/// What was there of a log.
enum Had {
    Whole,
    Nothing,
}

struct Log<'a> {
    tc: &'a Taskcluster,
    task: &'a TaskId,
    output: &'a mut Output,
    /// How many bytes were printed, whichever way they came.
    printed: usize,
}

impl Log<'_> {
    /// A worker that was lost can no longer say that its log is elsewhere now; but it may have kept it as far as it had come.
    async fn left_by_the_lost(&mut self, run: RunId, error: anyhow::Error) -> Result<()> {
        match self.print(run, BACKING_LOG).await {
            Ok(Had::Whole) => {
                eprintln!("note: {}: this is {BACKING_LOG}", one_line(&error));
                Ok(())
            }
            Err(gone) if gone.is::<ReaderGone>() => Err(gone),
            Ok(Had::Nothing) | Err(_) => Err(error),
        }
    }

    /// Prints what is not printed yet, to the end of the log.
    async fn print(&mut self, run: RunId, name: &str) -> Result<Had> {
        let content = match self.tc.queue().artifact(self.task, run, name).await {
            Err(error) if error.is_not_found() => return Ok(Had::Nothing),
            content => content?,
        };
        match content {
            ArtifactContentResponse::S3(content) => self.fetch(&content.url).await?,
            // While it runs, its worker serves it.
            ArtifactContentResponse::Reference(content) => self.fetch(&content.url).await?,
            ArtifactContentResponse::Error(note) => bail!("there is no log: {} ({})", note.message, note.reason),
            _ => {
                let whole = self.tc.artifacts().download(self.task, run, name).as_stored().to_memory(LONGEST).await?;
                // From the object service, which does not say how it was compressed.
                let is_packed = whole.starts_with(&[0x1f, 0x8b]);
                self.pieces(Body::from(whole), is_packed).await?;
            }
        }
        Ok(Had::Whole)
    }

    async fn fetch(&mut self, url: &str) -> Result<()> {
        let request = Request::get(url).body(Body::empty()).with_context(|| format!("the log is at {url}"))?;
        let answer = self.tc.caller().transport().send(request).await.context("the log cannot be read")?;
        if !answer.status().is_success() {
            bail!("the log cannot be read: the storage service answered {}", answer.status());
        }
        let is_packed = answer.headers().get(CONTENT_ENCODING).is_some_and(|how| how == "gzip");
        self.pieces(answer.into_body(), is_packed).await
    }

    async fn pieces(&mut self, body: Body, is_packed: bool) -> Result<()> {
        let mut packed = is_packed.then(|| MultiGzDecoder::new(Vec::new()));
        let mut passed = 0;
        let mut pieces = std::pin::pin!(body.into_stream());
        let broke = |error: BoxError| anyhow!(error).context("the log broke off");
        while let Some(piece) = pieces.try_next().await.map_err(broke)? {
            match &mut packed {
                Some(decoder) => {
                    decoder.write_all(&piece).context(NOT_PACKED)?;
                    self.piece(&std::mem::take(decoder.get_mut()), &mut passed)?;
                }
                None => self.piece(&piece, &mut passed)?,
            }
        }
        if let Some(decoder) = packed {
            // It has kept something back.
            self.piece(&decoder.finish().context(NOT_PACKED)?, &mut passed)?;
        }
        Ok(())
    }

    /// Prints what is new of a piece that comes after so many bytes.
    fn piece(&mut self, piece: &[u8], passed: &mut usize) -> Result<()> {
        let known = self.printed.saturating_sub(*passed).min(piece.len());
        *passed += piece.len();
        self.output.bytes(&piece[known..])?;
        self.printed = self.printed.max(*passed);
        Ok(())
    }
}
