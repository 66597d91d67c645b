//! What a task leaves in its container: regular files, read from archives that Docker makes of it.
//!
//! Links are not followed and nothing is unpacked under a name that the task chose: each file becomes a temporary file of the
//! worker's own.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;

use async_trait::async_trait;
use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures_util::TryStreamExt;
use tar::{Archive, EntryType};
use taskcluster_worker::engine::{Exit, Extracted, Missing, ResultSet};
use tempfile::{NamedTempFile, TempPath};

use crate::container::{Home, absolute};
use crate::docker::{Docker, is_not_found};
use crate::pipe;

#[derive(Debug)]
pub(crate) struct ContainerResults {
    exit: Exit,
    docker: Docker,
    home: Home,
    scratch: PathBuf,
    /// Files of directories that were listed, by their path in the container, until somebody takes them.
    extracted: Mutex<BTreeMap<String, TempPath>>,
}

impl ContainerResults {
    pub(crate) fn new(exit: Exit, docker: Docker, home: Home, scratch: PathBuf) -> Self {
        Self { exit, docker, home, scratch, extracted: Mutex::default() }
    }

    /// Read the archive that Docker makes of a path.
    async fn read<T: Send + 'static>(
        &self,
        path: &str,
        work: impl FnOnce(Archive<&mut dyn Read>) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Missing> {
        let full = absolute(&self.home.working_dir, path);
        let options = DownloadFromContainerOptionsBuilder::new().path(&full).build();
        let chunks = self.docker.api.download_from_container(&self.home.container, Some(options));
        let chunks = chunks.map_err(|error| match is_not_found(&error) {
            true => io::ErrorKind::NotFound.into(),
            false => io::Error::other(error),
        });
        pipe::read_from_stream(chunks, |from| work(Archive::new(from))).await.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Missing::NotFound(path.to_owned()),
            io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => {
                Missing::WrongType(format!("{path} {error}"))
            }
            _ => Missing::NotReadable(format!("{path} cannot be read: {error}")),
        })
    }
}

#[async_trait]
impl ResultSet for ContainerResults {
    fn exit(&self) -> &Exit {
        &self.exit
    }

    async fn file(&self, path: &str) -> Result<Extracted, Missing> {
        if let Some(file) = self.extracted.lock().expect("nothing panics holding it").remove(path) {
            return Ok(Extracted::copy(file));
        }
        let scratch = self.scratch.clone();
        let file = self.read(path, move |mut archive| {
            let mut entries = archive.entries()?;
            let mut entry = entries.next().ok_or(io::ErrorKind::NotFound)??;
            match entry.header().entry_type() {
                EntryType::Regular => copy_out(&mut entry, &scratch),
                EntryType::Directory => Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory")),
                _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file")),
            }
        });
        Ok(Extracted::copy(file.await?))
    }

    async fn directory(&self, path: &str) -> Result<Vec<String>, Missing> {
        let scratch = self.scratch.clone();
        let files = self.read(path, move |archive| extract(archive, &scratch)).await?;
        let base = path.trim_end_matches('/');
        let names = files.iter().map(|(name, _)| name.clone()).collect();
        let mut extracted = self.extracted.lock().expect("nothing panics holding it");
        extracted.extend(files.into_iter().map(|(name, file)| (format!("{base}/{name}"), file)));
        Ok(names)
    }

    async fn dispose(self: Box<Self>) {
        let Self { docker, home, .. } = *self;
        if let Some(image) = &home.keep_as
            && let Err(error) = docker.commit(&home.container, image).await
        {
            tracing::error!(image, error = error.reasons().join("; "), "cannot keep a container");
        }
        home.belongings.remove().await;
    }
}

/// The regular files of a directory, sorted, by their paths below it. The archive begins with the directory itself.
fn extract(mut archive: Archive<&mut dyn Read>, scratch: &Path) -> io::Result<Vec<(String, TempPath)>> {
    let mut entries = archive.entries()?;
    let first = entries.next().ok_or(io::ErrorKind::NotFound)??;
    if first.header().entry_type() != EntryType::Directory {
        return Err(io::Error::new(io::ErrorKind::NotADirectory, "is not a directory"));
    }
    drop(first);
    let mut files = BTreeMap::new();
    for entry in entries {
        let mut entry = entry?;
        if entry.header().entry_type() == EntryType::Regular
            && let Some(name) = below_first(&entry.path()?)
        {
            files.insert(name, copy_out(&mut entry, scratch)?);
        }
    }
    Ok(files.into_iter().collect())
}

/// The part of a path after its first segment.
fn below_first(path: &Path) -> Option<String> {
    let mut parts = path.components().filter(|part| *part != Component::CurDir);
    parts.next()?;
    let below: PathBuf = parts.collect();
    let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
    let text = below.to_string_lossy().into_owned();
    (plain && !text.is_empty()).then_some(text)
}

fn copy_out(from: &mut impl Read, scratch: &Path) -> io::Result<TempPath> {
    let mut file = NamedTempFile::new_in(scratch)?;
    io::copy(from, &mut file)?;
    Ok(file.into_temp_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_below_the_directory() {
        assert_eq!(below_first(Path::new("out/b/deep")).as_deref(), Some("b/deep"));
        assert_eq!(below_first(Path::new("./out/a")).as_deref(), Some("a"));
        assert_eq!(below_first(Path::new("out/")), None);
        assert_eq!(below_first(Path::new("out/../x")), None);
    }
}
