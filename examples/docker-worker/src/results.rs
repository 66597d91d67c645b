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
use tar::{Archive, Entry, EntryType};
use taskcluster_worker::artifacts::ArtifactLimits;
use taskcluster_worker::engine::{Exit, Extracted, Missing, ResultSet};
use taskcluster_worker::log::TaskLog;
use taskcluster_worker::{TaskContext, size};
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
    limits: ArtifactLimits,
    log: TaskLog,
    /// Files of directories that were listed, by their path in the container, until somebody takes them.
    extracted: Mutex<BTreeMap<String, Result<TempPath, Missing>>>,
}

impl ContainerResults {
    pub(crate) fn new(exit: Exit, docker: Docker, home: Home, task: &TaskContext) -> Self {
        let (scratch, limits, log) = (task.scratch().to_owned(), task.artifact_limits(), task.log().clone());
        Self { exit, docker, home, scratch, limits, log, extracted: Mutex::default() }
    }

    /// Read the archive that Docker makes of a path.
    async fn read<T: Send + 'static>(
        &self,
        path: &str,
        work: impl FnOnce(Archive<&mut dyn Read>) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Missing> {
        let full = absolute(&self.home.image.working_dir, path);
        let options = DownloadFromContainerOptionsBuilder::new().path(&full).build();
        let chunks = self.docker.api.download_from_container(&self.home.container, Some(options));
        let chunks = chunks.map_err(|error| match is_not_found(&error) {
            true => io::ErrorKind::NotFound.into(),
            false => io::Error::other(error),
        });
        let read = pipe::read_from_stream(chunks, |from| work(Archive::new(from))).await;
        read.map_err(|error| match error.downcast::<Missing>() {
            Ok(missing) => missing,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound => Missing::NotFound(path.to_owned()),
                io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => {
                    Missing::WrongType(format!("{path} {error}"))
                }
                _ => Missing::NotReadable(format!("{path} cannot be read: {error}")),
            },
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
            return file.map(Extracted::copy);
        }
        let (scratch, limits, name) = (self.scratch.clone(), self.limits, path.to_owned());
        let file = self.read(path, move |mut archive| {
            let mut entries = archive.entries()?;
            let mut entry = entries.next().ok_or(io::ErrorKind::NotFound)??;
            match entry.header().entry_type() {
                EntryType::Regular => copy_out(&mut entry, &name, &scratch, limits)?.map_err(io::Error::other),
                EntryType::Directory => Err(io::Error::new(io::ErrorKind::IsADirectory, "is a directory")),
                _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file")),
            }
        });
        Ok(Extracted::copy(file.await?))
    }

    async fn directory(&self, path: &str) -> Result<Vec<String>, Missing> {
        let (scratch, limits, base) = (self.scratch.clone(), self.limits, path.trim_end_matches('/').to_owned());
        let within = base.clone();
        let (files, others) = self.read(path, move |archive| extract(archive, &within, &scratch, limits)).await?;
        if others > 0 {
            self.log.warn(format!("{path}: {others} are left out of it: only regular files become artifacts"));
        }
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

/// Files by their paths, each there or with the reason why it is not taken.
type Files = Vec<(String, Result<TempPath, Missing>)>;

/// The regular files of a directory, sorted, by their paths below it, or why they are not taken; and how many others there are. The archive begins with the directory
/// itself.
///
/// What is too large is passed over, for which it has to be read: only up to as many bytes as all artifacts may have together, since a
/// file of holes is larger than anybody could read. Then the whole directory is too large.
fn extract(
    mut archive: Archive<&mut dyn Read>,
    base: &str,
    scratch: &Path,
    limits: ArtifactLimits,
) -> io::Result<(Files, usize)> {
    let mut entries = archive.entries()?;
    let first = entries.next().ok_or(io::ErrorKind::NotFound)??;
    if first.header().entry_type() != EntryType::Directory {
        return Err(io::Error::new(io::ErrorKind::NotADirectory, "is not a directory"));
    }
    drop(first);
    let mut files = BTreeMap::new();
    let (mut read, mut others): (u64, usize) = (0, 0);
    for entry in entries {
        let mut entry = entry?;
        others += usize::from(!matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Directory));
        read = read.saturating_add(entry.size());
        if read > limits.all {
            let most = size(limits.all);
            let why = format!(
                "{base} has more than {most}, which is the most that this worker takes of artifacts from a run"
            );
            return Err(io::Error::other(Missing::TooLarge(why)));
        }
        if entry.header().entry_type() == EntryType::Regular
            && let Some(name) = below_first(&entry.path()?)
        {
            let file = copy_out(&mut entry, &format!("{base}/{name}"), scratch, limits)?;
            files.insert(name, file);
        }
    }
    Ok((files.into_iter().collect(), others))
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

/// A copy, unless the file is too large.
fn copy_out(
    from: &mut Entry<'_, impl Read>,
    path: &str,
    scratch: &Path,
    limits: ArtifactLimits,
) -> io::Result<Result<TempPath, Missing>> {
    if let Err(missing) = limits.allow_copy(path, from.size(), scratch) {
        return Ok(Err(missing));
    }
    let mut file = NamedTempFile::new_in(scratch)?;
    io::copy(from, &mut file)?;
    Ok(Ok(file.into_temp_path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extracted(limits: ArtifactLimits) -> io::Result<Vec<(String, Result<u64, Missing>)>> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_size(0);
        archive.append_data(&mut header, "out", io::empty()).unwrap();
        for (name, bytes) in [("out/large", 100), ("out/small", 10)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes);
            archive.append_data(&mut header, name, io::repeat(1).take(bytes)).unwrap();
        }
        let (bytes, scratch) = (archive.into_inner().unwrap(), tempfile::tempdir().unwrap());
        let mut from = &*bytes;
        let (files, _) = extract(Archive::new(&mut from as &mut dyn Read), "/out", scratch.path(), limits)?;
        let size = |file: TempPath| file.metadata().unwrap().len();
        Ok(files.into_iter().map(|(name, file)| (name, file.map(size))).collect())
    }

    #[test]
    fn what_is_too_large_is_passed_over() {
        let files = extracted(ArtifactLimits::default().with_each(50)).unwrap();
        assert_eq!(files[1], ("small".to_owned(), Ok(10)));
        assert!(matches!(&files[0], (name, Err(Missing::TooLarge(_))) if name == "large"), "{files:?}");
    }

    #[test]
    fn what_is_too_large_to_be_passed_over_is_given_up() {
        let error = extracted(ArtifactLimits::default().with_all(99)).unwrap_err();
        assert!(matches!(error.downcast::<Missing>(), Ok(Missing::TooLarge(_))));
    }

    #[test]
    fn names_begin_below_the_directory() {
        assert_eq!(below_first(Path::new("out/b/deep")).as_deref(), Some("b/deep"));
        assert_eq!(below_first(Path::new("./out/a")).as_deref(), Some("a"));
        assert_eq!(below_first(Path::new("out/")), None);
        assert_eq!(below_first(Path::new("out/../x")), None);
    }
}
