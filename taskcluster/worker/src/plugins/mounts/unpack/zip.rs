//! Zip archives.

use std::io::{self, Read, Seek};

use rustix::fs::FileType;
use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

use super::super::budget::Fault;
use super::super::tree::{PLAIN_DIRECTORY, PLAIN_FILE, Tree};
use super::allowance::{Allowance, Limited};
use super::{LONGEST_TARGET, kind_of};

/// What the directory of an archive may take, in bytes: a million entries and more. It is held in memory.
const DIRECTORY: u64 = 128 << 20;

pub(super) fn unpack(stored: impl Read + Seek, tree: &Tree) -> Result<(), Fault> {
    let allowance = Allowance::default();
    allowance.grant(DIRECTORY);
    let mut archive = ZipArchive::new(Limited::new(stored, &allowance)).map_err(fault)?;
    allowance.lift();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(fault)?;
        put(&mut entry, tree)?;
    }
    Ok(())
}

fn put<R: Read>(entry: &mut ZipFile<'_, R>, tree: &Tree) -> Result<(), Fault> {
    let name = entry.name().map_err(fault)?.into_owned().into_bytes();
    // Not there where the archive was made by a system that has none.
    let mode = entry.unix_mode().filter(|mode| *mode != 0);
    if entry.is_dir() {
        return tree.directory(&name, mode.unwrap_or(PLAIN_DIRECTORY));
    }
    match mode.map_or(FileType::RegularFile, kind_of) {
        FileType::Symlink => {
            let mut target = Vec::new();
            entry.take(LONGEST_TARGET).read_to_end(&mut target)?;
            tree.symlink(&name, &target)
        }
        // Not every program says so of a file.
        FileType::RegularFile | FileType::Unknown => {
            io::copy(entry, &mut tree.file(&name, mode.unwrap_or(PLAIN_FILE))?)?;
            Ok(())
        }
        other => Err(Tree::refuse(&name, &format!("is no file, but a {other:?}"))),
    }
}

fn fault(error: ZipError) -> Fault {
    match error {
        ZipError::Io(error) => error.into(),
        other => Fault::Refused(other.to_string()),
    }
}
