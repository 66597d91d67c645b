//! What an image takes once it is unpacked, measured while its archive passes: a small layer can become larger than any disk,
//! because it is compressed, or because it holds files that are mostly holes, which Docker writes out.
//!
//! Docker unpacks nothing before it has the whole archive, so that one that is too large is given up in time.

use std::io::{self, BufReader, Cursor, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use flate2::read::MultiGzDecoder;
use taskcluster_worker::decode::ZstdDecoder;
use taskcluster_worker::size;

/// How much an archive may become, and what it has become yet.
#[derive(Debug)]
pub(super) struct Bounds {
    /// Bytes, all together.
    most: u64,
    /// Where Docker keeps it, and how much of that disk is to be left free.
    disk: Option<(PathBuf, u64)>,
    taken: AtomicU64,
    broken: Mutex<Option<(io::ErrorKind, String)>>,
}

/// Bytes between two looks at the disk.
const STRIDE: u64 = 64 << 20;

impl Bounds {
    pub(super) fn new(most: u64, disk: Option<(PathBuf, u64)>) -> Arc<Self> {
        Arc::new(Self { most, disk, taken: AtomicU64::new(0), broken: Mutex::new(None) })
    }

    /// Before so many bytes more.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`]: they are too many. [`io::ErrorKind::StorageFull`]: the disk has no room for them.
    pub(super) fn take(&self, bytes: u64) -> io::Result<()> {
        self.check()?;
        let before =
            self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| Some(taken.saturating_add(bytes)));
        let before = before.unwrap_or_else(|taken| taken);
        let after = before.saturating_add(bytes);
        if after > self.most {
            let most = size(self.most);
            return self.fail(
                io::ErrorKind::InvalidData,
                format!("unpacked, it is larger than this worker takes, which is {most}"),
            );
        }
        if before / STRIDE != after / STRIDE { self.look_at_disk(after) } else { Ok(()) }
    }

    /// What has come so far is on the disk already, and is there once more when it is unpacked.
    fn look_at_disk(&self, taken: u64) -> io::Result<()> {
        let Some((path, reserve)) = &self.disk else { return Ok(()) };
        let Ok(disk) = rustix::fs::statvfs(path) else { return Ok(()) };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= reserve.saturating_add(taken) {
            return Ok(());
        }
        let (taken, free) = (size(taken), size(free));
        self.fail(
            io::ErrorKind::StorageFull,
            format!("unpacked, it is larger than {taken}, and Docker's disk has {free} free"),
        )
    }

    /// Whether a layer that is measured beside has gone too far.
    pub(super) fn check(&self) -> io::Result<()> {
        match &*self.broken.lock().expect("nothing panics holding it") {
            None => Ok(()),
            Some((kind, why)) => Err(io::Error::new(*kind, why.clone())),
        }
    }

    fn fail(&self, kind: io::ErrorKind, why: String) -> io::Result<()> {
        self.broken.lock().expect("nothing panics holding it").get_or_insert((kind, why));
        self.check()
    }
}

/// Reads something that may be a layer, and has it measured on a thread beside.
pub(super) struct Measured<R> {
    from: R,
    bounds: Arc<Bounds>,
    chunk: Vec<u8>,
    beside: Option<(SyncSender<Vec<u8>>, JoinHandle<()>)>,
}

/// Bytes that are passed on at once, and how often before somebody waits.
const CHUNK: usize = 128 * 1024;
const WAITING: usize = 4;

impl<R: Read> Measured<R> {
    pub(super) fn new(from: R, bounds: &Arc<Bounds>) -> Self {
        let (sender, receiver) = sync_channel(WAITING);
        let watched = bounds.clone();
        let thread = std::thread::spawn(move || measure(Chunks { receiver, rest: Cursor::default() }, &watched));
        Self { from, bounds: bounds.clone(), chunk: Vec::with_capacity(CHUNK), beside: Some((sender, thread)) }
    }

    fn pass_on(&mut self) {
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        if let Some((sender, _)) = &self.beside {
            // Who has seen enough says so in the bounds.
            let _ = sender.send(chunk);
        }
    }

    /// Wait until all is measured.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.pass_on();
        if let Some((sender, thread)) = self.beside.take() {
            drop(sender);
            thread.join().map_err(|_| io::Error::other("a layer cannot be measured"))?;
        }
        self.bounds.check()
    }
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bounds.check()?;
        let read = self.from.read(buffer)?;
        self.chunk.extend_from_slice(&buffer[..read]);
        if self.chunk.len() >= CHUNK {
            self.pass_on();
        }
        Ok(read)
    }
}

/// What the other thread passes on, until it ends.
struct Chunks {
    receiver: Receiver<Vec<u8>>,
    rest: Cursor<Vec<u8>>,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.rest.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            match self.receiver.recv() {
                Ok(chunk) => self.rest = Cursor::new(chunk),
                Err(_) => return Ok(0),
            }
        }
    }
}

/// Take from the bounds what a layer becomes beyond what it is. What is damaged ends there, for Docker as well.
fn measure(mut from: Chunks, bounds: &Bounds) {
    let mut head = [0; 6];
    let mut length = 0;
    while let Ok(read @ 1..) = from.read(&mut head[length..]) {
        length += read;
    }
    let whole = Cursor::new(head).take(length as u64).chain(from);
    match head[..length] {
        [0x1f, 0x8b, ..] => holes(Counted { from: MultiGzDecoder::new(whole), bounds }, bounds),
        // A frame, or one that is to be skipped.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            holes(Counted { from: ZstdDecoder::new(BufReader::new(whole)), bounds }, bounds);
        }
        [b'B', b'Z', b'h', ..] | [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            let why = "a layer is packed as bzip2 or xz, of which this worker does not know what becomes";
            let _ = bounds.fail(io::ErrorKind::InvalidData, why.to_owned());
        }
        _ => holes(whole, bounds),
    }
}

/// Counts what is unpacked.
struct Counted<'a, R> {
    from: R,
    bounds: &'a Bounds,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.bounds.take(read as u64)?;
        Ok(read)
    }
}

/// Count the holes of an archive's files, and read it to its end.
fn holes(from: impl Read, bounds: &Bounds) {
    let mut archive = tar::Archive::new(from);
    if let Ok(entries) = archive.entries() {
        for entry in entries {
            let Ok(mut entry) = entry else { break };
            let stored = entry.header().entry_size().unwrap_or(0);
            let becomes = entry.size().max(sparse_size(&mut entry));
            if bounds.take(becomes.saturating_sub(stored)).is_err() {
                return;
            }
        }
    }
    // What is no archive to us may be one to others.
    let _ = io::copy(&mut archive.into_inner(), &mut io::sink());
}

/// The size that the extended header of a file with holes states.
fn sparse_size(entry: &mut tar::Entry<'_, impl Read>) -> u64 {
    let Ok(Some(extensions)) = entry.pax_extensions() else { return 0 };
    let stated = extensions
        .flatten()
        .filter(|extension| matches!(extension.key_bytes(), b"GNU.sparse.realsize" | b"GNU.sparse.size" | b"size"));
    stated.filter_map(|extension| extension.value().ok()?.parse().ok()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn passes(layer: &[u8], most: u64) -> Result<(), String> {
        let bounds = Bounds::new(most, None);
        let mut measured = Measured::new(layer, &bounds);
        let copied = io::copy(&mut measured, &mut io::sink()).and_then(|_| measured.finish());
        copied.map_err(|error| error.to_string())
    }

    fn layer(bytes: usize) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes as u64);
        archive.append_data(&mut header, "file", io::repeat(0).take(bytes as u64)).unwrap();
        archive.into_inner().unwrap()
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn what_a_compressed_layer_becomes_counts() {
        let plain = layer(8 << 20);
        for packed in [gzip(&plain), zstd(&plain), [&b"\x50\x2a\x4d\x18\x00\x00\x00\x00"[..], &zstd(&plain)].concat()] {
            assert!(packed.len() < 1 << 20, "it is one: {}", packed.len());
            passes(&packed, 16 << 20).unwrap();
            assert!(passes(&packed, 4 << 20).unwrap_err().contains("larger than this worker takes"));
        }
        // Of what is not packed, whoever reads it counts the bytes.
        passes(&plain, 0).unwrap();
    }

    #[test]
    fn many_members_are_all_counted() {
        let member = gzip(&vec![0; 1 << 20]);
        assert!(passes(&member.repeat(8), 4 << 20).is_err());
    }

    #[test]
    fn holes_count() {
        let mut header = tar::Header::new_gnu();
        header.set_path("hole").unwrap();
        header.set_size(512);
        header.set_entry_type(tar::EntryType::GNUSparse);
        let gnu = header.as_gnu_mut().unwrap();
        let octal = |field: &mut [u8; 12], number: u64| field.copy_from_slice(format!("{number:011o}\0").as_bytes());
        octal(&mut gnu.realsize, 1 << 30);
        octal(&mut gnu.sparse[0].offset, (1 << 30) - 512);
        octal(&mut gnu.sparse[0].numbytes, 512);
        header.set_cksum();
        let old = [&header.as_bytes()[..], &[1; 512], &[0; 1024]].concat();
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_pax_extensions([("GNU.sparse.realsize", &b"1073741824"[..])]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        archive.append_data(&mut header, "hole", io::empty()).unwrap();
        let new = archive.into_inner().unwrap();
        for sparse in [old, new] {
            assert!(passes(&sparse, 1 << 29).is_err());
            assert!(passes(&gzip(&sparse), 1 << 29).is_err());
            passes(&sparse, 2 << 30).unwrap();
        }
    }

    #[test]
    fn what_cannot_be_measured_is_refused_and_what_is_damaged_is_left_to_docker() {
        assert!(passes(b"BZh91AY&SY", 1 << 20).unwrap_err().contains("bzip2 or xz"));
        for harmless in [&b"{\"a\": 1}"[..], b"", b"\x1f\x8b damaged", &gzip(b"no archive")[..20]] {
            passes(harmless, 1 << 20).unwrap();
        }
    }

    #[test]
    fn a_disk_that_is_too_small_is_noticed_before_it_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let bounds = Bounds::new(u64::MAX, Some((dir.path().to_owned(), u64::MAX)));
        bounds.take(STRIDE - 1).unwrap();
        assert_eq!(bounds.take(1).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(bounds.take(0).unwrap_err().kind(), io::ErrorKind::StorageFull, "it is said to everybody");
    }
}
