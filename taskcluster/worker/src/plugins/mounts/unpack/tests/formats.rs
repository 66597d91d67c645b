//! Each format is unpacked.

use super::pack::{compress, file, hard_link, sample_tar, tar, text};
use super::*;

const COMPRESSIONS: [(Compression, ArchiveFormat); 10] = [
    (Compression::Br, ArchiveFormat::TarBr),
    (Compression::Bz2, ArchiveFormat::TarBz2),
    (Compression::Gz, ArchiveFormat::TarGz),
    (Compression::Lz, ArchiveFormat::TarLz),
    (Compression::Lz4, ArchiveFormat::TarLz4),
    (Compression::Mz, ArchiveFormat::TarMz),
    (Compression::Sz, ArchiveFormat::TarSz),
    (Compression::Xz, ArchiveFormat::TarXz),
    (Compression::Zst, ArchiveFormat::TarZst),
    (Compression::Zz, ArchiveFormat::TarZz),
];

fn built_in() -> impl Iterator<Item = (Compression, ArchiveFormat)> {
    COMPRESSIONS.into_iter().filter(|(compression, _)| compression.is_built_in())
}

fn expected() -> BTreeMap<String, String> {
    [
        ("bin", "directory".to_owned()),
        ("bin/link", "-> ../deep/er/note".to_owned()),
        ("bin/run", format!("755 {}", text())),
        ("deep", "directory".to_owned()),
        ("deep/er", "directory".to_owned()),
        ("deep/er/note", "644 hello".to_owned()),
    ]
    .map(|(name, what)| (name.to_owned(), what))
    .into()
}

fn expand_to(bench: &Bench, compression: Compression, packed: &[u8]) -> Result<Vec<u8>, Fault> {
    let to = tempfile::NamedTempFile::new().unwrap();
    let budget = bench.budget();
    expand(stored(packed, &budget), compression, to.reopen().unwrap(), &budget)?;
    Ok(fs::read(to.path()).unwrap())
}

#[test]
fn an_archive_becomes_files_directories_and_links() {
    let bench = Bench::new();
    bench.unpack(ArchiveFormat::Tar, &sample_tar()).unwrap();
    assert_eq!(tree(&bench.place()), expected());
    let changed = fs::metadata(bench.place().join("bin/run")).unwrap().modified().unwrap();
    assert_eq!(changed.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(), 1_000_000_000);
}

#[test]
fn a_compressed_archive_is_the_same() {
    for (compression, format) in built_in() {
        let bench = Bench::new();
        bench.unpack(format, &compress(compression, &sample_tar())).unwrap_or_else(|fault| panic!("{format}: {fault}"));
        assert_eq!(tree(&bench.place()), expected(), "{format}");
    }
}

#[test]
fn a_compressed_file_is_expanded() {
    let bench = Bench::new();
    for (compression, _) in built_in() {
        let expanded = expand_to(&bench, compression, &compress(compression, text().as_bytes())).unwrap();
        assert!(expanded == text().as_bytes(), "{compression}");
        assert_eq!(expand_to(&bench, compression, &compress(compression, b"x")).unwrap(), b"x", "{compression}");
    }
}

#[test]
fn streams_one_after_the_other_are_one() {
    let bench = Bench::new();
    // Of the others there is one for each file.
    let several = [Compression::Bz2, Compression::Gz, Compression::Lz, Compression::Lz4, Compression::Mz];
    for compression in several.into_iter().chain([Compression::Xz, Compression::Zst]) {
        if compression.is_built_in() {
            let stored = [compress(compression, b"first "), compress(compression, b"second")].concat();
            assert_eq!(expand_to(&bench, compression, &stored).unwrap(), b"first second", "{compression}");
        }
    }
}

#[test]
fn what_is_cut_or_something_else_is_the_tasks_fault() {
    for (compression, format) in built_in() {
        let bench = Bench::new();
        let whole = compress(compression, &sample_tar());
        bench.refusal(format, &whole[..whole.len() / 2]);
        bench.refusal(format, b"<html>This is not what you are looking for.</html>");
    }
}

#[test]
fn a_checksum_at_the_very_end_counts() {
    let bench = Bench::new();
    let mut whole = compress(Compression::Gz, &sample_tar());
    let last = whole.len() - 5;
    whole[last] ^= 1;
    assert!(bench.refusal(ArchiveFormat::TarGz, &whole).contains("damaged"));
}

#[test]
fn of_entries_with_one_name_the_last_counts() {
    let bench = Bench::new();
    let entries =
        [file("a", "first"), hard_link("b", "a"), file("a", "second"), hard_link("c", "./b"), file("./c", "x")];
    bench.unpack(ArchiveFormat::Tar, &tar(&entries)).unwrap();
    let found = tree(&bench.place());
    assert_eq!([&found["a"], &found["b"], &found["c"]], ["640 second", "640 first", "640 x"]);
}

#[cfg(feature = "archives")]
#[test]
fn zip_and_7z_are_unpacked() {
    use super::pack::{sample, seven_z, zip};
    let text = text();
    for (format, archive) in
        [(ArchiveFormat::Zip, zip(&sample(&text))), (ArchiveFormat::SevenZ, seven_z(&sample(&text)))]
    {
        let bench = Bench::new();
        bench.unpack(format, &archive).unwrap_or_else(|fault| panic!("{format}: {fault}"));
        assert_eq!(tree(&bench.place()), expected(), "{format}");
        bench.refusal(format, &archive[..archive.len() / 2]);
        bench.refusal(format, b"<html>This is not what you are looking for.</html>");
    }
}

#[cfg(feature = "archives")]
#[test]
fn rar_of_any_age_is_unpacked() {
    use super::pack::{rar, sample};
    use rars::ArchiveVersion;
    // Its compressor takes long.
    let text = &text()[..10_000];
    let bench = Bench::new();
    let archive = rar(ArchiveVersion::Rar50, &sample(text));
    bench.unpack(ArchiveFormat::Rar, &archive).unwrap();
    let expected = BTreeMap::from_iter(expected().into_iter().chain([("bin/run".to_owned(), format!("755 {text}"))]));
    assert_eq!(tree(&bench.place()), expected);
    bench.refusal(ArchiveFormat::Rar, &archive[..archive.len() / 2]);
    bench.refusal(ArchiveFormat::Rar, b"<html>This is not what you are looking for.</html>");
    for version in [ArchiveVersion::Rar20, ArchiveVersion::Rar29, ArchiveVersion::Rar40, ArchiveVersion::Rar70] {
        let bench = Bench::new();
        bench.unpack(ArchiveFormat::Rar, &rar(version, &sample(text)[..3])).unwrap();
        let found = tree(&bench.place());
        assert_eq!((&found["bin/run"], &found["deep/er/note"]), (&format!("755 {text}"), &"644 hello".to_owned()));
    }
}

#[cfg(not(feature = "archives"))]
#[test]
fn a_format_that_is_not_built_in_is_refused_by_name() {
    let bench = Bench::new();
    for format in [ArchiveFormat::Zip, ArchiveFormat::SevenZ, ArchiveFormat::Rar, ArchiveFormat::TarXz] {
        let why = bench.refusal(format, b"anything");
        assert!(!format.is_built_in() && why.contains("archives"), "{why}");
    }
}
