//! 7z archives.

use std::io::{self, Read, Seek};

use rustix::fs::FileType;
use sevenz_rust2::{ArchiveEntry, ArchiveReader, Error, Password};

use super::super::budget::Fault;
use super::super::tree::{PLAIN_DIRECTORY, PLAIN_FILE, Tree};
use super::{LONGEST_TARGET, kind_of};
use crate::decode::MEMORY;

pub(super) fn unpack(stored: impl Read + Seek, tree: &Tree) -> Result<(), Fault> {
    let mut archive =
        ArchiveReader::new_with_memory_limit(stored, Password::empty(), (MEMORY >> 10) as usize).map_err(fault)?;
    archive.set_thread_count(1);
    let put = |entry: &ArchiveEntry, content: &mut dyn Read| {
        put(entry, content, tree).map(|()| true).map_err(|fault| Error::from(io::Error::from(fault)))
    };
    archive.for_each_entries(put).map_err(fault)
}

fn put(entry: &ArchiveEntry, content: &mut dyn Read, tree: &Tree) -> Result<(), Fault> {
    let name = entry.name().as_bytes();
    let mode = unix_mode(entry);
    // Says of an update what it takes away.
    if entry.is_anti_item() {
        return Ok(());
    }
    if entry.is_directory() {
        return tree.directory(name, mode.unwrap_or(PLAIN_DIRECTORY));
    }
    match mode.map_or(FileType::RegularFile, kind_of) {
        FileType::Symlink => {
            let mut target = Vec::new();
            content.take(LONGEST_TARGET).read_to_end(&mut target)?;
            tree.symlink(name, &target)
        }
        FileType::RegularFile | FileType::Unknown => {
            io::copy(content, &mut tree.file(name, mode.unwrap_or(PLAIN_FILE))?)?;
            Ok(())
        }
        other => Err(Tree::refuse(name, &format!("is no file, but a {other:?}"))),
    }
}

/// Where an archive was made on Unix, the upper half of the attributes is the mode, which another bit of them says.
fn unix_mode(entry: &ArchiveEntry) -> Option<u32> {
    const IS_UNIX: u32 = 0x8000;
    let attributes = entry.windows_attributes();
    (attributes & IS_UNIX != 0).then_some(attributes >> 16)
}

fn fault(error: Error) -> Fault {
    match error {
        Error::Io(error, _) | Error::FileOpen(error, _) | Error::MaybeBadPassword(error) => error.into(),
        Error::PasswordRequired => Fault::refused("it is encrypted"),
        Error::UnsupportedCompressionMethod(method) => {
            Fault::Refused(format!("its compression {method} is unknown here"))
        }
        other => Fault::Refused(format!("it is damaged: {other}")),
    }
}
