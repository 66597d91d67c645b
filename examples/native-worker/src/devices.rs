//! `features.loopbackVideo` and `features.loopbackAudio`: devices of the machine that a task has for itself.
//!
//! They are made by kernel modules (`v4l2loopback`, `snd-aloop`), which is for whoever sets up the machine to load. A device may be
//! several files. While a task has it, they belong to the task's user, if it has one; nothing else of them changes.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, lchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Access, access};
use taskcluster_worker::error::{Error, Result};

use crate::accounts;
use crate::user::TemporaryUser;

/// The loopback devices of this machine that tasks may have.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LoopbackDevices {
    /// Video devices, a file each.
    pub video: Vec<PathBuf>,
    /// Sound cards, with all their files.
    pub audio: Vec<Vec<PathBuf>>,
}

impl LoopbackDevices {
    /// One video device more, such as `/dev/video0`.
    #[must_use]
    pub fn with_video(mut self, file: impl Into<PathBuf>) -> Self {
        self.video.push(file.into());
        self
    }

    /// The sound card of that number more, with the files that `snd-aloop` makes for it.
    #[must_use]
    pub fn with_sound_card(self, number: u32) -> Self {
        let parts = ["D0c", "D0p", "D1c", "D1p"].map(|part| format!("pcmC{number}{part}"));
        let names = std::iter::once(format!("controlC{number}")).chain(parts);
        self.with_audio(names.map(|name| Path::new("/dev/snd").join(name)))
    }

    /// One audio device more, which is these files.
    #[must_use]
    pub fn with_audio(mut self, files: impl IntoIterator<Item = PathBuf>) -> Self {
        self.audio.push(files.into_iter().collect());
        self
    }

    /// The files of each device.
    pub(crate) fn each(&self) -> impl Iterator<Item = &[PathBuf]> {
        self.video.iter().map(std::slice::from_ref).chain(self.audio.iter().map(Vec::as_slice))
    }
}

/// What a device is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Video,
    Audio,
}

impl Kind {
    /// What the scope to use such a device begins with.
    pub(crate) fn scope(self) -> &'static str {
        match self {
            Self::Video => "generic-worker:loopback-video",
            Self::Audio => "generic-worker:loopback-audio",
        }
    }

    /// The flag of the payload.
    pub(crate) fn feature(self) -> &'static str {
        match self {
            Self::Video => "loopbackVideo",
            Self::Audio => "loopbackAudio",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Video => "loopback video device",
            Self::Audio => "loopback audio device",
        })
    }
}

/// The devices, each with one task at a time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Devices {
    video: Pool,
    audio: Pool,
}

impl Devices {
    pub(crate) fn new(devices: LoopbackDevices) -> Self {
        let video = devices.video.into_iter().map(|file| vec![file]).collect();
        Self { video: Pool::new(video), audio: Pool::new(devices.audio) }
    }

    fn pool(&self, kind: Kind) -> &Pool {
        match kind {
            Kind::Video => &self.video,
            Kind::Audio => &self.audio,
        }
    }

    /// Whether this worker has such a device at all.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        self.pool(kind).size > 0
    }

    /// How many more tasks could have whatever they ask for; `None` if there is nothing to ask for.
    pub(crate) fn spare(&self) -> Option<usize> {
        let pools = [&self.video, &self.audio].into_iter().filter(|pool| pool.size > 0);
        pools.map(|pool| pool.shelf().len()).min()
    }

    /// Lend a device to a task.
    ///
    /// # Errors
    /// [`Error::Worker`]: other tasks have all of them, though no more tasks should have been claimed than could have one.
    pub(crate) fn lend(&self, kind: Kind) -> Result<Lent> {
        let pool = self.pool(kind);
        let files = pool.shelf().pop().ok_or_else(|| Error::worker(format!("no {kind} is left")))?;
        Ok(Lent { kind, files, owners: Vec::new(), shelf: pool.shelf.clone() })
    }

    /// Take back what a worker had lent that was killed: what belongs to a user who is no more. Blocks.
    pub(crate) fn take_back_leftovers(&self) -> io::Result<()> {
        let users = accounts::users()?;
        let files: Vec<PathBuf> =
            [&self.video, &self.audio].into_iter().flat_map(|pool| pool.shelf().concat()).collect();
        for file in files {
            let Ok(found) = fs::symlink_metadata(&file) else { continue };
            let is_device = found.file_type().is_char_device();
            if is_device && !users.iter().any(|user| user.uid == found.uid()) {
                lchown(&file, Some(0), None)?;
            }
        }
        Ok(())
    }
}

type Shelf = Arc<Mutex<Vec<Vec<PathBuf>>>>;

#[derive(Clone, Debug)]
struct Pool {
    size: usize,
    /// The files of those that no task has.
    shelf: Shelf,
}

impl Pool {
    fn new(devices: Vec<Vec<PathBuf>>) -> Self {
        let size = devices.len();
        Self { size, shelf: Arc::new(Mutex::new(devices)) }
    }

    fn shelf(&self) -> std::sync::MutexGuard<'_, Vec<Vec<PathBuf>>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

/// A device that a task has. It is taken back when this is dropped: no process of the task may be left then.
#[derive(Debug)]
pub(crate) struct Lent {
    kind: Kind,
    files: Vec<PathBuf>,
    /// Files that changed hands, and whose they were.
    owners: Vec<(PathBuf, u32)>,
    shelf: Shelf,
}

impl Lent {
    /// The variables that tell a task of it.
    pub(crate) fn environment(&self) -> Option<(&'static str, String)> {
        match self.kind {
            Kind::Video => Some(("TASKCLUSTER_VIDEO_DEVICE", self.files.first()?.to_string_lossy().into_owned())),
            // It is where such devices are.
            Kind::Audio => None,
        }
    }

    /// Give it to the task's user; if it has none of its own, make sure that the worker's user can use it.
    ///
    /// # Errors
    /// [`Error::Worker`]: the machine does not have it as it should.
    pub(crate) fn give(&mut self, user: Option<&TemporaryUser>) -> Result<()> {
        let kind = self.kind;
        let given = self.give_files(user.map(|user| user.uid));
        given.map_err(|error| Error::worker_caused(format!("the task cannot have a {kind}"), error))
    }

    fn give_files(&mut self, user: Option<u32>) -> io::Result<()> {
        for file in &self.files {
            let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
            let found = fs::symlink_metadata(file).map_err(named)?;
            if !found.file_type().is_char_device() {
                return Err(named(io::Error::other("it is no device")));
            }
            match user {
                Some(uid) => {
                    lchown(file, Some(uid), None).map_err(named)?;
                    self.owners.push((file.clone(), found.uid()));
                }
                None => access(file, Access::READ_OK | Access::WRITE_OK).map_err(|error| named(error.into()))?,
            }
        }
        Ok(())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        for (file, owner) in &self.owners {
            if let Err(error) = lchown(file, Some(*owner), None) {
                tracing::error!(path = %file.display(), %error, "cannot take a device back from a task");
            }
        }
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.files));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_tasks_as_could_have_whatever_they_ask_for() {
        assert_eq!(Devices::default().spare(), None);
        let devices = LoopbackDevices::default().with_video("/dev/a").with_video("/dev/b").with_sound_card(16);
        let devices = Devices::new(devices);
        assert_eq!(devices.spare(), Some(1));
        let card = devices.lend(Kind::Audio).unwrap();
        let video = devices.lend(Kind::Video).unwrap();
        assert_eq!(devices.spare(), Some(0));
        assert!(matches!(devices.lend(Kind::Audio), Err(Error::Worker { .. })));
        drop(card);
        assert_eq!(devices.spare(), Some(1));
        assert_ne!(devices.lend(Kind::Video).unwrap().files, video.files);
    }
}
