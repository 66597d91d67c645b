//! The log so far, uploaded while the run goes on: what is left of the log where the machine is lost.
//!
//! It goes to the name of the backing log, which the queue lets a run upload again and again. Each time replaces the one before,
//! the last is the whole log when the run has ended. What that costs is bounded: a log that did not grow is not uploaded, and of
//! a long one only its beginning and its end are, so that a run sends at most [`WHOLE`] bytes each time however long its log
//! has become.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use taskcluster::queue::{PostArtifactRequest, S3ArtifactRequest};
use taskcluster_core::time::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::LOG_CONTENT_TYPE;
use crate::artifacts::{self, Upload};
use crate::context::TaskContext;
use crate::error::{Error, Result};

/// The longest log that is uploaded whole.
const WHOLE: u64 = 8 << 20;
/// How much of the beginning of a longer one; of its end the rest.
const BEGINNING: u64 = 1 << 20;

/// For how long the end of a run waits for an upload that has begun. If it were just dropped, the storage service could take
/// it for newer than the whole log, which comes next.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// Uploads the log of a run every now and then. Dropping it ends that.
#[derive(Debug)]
pub(super) struct Keeper {
    over: CancellationToken,
    work: AbortOnDropHandle<()>,
}

impl Keeper {
    pub(super) fn start(task: Arc<TaskContext>, name: String, every: Duration) -> Self {
        let over = CancellationToken::new();
        // From now on, whenever it is that the work begins.
        let first = task.clock().now() + every;
        let work = tokio::spawn(keep(task, name, first, every, over.clone()));
        Self { over, work: AbortOnDropHandle::new(work) }
    }

    /// Nothing more is uploaded.
    pub(super) async fn end(self) {
        self.over.cancel();
        if tokio::time::timeout(LAST_WAIT, self.work).await.is_err() {
            tracing::debug!("an upload of the log so far is cut short");
        }
    }
}

async fn keep(task: Arc<TaskContext>, name: String, first: Timestamp, every: Duration, over: CancellationToken) {
    let clock = task.clock().clone();
    let mut next = first;
    let (mut exists, mut kept, mut warned) = (false, 0, false);
    loop {
        tokio::select! {
            () = over.cancelled() => return,
            () = clock.sleep_until(next) => {}
        }
        next = clock.now() + every;
        let length = task.log().length();
        if length == kept {
            continue;
        }
        let uploaded = async {
            if !exists {
                create(&task, &name).await?;
            }
            upload(&task, &name, length).await
        };
        match uploaded.await {
            Ok(()) => (exists, kept) = (true, length),
            // It only matters if the machine is lost; the log at the end says by itself whether it can be uploaded.
            Err(error) if !warned => {
                warned = true;
                task.log().warn(format!("the log so far cannot be kept: {}", error.reasons().join("; ")));
            }
            Err(error) => tracing::debug!(task.id = %task.task_id(), ?error, "cannot keep the log so far"),
        }
    }
}

/// A queue remembers the length that an artifact is first created with, and this one is yet to grow: so it says none.
async fn create(task: &TaskContext, name: &str) -> Result<()> {
    let request = S3ArtifactRequest::new(task.expires(), LOG_CONTENT_TYPE);
    artifacts::create(task, name, PostArtifactRequest::S3(request)).await
}

async fn upload(task: &TaskContext, name: &str, length: u64) -> Result<()> {
    let (log, copy) = (task.log().path().to_owned(), task.scratch().join("log-so-far"));
    let last_line = format!("[taskcluster:warn {}] the run went on from here\n", task.clock().now());
    let to = copy.clone();
    let copied = tokio::task::spawn_blocking(move || excerpt(&log, length, &to, &last_line)).await;
    copied
        .map_err(io::Error::other)
        .flatten()
        .map_err(|error| Error::worker_caused("the log cannot be copied", error))?;
    task.upload(name, &Upload::new(copy).content_type(LOG_CONTENT_TYPE).gzip(true)).await
}

/// The first `length` bytes of a log, without the middle if they are many, and a line that says that this is not all.
fn excerpt(log: &Path, length: u64, to: &Path, last_line: &str) -> io::Result<()> {
    let (mut log, mut copy) = (File::open(log)?, File::create(to)?);
    if length <= WHOLE {
        io::copy(&mut (&log).take(length), &mut copy)?;
    } else {
        io::copy(&mut (&log).take(BEGINNING), &mut copy)?;
        writeln!(copy, "\n[taskcluster:warn] {} bytes are left out here", length - WHOLE)?;
        log.seek(SeekFrom::Start(length - (WHOLE - BEGINNING)))?;
        io::copy(&mut (&log).take(WHOLE - BEGINNING), &mut copy)?;
    }
    if !ends_line(&mut log, length)? {
        copy.write_all(b"\n")?;
    }
    copy.write_all(last_line.as_bytes())
}

fn ends_line(log: &mut File, length: u64) -> io::Result<bool> {
    let mut last = [b'\n'];
    if length > 0 {
        log.seek(SeekFrom::Start(length - 1))?;
        log.read_exact(&mut last)?;
    }
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt_of(log: &[u8], length: usize) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("log"), dir.path().join("copy"));
        std::fs::write(&from, log).unwrap();
        excerpt(&from, length as u64, &to, "END\n").unwrap();
        std::fs::read(&to).unwrap()
    }

    #[test]
    fn a_short_log_is_kept_whole_as_far_as_it_came() {
        assert_eq!(excerpt_of(b"", 0), b"END\n");
        assert_eq!(excerpt_of(b"one\ntwo\nthr", 8), b"one\ntwo\nEND\n");
        assert_eq!(excerpt_of(b"one\n\xff\xfe", 6), b"one\n\xff\xfe\nEND\n");
    }

    #[test]
    fn of_a_long_log_beginning_and_end_are_kept() {
        let whole = WHOLE as usize;
        let log: Vec<u8> = (0..whole + 1000).map(|at| (at % 251) as u8).collect();
        let kept = excerpt_of(&log, log.len());
        let gap = b"\n[taskcluster:warn] 1000 bytes are left out here\n";
        let (beginning, rest) = kept.split_at(BEGINNING as usize);
        let end = rest.strip_prefix(gap.as_slice()).unwrap().strip_suffix(b"\nEND\n").unwrap();
        assert!(log.starts_with(beginning) && log.ends_with(end));
        assert_eq!(beginning.len() + end.len(), whole);
    }
}
