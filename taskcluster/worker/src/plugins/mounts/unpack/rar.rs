//! RAR archives of one volume, of any age.

use std::io::{self, Read, Seek, Write};
use std::sync::{Arc, Mutex};

use rars::{
    ArchiveFamily, ArchiveMember, ArchiveMemberDetail, ArchiveReadOptions, ArchiveReader, AttrSource,
    ExtractionDecision,
};
use rustix::fs::FileType;

use super::super::budget::Fault;
use super::super::tree::{NewFile, PLAIN_DIRECTORY, PLAIN_FILE, Tree};
use super::kind_of;
use crate::decode::MEMORY;

/// What the descriptions of all entries together may take, in bytes. They are held in memory.
const HEADERS: u64 = 64 << 20;

pub(super) fn unpack(stored: impl Read + Seek + Send + 'static, tree: &Tree) -> Result<(), Fault> {
    let options = ArchiveReadOptions::new()
        .with_max_header_bytes(HEADERS)
        .with_max_reader_workspace_bytes(MEMORY)
        .with_rar50_dictionary_size_limit(MEMORY);
    let note = Note::default();
    let extracted = ArchiveReader::read_reader_with_options(stored, options).and_then(|archive| {
        archive.extract_with_control(options, |member| {
            put(member, tree, &note).map_err(|fault| note.keep(fault)).map_err(rars::Error::from)
        })
    });
    match (note.take(), extracted) {
        (Some(fault), _) => Err(fault),
        (None, Ok(_)) => Ok(()),
        (None, Err(error)) => Err(Fault::Refused(format!("it is damaged: {error}"))),
    }
}

fn put(member: &ArchiveMember, tree: &Tree, note: &Note) -> Result<ExtractionDecision, Fault> {
    let name = name(member)?;
    let mode = (member.meta.attr_source() == AttrSource::Unix).then_some(member.meta.file_attr as u32);
    if let ArchiveMemberDetail::Rar50Plus { redirection: Some(link), .. } = &member.detail {
        match link.redirection_type {
            1 => tree.symlink(&name, &link.target_name)?,
            4 => tree.hard_link(&name, &link.target_name)?,
            other => return Err(Tree::refuse(&name, &format!("is a link of the kind {other}, which is unknown here"))),
        }
        return Ok(ExtractionDecision::Skip);
    }
    if member.meta.is_directory {
        tree.directory(&name, mode.unwrap_or(PLAIN_DIRECTORY))?;
        return Ok(ExtractionDecision::Skip);
    }
    match mode.map_or(FileType::RegularFile, kind_of) {
        FileType::RegularFile | FileType::Unknown => {
            let file = tree.file(&name, mode.unwrap_or(PLAIN_FILE))?;
            Ok(ExtractionDecision::Extract(Box::new(Noting { file, note: note.clone() })))
        }
        other => Err(Tree::refuse(&name, &format!("is no file, but a {other:?}"))),
    }
}

/// Its parts are separated as here; older archives from elsewhere do that the other way.
fn name(member: &ArchiveMember) -> Result<Vec<u8>, Fault> {
    let mut name = member.decoded_name(None).map_err(|error| Fault::Refused(error.to_string()))?.into_owned();
    if member.meta.family != ArchiveFamily::Rar50Plus && member.meta.attr_source() != AttrSource::Unix {
        name.iter_mut().filter(|byte| **byte == b'\\').for_each(|byte| *byte = b'/');
    }
    Ok(name)
}

/// The fault that ended the extraction: the library's own errors keep no more of it than its text.
#[derive(Clone, Default)]
struct Note(Arc<Mutex<Option<Fault>>>);

impl Note {
    fn keep(&self, fault: Fault) -> io::Error {
        let error = io::Error::other(fault.to_string());
        self.0.lock().expect("nothing panics holding it").get_or_insert(fault);
        error
    }

    fn take(&self) -> Option<Fault> {
        self.0.lock().expect("nothing panics holding it").take()
    }
}

struct Noting {
    file: NewFile,
    note: Note,
}

impl Write for Noting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(|error| self.note.keep(error.into()))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
