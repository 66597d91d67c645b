//! Directories out of archives.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::{TempDir, TempPath};

use super::budget::Fault;
use super::content::fetch;
use super::payload::{CacheMount, DirectoryMount, FileMount};
use super::unpack::{self, Stored};
use super::work::Work;
use crate::context::TaskContext;
use crate::error::Result;
use crate::tree::remove_tree;

/// The content of a file that is mounted.
pub(super) async fn file(task: &TaskContext, work: &Work, mount: &FileMount) -> Result<TempPath> {
    let stored = fetch(task, work, &mount.content).await?;
    let Some(compression) = mount.format else { return Ok(stored) };
    let (scratch, budget) = (task.scratch().to_owned(), work.budget().clone());
    let expand = move || {
        let expanded = tempfile::NamedTempFile::new_in(scratch).map_err(Fault::Disk)?;
        unpack::expand(Stored::open(&stored, &budget)?, compression, expanded.as_file().try_clone()?, &budget)?;
        Ok(expanded.into_temp_path())
    };
    work.blocking(&mount.file, expand).await
}

/// A directory for this run alone, in which the archive is unpacked.
pub(super) async fn directory(task: &TaskContext, work: &Work, mount: &DirectoryMount) -> Result<TempDir> {
    let stored = fetch(task, work, &mount.content).await?;
    let (scratch, budget, format) = (task.scratch().to_owned(), work.budget().clone(), mount.format);
    let unpack = move || {
        let dir = tempfile::tempdir_in(scratch).map_err(Fault::Disk)?;
        unpack::unpack(Stored::open(&stored, &budget)?, format, dir.path(), &budget)?;
        Ok(dir)
    };
    work.blocking(&mount.directory, unpack).await
}

/// Fill the cache that this run has at `place`, if it is empty and the mount says what with.
///
/// It is unpacked beside and takes its place in one step: whatever happens meanwhile, nobody finds half of it.
pub(super) async fn cache(task: &TaskContext, work: &Work, mount: &CacheMount, place: &Path) -> Result<()> {
    let (Some(content), Some(format), name) = (&mount.content, mount.format, &mount.cache_name) else { return Ok(()) };
    if !is_empty(place).map_err(Fault::Disk)? {
        return Ok(());
    }
    task.log().info(format!("filling the new cache {name:?}"));
    let stored = fetch(task, work, content).await?;
    let (place, budget) = (place.to_owned(), work.budget().clone());
    let fill = move || {
        let beside = beside(&place)?;
        unpack::unpack(Stored::open(&stored, &budget)?, format, beside.path(), &budget)?;
        budget.go_on()?;
        fs::rename(beside.path(), &place)?;
        Ok(())
    };
    work.blocking(&format!("the content of cache {name:?}"), fill).await
}

fn is_empty(dir: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(dir)?.next().is_none())
}

/// A directory beside that of a cache, in place of those that killed workers left. Another name each time: a thread that
/// has not yet noticed that nobody wants it has one of its own.
fn beside(place: &Path) -> io::Result<TempDir> {
    let (Some(folder), Some(index)) = (place.parent(), place.file_name()) else {
        return Err(io::Error::other("a cache is in a folder"));
    };
    let prefix = format!("{}.new-", index.to_string_lossy());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            remove_tree(&entry.path())?;
        }
    }
    tempfile::Builder::new().prefix(&prefix).tempdir_in(folder)
}
