//! A directory that is filled from an archive which nobody vouches for.
//!
//! An entry is reached from the directory itself, part by part, and no step follows a link. So whatever an archive holds,
//! nothing is made, opened or changed outside. What can only mean harm, or cannot be kept, is refused with the name of the entry:
//! - names that are absolute, lead through `..` or through anything but directories, are not UTF-8, contain NUL, or are too deep;
//! - symbolic links that lead out of the directory. It may begin with as many `..` as its own place is deep; after another part
//!   none may follow, since that part may itself be a link;
//! - hard links to anything but files of the directory;
//! - devices, pipes and sockets.
//!
//! Permissions are kept, apart from set-user-id and its like, owners are not. An entry that is there already is replaced, as `tar`
//! does it, unless it is a directory.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::budget::{Budget, Fault};

/// The directory.
#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    budget: Arc<Budget>,
}

/// Permissions of what an archive says nothing about.
pub(super) const PLAIN_FILE: u32 = 0o644;
pub(super) const PLAIN_DIRECTORY: u32 = 0o755;

impl Tree {
    /// Fill the directory `root`, which nobody else uses.
    pub(super) fn at(root: &Path, budget: Arc<Budget>) -> Result<Self, Fault> {
        let root = rustix::fs::open(root, DIRECTORY, Mode::empty()).map_err(disk)?;
        Ok(Self { root, budget })
    }

    /// Before so many bytes are read that are not written.
    pub(super) fn take_bytes(&self, more: u64) -> Result<(), Fault> {
        self.budget.take_bytes(more, &self.root)
    }

    /// A directory.
    pub(super) fn directory(&self, name: &[u8], mode: u32) -> Result<(), Fault> {
        let place = Place::parse(name)?;
        let mut dir = self.parent(&place)?;
        if let Some(last) = place.last {
            dir = self.enter(&dir, last, place.name)?;
            // The worker has yet to write into it.
            rustix::fs::fchmod(&dir, permissions(mode | 0o700)).map_err(disk)?;
        }
        Ok(())
    }

    /// A file, which is yet to be written.
    pub(super) fn file(&self, name: &[u8], mode: u32) -> Result<NewFile, Fault> {
        let place = Place::parse(name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = self.make(&place, |dir, last| rustix::fs::openat(dir, last, flags, Mode::RUSR | Mode::WUSR))?;
        rustix::fs::fchmod(&file, permissions(mode)).map_err(disk)?;
        Ok(NewFile { file: file.into(), budget: self.budget.clone() })
    }

    /// A symbolic link.
    pub(super) fn symlink(&self, name: &[u8], target: &[u8]) -> Result<(), Fault> {
        let place = Place::parse(name)?;
        if !stays_inside(target, place.parents.len()) {
            let target = String::from_utf8_lossy(target);
            return Err(refuse(
                name,
                &format!("is a symbolic link to {target:?}, which may lead out of the directory"),
            ));
        }
        self.make(&place, |dir, last| rustix::fs::symlinkat(target, dir, last))
    }

    /// Another name for a file that is there.
    pub(super) fn hard_link(&self, name: &[u8], target: &[u8]) -> Result<(), Fault> {
        let place = Place::parse(name)?;
        let no_file =
            || refuse(name, &format!("is a hard link to {:?}, which is no file", String::from_utf8_lossy(target)));
        let other = Place::parse(target).map_err(|_| no_file())?;
        if (&place.parents, place.last) == (&other.parents, other.last) {
            return Err(no_file());
        }
        let (from, last) = (self.existing_parent(&other).ok_or_else(no_file)?, other.last.ok_or_else(no_file)?);
        // A link to a link would be that link at another depth, where it may lead elsewhere.
        let found = rustix::fs::statat(&from, last, AtFlags::SYMLINK_NOFOLLOW).map_err(|_| no_file())?;
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Err(no_file());
        }
        self.make(&place, |dir, name| rustix::fs::linkat(&from, last, dir, name, AtFlags::empty()))
    }

    /// Something else, which is not made.
    pub(super) fn refuse(name: &[u8], what: &str) -> Fault {
        refuse(name, what)
    }

    /// Make something of that name, in place of what may be there.
    fn make<T>(&self, place: &Place<'_>, make: impl Fn(&OwnedFd, &str) -> Result<T, Errno>) -> Result<T, Fault> {
        let dir = self.parent(place)?;
        let last = place.last.ok_or_else(|| refuse(place.name.as_bytes(), "is the directory itself"))?;
        self.budget.take_entry()?;
        match make(&dir, last) {
            Err(Errno::EXIST) => {
                rustix::fs::unlinkat(&dir, last, AtFlags::empty())
                    .map_err(|errno| entry(errno, place.name, "is a directory already"))?;
                make(&dir, last)
            }
            end => end,
        }
        .map_err(|errno| entry(errno, place.name, "cannot be made"))
    }

    /// The directory that a place is in, made where it is not there.
    fn parent(&self, place: &Place<'_>) -> Result<OwnedFd, Fault> {
        let mut dir = self.root.try_clone().map_err(Fault::Disk)?;
        for part in &place.parents {
            dir = self.enter(&dir, part, place.name)?;
        }
        Ok(dir)
    }

    /// The directory that a place is in, if it is there.
    fn existing_parent(&self, place: &Place<'_>) -> Option<OwnedFd> {
        let mut dir = self.root.try_clone().ok()?;
        for part in &place.parents {
            dir = rustix::fs::openat(&dir, *part, DIRECTORY, Mode::empty()).ok()?;
        }
        Some(dir)
    }

    fn enter(&self, dir: &OwnedFd, part: &str, name: &str) -> Result<OwnedFd, Fault> {
        let open = || rustix::fs::openat(dir, part, DIRECTORY, Mode::empty());
        let opened = match open() {
            Err(Errno::NOENT) => {
                self.budget.take_entry()?;
                rustix::fs::mkdirat(dir, part, permissions(PLAIN_DIRECTORY)).map_err(|errno| entry(errno, name, ""))?;
                open()
            }
            end => end,
        };
        opened.map_err(|errno| entry(errno, name, &format!("leads through {part:?}, which is no directory")))
    }
}

/// Directories in each other. Who removes a tree holds one open for each of them.
const DEEPEST: usize = 256;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o777)
}

fn disk(errno: Errno) -> Fault {
    Fault::Disk(errno.into())
}

/// What the system says of an entry: that of its name and kind is the archive's fault.
fn entry(errno: Errno, name: &str, what: &str) -> Fault {
    match errno {
        Errno::NAMETOOLONG => refuse(name.as_bytes(), "has too long a name"),
        Errno::MLINK => refuse(name.as_bytes(), "has too many links"),
        Errno::NOTDIR | Errno::LOOP | Errno::ISDIR => refuse(name.as_bytes(), what),
        errno => disk(errno),
    }
}

fn refuse(name: &[u8], what: &str) -> Fault {
    /// Longer ones would bury the reason.
    const SHOWN: usize = 300;
    let name = String::from_utf8_lossy(&name[..name.len().min(SHOWN)]);
    Fault::Refused(format!("its entry {name:?} {what}"))
}

/// Where an entry is: directories, one in the other, and a name in the last of them, none of which is `..`.
#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    name: &'a str,
    parents: Vec<&'a str>,
    /// Not there for the directory itself.
    last: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        let name = std::str::from_utf8(bytes).map_err(|_| refuse(bytes, "has a name that is not UTF-8"))?;
        if name.contains('\0') {
            return Err(refuse(bytes, "has a name with the character NUL"));
        }
        if name.starts_with('/') {
            return Err(refuse(bytes, "is not below the directory"));
        }
        let mut parents: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parents.contains(&"..") {
            return Err(refuse(bytes, "is not below the directory"));
        }
        if parents.len() > DEEPEST {
            return Err(refuse(bytes, "is too deep"));
        }
        let last = parents.pop();
        Ok(Self { name, parents, last })
    }
}

/// Whether a link that is so many directories deep leads to a place below the outermost, if every other link does.
fn stays_inside(target: &[u8], depth: usize) -> bool {
    if target.is_empty() || target.starts_with(b"/") || target.contains(&0) {
        return false;
    }
    let parts: Vec<&[u8]> = target.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    let ups = parts.iter().take_while(|part| **part == b"..").count();
    ups <= depth && !parts[ups..].contains(&&b".."[..])
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct NewFile {
    file: File,
    budget: Arc<Budget>,
}

impl NewFile {
    /// A file of the worker's own, outside of any directory that an archive fills.
    pub(super) fn over(file: File, budget: Arc<Budget>) -> Self {
        Self { file, budget }
    }

    /// Say when it was last changed.
    pub(super) fn set_modified(&self, time: SystemTime) -> Result<(), Fault> {
        self.file.set_modified(time).map_err(Fault::Disk)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.budget.take_bytes(bytes.len() as u64, self.file.as_fd())?;
        self.file.write_all(bytes).map_err(Fault::Disk)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
