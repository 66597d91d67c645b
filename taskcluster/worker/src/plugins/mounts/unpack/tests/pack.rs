//! Makes the archives.

use std::io::Write;

use ::tar::{Builder, EntryType, Header};

use super::*;

/// Text that compresses, but not to nothing, and is longer than any buffer.
pub(super) fn text() -> String {
    (0..30_000).map(|number| format!("{:x} ", number * 2_654_435_761_u64 % 1_000_003)).collect()
}

/// One entry of a tar archive, whose names are written as they are, however bad.
pub(super) fn entry(kind: EntryType, name: &[u8], mode: u32, target: &[u8], content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name);
    header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target);
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    header.set_mtime(1_000_000_000);
    header.set_cksum();
    let mut builder = Builder::new(Vec::new());
    builder.append(&header, content).unwrap();
    let mut whole = builder.into_inner().unwrap();
    // Without the end of the archive, so that entries can be put together.
    whole.truncate(whole.len() - 1024);
    whole
}

pub(super) fn tar(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut whole = entries.concat();
    whole.extend([0; 1024]);
    whole
}

pub(super) fn file(name: &str, content: &str) -> Vec<u8> {
    entry(EntryType::Regular, name.as_bytes(), 0o640, b"", content.as_bytes())
}

pub(super) fn symlink(name: &str, target: &str) -> Vec<u8> {
    entry(EntryType::Symlink, name.as_bytes(), 0o777, target.as_bytes(), b"")
}

pub(super) fn hard_link(name: &str, target: &str) -> Vec<u8> {
    entry(EntryType::Link, name.as_bytes(), 0o644, target.as_bytes(), b"")
}

/// The archive that each format has in its way.
pub(super) fn sample_tar() -> Vec<u8> {
    tar(&[
        entry(EntryType::Directory, b"bin/", 0o755, b"", b""),
        entry(EntryType::Regular, b"bin/run", 0o755, b"", text().as_bytes()),
        entry(EntryType::Regular, b"deep/er/note", 0o644, b"", b"hello"),
        entry(EntryType::Symlink, b"bin/link", 0o777, b"../deep/er/note", b""),
    ])
}

pub(super) fn compress(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    match compression {
        Compression::Gz => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zz => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        #[cfg(feature = "archives")]
        other => archives::compress(other, bytes),
        #[cfg(not(feature = "archives"))]
        other => panic!("{other} is not built in"),
    }
}

#[cfg(feature = "archives")]
pub(super) use archives::{rar, sample, seven_z, zip};

#[cfg(feature = "archives")]
mod archives {
    use std::io::{Cursor, Write};

    use ::zip::ZipWriter;
    use ::zip::write::SimpleFileOptions;
    use lzma_rust2::{LzipOptions, LzipWriter, XzOptions, XzWriter};
    use sevenz_rust2::{ArchiveEntry, ArchiveWriter};

    use super::Compression;

    pub(super) fn compress(compression: Compression, bytes: &[u8]) -> Vec<u8> {
        match compression {
            Compression::Gz | Compression::Zz => unreachable!("done already"),
            Compression::Br => {
                let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 3, 20);
                encoder.write_all(bytes).unwrap();
                encoder.into_inner()
            }
            Compression::Bz2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Lz => {
                let mut encoder = LzipWriter::new(Vec::new(), LzipOptions::with_preset(1));
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Mz => {
                let mut encoder = minlz::minlz::Writer::new(Vec::new());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Sz => {
                let mut encoder = snap::write::FrameEncoder::new(Vec::new());
                encoder.write_all(bytes).unwrap();
                encoder.into_inner().unwrap()
            }
            Compression::Xz => {
                let mut encoder = XzWriter::new(Vec::new(), XzOptions::with_preset(1)).unwrap();
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Zst => ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest),
        }
    }

    /// Of `(name, mode, content)`, where the mode may say that it is a link and the content where to.
    pub(in super::super) fn zip(entries: &[(&str, u32, &str)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, mode, content) in entries {
            let options = SimpleFileOptions::default().unix_permissions(*mode);
            match mode & 0o170_000 {
                0o120_000 => writer.add_symlink(*name, *content, options).unwrap(),
                0o040_000 => writer.add_directory(*name, options).unwrap(),
                _ => {
                    writer.start_file(*name, options).unwrap();
                    writer.write_all(content.as_bytes()).unwrap();
                }
            }
        }
        writer.finish().unwrap().into_inner()
    }

    pub(in super::super) fn seven_z(entries: &[(&str, u32, &str)]) -> Vec<u8> {
        let mut writer = ArchiveWriter::new(Cursor::new(Vec::new())).unwrap();
        for (name, mode, content) in entries {
            let is_directory = mode & 0o170_000 == 0o040_000;
            let mut entry = if is_directory { ArchiveEntry::new_directory(name) } else { ArchiveEntry::new_file(name) };
            entry.has_windows_attributes = true;
            entry.windows_attributes = mode << 16 | 0x8000;
            writer.push_archive_entry(entry, (!is_directory).then_some(content.as_bytes())).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    pub(in super::super) fn rar(version: rars::ArchiveVersion, entries: &[(&str, u32, &str)]) -> Vec<u8> {
        let mut builder = rars::Builder::new(version);
        for (name, mode, content) in entries {
            let (name, mode, bytes) = (name.as_bytes().to_vec(), Some(*mode), content.as_bytes().to_vec());
            match mode.unwrap() & 0o170_000 {
                0o120_000 => builder.add_unix_symlink(name, bytes, false, None, mode).unwrap(),
                0o040_000 => builder.add_directory(name, None, mode).unwrap(),
                _ => builder.add_bytes(name, bytes, None, mode).unwrap(),
            }
        }
        builder.to_bytes().unwrap()
    }

    /// The sample that the tar archives are, too.
    pub(in super::super) fn sample(text_of_run: &str) -> [(&'static str, u32, &str); 4] {
        [
            ("bin", 0o040_755, ""),
            ("bin/run", 0o100_755, text_of_run),
            ("deep/er/note", 0o100_644, "hello"),
            ("bin/link", 0o120_777, "../deep/er/note"),
        ]
    }
}
