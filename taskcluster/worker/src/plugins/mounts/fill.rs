//! Directories out of archives.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{TempDir, TempPath};

use super::budget::Fault;
use super::content::fetch;
use super::format::{ArchiveFormat, Compression};
use super::payload::Content;
use super::unpack;
use super::work::Work;
use crate::caches::Cache;
use crate::context::TaskContext;
use crate::error::Result;
use crate::tree::remove_tree;

/// The content of a file that is mounted.
pub(super) async fn file(
    task: &TaskContext,
    work: &Work,
    path: &str,
    content: &Content,
    format: Option<Compression>,
) -> Result<TempPath> {
    let stored = fetch(task, work, content).await?;
    let Some(compression) = format else { return Ok(stored) };
    let (scratch, budget) = (task.scratch().to_owned(), work.budget().clone());
    let expand = move || {
        let expanded = tempfile::NamedTempFile::new_in(scratch).map_err(Fault::Disk)?;
        unpack::expand(File::open(&stored)?, compression, expanded.as_file().try_clone()?, &budget)?;
        Ok(expanded.into_temp_path())
    };
    work.blocking(path, expand).await
}

/// A directory for this run alone, in which the archive is unpacked.
pub(super) async fn directory(
    task: &TaskContext,
    work: &Work,
    path: &str,
    content: &Content,
    format: ArchiveFormat,
) -> Result<TempDir> {
    let stored = fetch(task, work, content).await?;
    let (scratch, budget) = (task.scratch().to_owned(), work.budget().clone());
    let unpack = move || {
        let dir = tempfile::tempdir_in(scratch).map_err(Fault::Disk)?;
        unpack::unpack(File::open(&stored)?, format, dir.path(), &budget)?;
        Ok(dir)
    };
    work.blocking(path, unpack).await
}

/// Fill a cache that is empty.
///
/// It is unpacked beside and takes its place in one step: whatever happens meanwhile, nobody finds half of it. The thread that
/// does so holds the cache, since another task may have it as soon as it is let go.
pub(super) async fn cache(
    task: &TaskContext,
    work: &Work,
    cache: Cache,
    content: &Content,
    format: ArchiveFormat,
) -> Result<Cache> {
    if !is_empty(cache.path()).map_err(Fault::Disk)? {
        return Ok(cache);
    }
    task.log().info(format!("filling the new cache {:?}", cache.name()));
    let what = format!("the content of cache {:?}", cache.name());
    let stored = fetch(task, work, content).await?;
    let budget = work.budget().clone();
    let fill = move || {
        let beside = Beside::make(cache.path().with_extension("new"))?;
        unpack::unpack(File::open(&stored)?, format, &beside.0, &budget)?;
        fs::rename(&beside.0, cache.path())?;
        Ok(cache)
    };
    work.blocking(&what, fill).await
}

fn is_empty(dir: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(dir)?.next().is_none())
}

/// A directory beside a cache, which is removed unless it was moved. One that a killed worker left is replaced.
struct Beside(PathBuf);

impl Beside {
    fn make(path: PathBuf) -> io::Result<Self> {
        remove_tree(&path)?;
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.0) {
            tracing::error!(path = %self.0.display(), %error, "cannot remove what was to fill a cache");
        }
    }
}
