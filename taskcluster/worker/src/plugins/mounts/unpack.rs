//! From what was fetched to files. All of it blocks.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use super::budget::{Budget, Fault};
use super::decode::decoder;
use super::format::{ArchiveFormat, Compression, Layout};
use super::tree::{NewFile, Tree};

mod allowance;
#[cfg(feature = "archives")]
mod rar;
#[cfg(feature = "archives")]
mod seven_z;
mod tar;
#[cfg(feature = "archives")]
mod zip;

/// A file that was fetched. It can be read as long as the run goes on, however long a decoder may read without giving anything.
#[derive(Debug)]
pub(super) struct Stored {
    file: File,
    budget: Arc<Budget>,
}

impl Stored {
    pub(super) fn open(path: &Path, budget: &Arc<Budget>) -> io::Result<BufReader<Self>> {
        Ok(Self { file: File::open(path)?, budget: budget.clone() }.buffered())
    }

    fn buffered(self) -> BufReader<Self> {
        BufReader::with_capacity(64 << 10, self)
    }
}

impl Read for Stored {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.budget.go_on()?;
        self.file.read(buffer)
    }
}

impl Seek for Stored {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Undo the compression of a file.
pub(super) fn expand(
    stored: BufReader<Stored>,
    compression: Compression,
    to: File,
    budget: &Arc<Budget>,
) -> Result<(), Fault> {
    let mut content = decoder(compression, stored)?;
    io::copy(&mut content, &mut NewFile::over(to, budget.clone()))?;
    Ok(())
}

/// Unpack an archive into the empty directory `into`.
pub(super) fn unpack(
    stored: BufReader<Stored>,
    format: ArchiveFormat,
    into: &Path,
    budget: &Arc<Budget>,
) -> Result<(), Fault> {
    let tree = Tree::at(into, budget.clone())?;
    match format.layout() {
        Layout::Tar(None) => tar::unpack(stored, &tree),
        Layout::Tar(Some(compression)) => tar::unpack(decoder(compression, stored)?, &tree),
        #[cfg(feature = "archives")]
        Layout::Zip => zip::unpack(stored, &tree),
        #[cfg(feature = "archives")]
        Layout::SevenZ => seven_z::unpack(stored, &tree),
        #[cfg(feature = "archives")]
        Layout::Rar => rar::unpack(stored, &tree),
        #[cfg(not(feature = "archives"))]
        Layout::Zip | Layout::SevenZ | Layout::Rar => {
            Err(Fault::Refused(super::decode::not_built_in(&format.to_string())))
        }
    }
}

/// The longest target of a symbolic link that the system takes, in bytes. Formats that keep targets as content of files could
/// have longer ones.
#[cfg(feature = "archives")]
const LONGEST_TARGET: u64 = 4096;

/// The kind of file that a mode of Unix says.
#[cfg(feature = "archives")]
fn kind_of(mode: u32) -> rustix::fs::FileType {
    rustix::fs::FileType::from_raw_mode(mode)
}

#[cfg(test)]
mod tests;
