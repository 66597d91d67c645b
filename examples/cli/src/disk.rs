//! Room on the disk: without any, nothing can be remembered of what the tasks do.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};

/// What must be free for anything to be worth beginning.
pub(crate) const LEAST_TO_BEGIN: u64 = 32 << 20;

/// What must be free for anything to be written at all.
const LEAST_TO_GO_ON: u64 = 1 << 20;

/// How often to look.
const PAUSE: Duration = Duration::from_millis(500);

/// A disk that is all but full lets tasks begin and then nothing be written about them.
pub(crate) fn refuse_full(data: &Path) -> Result<()> {
    match free(data) {
        Some(free) if free < LEAST_TO_BEGIN => {
            let (data, free, least) = (data.display(), free >> 20, LEAST_TO_BEGIN >> 20);
            bail!(
                "the data directory {data} cannot be used: the disk is full ({free} MiB are free, {least} are needed)"
            )
        }
        _ => Ok(()),
    }
}

/// Waits until the disk is full.
///
/// # Cancel safety
/// Nothing is lost.
pub(crate) async fn filled_up(data: &Path) -> anyhow::Error {
    loop {
        tokio::time::sleep(PAUSE).await;
        if is_full(data) {
            return anyhow!("the data directory {} cannot be used any more: the disk is full", data.display());
        }
    }
}

/// Where complaints go of what can no longer be done: nowhere once the disk is full, which is then said once, by [`filled_up`].
pub(crate) fn complaints(data: PathBuf) -> impl Fn() -> Box<dyn Write> + Send + Sync + 'static {
    move || match is_full(&data) {
        true => Box::new(io::sink()),
        false => Box::new(io::stderr()),
    }
}

fn is_full(data: &Path) -> bool {
    free(data).is_some_and(|free| free < LEAST_TO_GO_ON)
}

/// The bytes that this process may still write there, where the system tells.
fn free(data: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(data).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
