//! Tar archives: ustar, and the extensions of POSIX (pax) and GNU.

use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use tar::{Archive, Entry, EntryType};

use super::super::budget::Fault;
use super::super::tree::{PLAIN_DIRECTORY, PLAIN_FILE, Tree};
use super::allowance::{Allowance, Limited};

/// What may stand between the content of one entry and that of the next: their headers, long names and attributes, which are
/// held in memory.
const HEADERS: u64 = 1 << 20;

pub(super) fn unpack(stream: impl Read, tree: &Tree) -> Result<(), Fault> {
    let allowance = Allowance::default();
    let mut archive = Archive::new(Limited::new(stream, &allowance));
    let mut entries = archive.entries()?;
    loop {
        allowance.grant(HEADERS);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry?;
        allowance.lift();
        put(&mut entry, tree)?;
    }
    // Only at its end does a compressed stream say whether it was whole.
    allowance.lift();
    drain(archive.into_inner(), tree)
}

fn put<R: Read>(entry: &mut Entry<'_, R>, tree: &Tree) -> Result<(), Fault> {
    let name = entry.path_bytes().into_owned();
    let mode = entry.header().mode().ok();
    match entry.header().entry_type() {
        EntryType::Directory => tree.directory(&name, mode.unwrap_or(PLAIN_DIRECTORY)),
        // Before POSIX, a directory was a file whose name ends like this.
        EntryType::Regular if name.ends_with(b"/") => tree.directory(&name, mode.unwrap_or(PLAIN_DIRECTORY)),
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let mut file = tree.file(&name, mode.unwrap_or(PLAIN_FILE))?;
            io::copy(entry, &mut file)?;
            match entry.header().mtime().ok().and_then(time) {
                Some(time) => file.set_modified(time),
                None => Ok(()),
            }
        }
        EntryType::Symlink => tree.symlink(&name, &target(entry)),
        EntryType::Link => tree.hard_link(&name, &target(entry)),
        EntryType::Char | EntryType::Block => Err(Tree::refuse(&name, "is a device")),
        EntryType::Fifo => Err(Tree::refuse(&name, "is a pipe")),
        // They say something of the archive as a whole: attributes, and its label.
        EntryType::XGlobalHeader => Ok(()),
        other if other.as_byte() == b'V' => Ok(()),
        other => Err(Tree::refuse(&name, &format!("is of the unknown type {:?}", char::from(other.as_byte())))),
    }
}

fn target<R: Read>(entry: &Entry<'_, R>) -> Vec<u8> {
    entry.link_name_bytes().unwrap_or_default().into_owned()
}

/// Times that no file system keeps are not kept.
fn time(seconds: u64) -> Option<SystemTime> {
    const YEAR_2400: u64 = 13_569_465_600;
    (seconds < YEAR_2400).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

fn drain(mut stream: impl Read, tree: &Tree) -> Result<(), Fault> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read => tree.take_bytes(read as u64)?,
        }
    }
}
