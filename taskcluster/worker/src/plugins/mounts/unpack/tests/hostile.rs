//! Archives that want to get out, or to fill the machine.

use ::tar::EntryType;

use super::pack::{compress, entry, file, hard_link, symlink, tar};
use super::*;

/// The reason why a tar archive is refused, which names the entry.
fn refusal(entries: &[Vec<u8>], name: &str) -> String {
    let why = Bench::new().refusal(ArchiveFormat::Tar, &tar(entries));
    assert!(why.contains(&format!("its entry {name:?} ")), "{name}: {why}");
    why
}

#[test]
fn names_do_not_lead_out() {
    for name in ["../beside", "a/../../beside", "a/../b", "/tmp/absolute", "..", "a/.."] {
        assert!(refusal(&[file(name, "harm")], name).contains("not below the directory"));
    }
}

#[test]
fn names_are_text() {
    let not_utf8 = entry(EntryType::Regular, b"\xff\xfe", 0o644, b"", b"");
    let why = Bench::new().refusal(ArchiveFormat::Tar, &tar(&[not_utf8]));
    assert!(why.contains("not UTF-8"), "{why}");
    let bench = Bench::new();
    bench.unpack(ArchiveFormat::Tar, &tar(&[file("größer", "x")])).unwrap();
    assert!(tree(&bench.place()).contains_key("größer"));
}

/// A file whose name, which may be of any length, stands in an extended header.
fn named(name: &[u8]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    builder.append_pax_extensions([("path", name)]).unwrap();
    let mut archive = builder.into_inner().unwrap();
    archive.truncate(archive.len() - 1024);
    tar(&[archive, file("plain", "")])
}

#[test]
fn a_name_with_nul_is_refused() {
    let why = Bench::new().refusal(ArchiveFormat::Tar, &named(b"a\0b"));
    assert!(why.contains("NUL"), "{why}");
}

#[test]
fn names_have_an_end() {
    let bench = Bench::new();
    bench.unpack(ArchiveFormat::Tar, &named("d/".repeat(200).as_bytes())).unwrap();
    let why = Bench::new().refusal(ArchiveFormat::Tar, &named("d/".repeat(20_000).as_bytes()));
    assert!(why.contains("too deep") && why.len() < 1000, "{why}");
    let why = Bench::new().refusal(ArchiveFormat::Tar, &named("x".repeat(300).as_bytes()));
    assert!(why.contains("too long a name"), "{why}");
}

#[test]
fn symbolic_links_do_not_lead_out() {
    for (name, target) in [
        ("link", "/etc/passwd"),
        ("link", ".."),
        ("link", "../beside"),
        ("a/link", "../../beside"),
        ("link", "a/../.."),
        ("link", "a/.."),
        ("link", ""),
    ] {
        let why = refusal(&[file("a/b", ""), symlink(name, target)], name);
        assert!(why.contains("symbolic link"), "{why}");
    }
    let bench = Bench::new();
    let inside =
        [symlink("a/up", ".."), symlink("a/b/far", "../../c"), symlink("self", "."), symlink("lost", "no/where")];
    bench.unpack(ArchiveFormat::Tar, &tar(&inside)).unwrap();
}

/// Each of the links is harmless, by the letter; together they are not.
#[test]
fn links_do_not_lead_out_together() {
    refusal(&[symlink("a/up", ".."), symlink("out", "a/up/../beside")], "out");
    refusal(&[symlink("a/b/c/up", "../../.."), symlink("d", "a/b/c/up/../.."), file("d/beside", "harm")], "d");
}

#[test]
fn nothing_is_written_through_a_link() {
    for target in ["a", ".", "no/where"] {
        let why = refusal(&[file("a/b", ""), symlink("link", target), file("link/beside", "harm")], "link/beside");
        assert!(why.contains("leads through \"link\""), "{why}");
    }
    // In place of the link, not of what it leads to.
    let bench = Bench::new();
    bench.unpack(ArchiveFormat::Tar, &tar(&[file("a", "kept"), symlink("b", "a"), file("b", "new")])).unwrap();
    let found = tree(&bench.place());
    assert_eq!((&*found["a"], &*found["b"]), ("640 kept", "640 new"));
}

#[test]
fn hard_links_are_to_files_of_the_directory() {
    let made = [file("a/b", "x"), symlink("a/link", "b"), symlink("to", "a")];
    for target in ["../beside", "/etc/passwd", "none", "a", "a/link", "to/b", "hard"] {
        let entries = [made.concat(), hard_link("hard", target)];
        assert!(refusal(&entries, "hard").contains("hard link"), "{target}");
    }
}

#[test]
fn devices_pipes_and_the_unknown_are_refused() {
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::new(b'?')] {
        refusal(&[entry(kind, b"special", 0o666, b"", b"")], "special");
    }
}

#[test]
fn no_set_user_id_is_left() {
    let bench = Bench::new();
    let entries = [
        entry(EntryType::Regular, b"su", 0o6755, b"", b"x"),
        entry(EntryType::Directory, b"sticky", 0o7777, b"", b""),
        entry(EntryType::Directory, b"closed", 0o000, b"", b""),
        file("closed/inside", "x"),
    ];
    bench.unpack(ArchiveFormat::Tar, &tar(&entries)).unwrap();
    let mode = |name: &str| fs::metadata(bench.place().join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("su"), mode("sticky"), mode("closed")), (0o755, 0o777, 0o700));
}

#[test]
fn a_directory_is_not_replaced() {
    refusal(&[file("a/b", "x"), file("a", "y")], "a");
    refusal(&[file("a/b", "x"), symlink("a", "b")], "a");
    refusal(&[file("a", "x"), file("a/b", "y")], "a/b");
    refusal(&[file("a", "x"), file("./", "y"), file(".", "z")], ".");
}

#[test]
fn a_bomb_does_not_go_off() {
    let zeros = "\0".repeat(10 << 20);
    let mut bench = Bench::new();
    bench.limits = bench.limits.with_bytes(1 << 20);
    let bomb = compress(Compression::Gz, &tar(&[file("zeros", &zeros)]));
    assert!(bomb.len() < zeros.len() / 50);
    assert!(bench.refusal(ArchiveFormat::TarGz, &bomb).contains("larger than 1048576 bytes"));
    assert!(fs::metadata(bench.place().join("zeros")).unwrap().len() <= 1 << 20);
    // Behind the end of the archive as well.
    let mut late = tar(&[]);
    late.extend(zeros.as_bytes());
    assert!(bench.refusal(ArchiveFormat::TarGz, &compress(Compression::Gz, &late)).contains("larger than"));
}

#[test]
fn headers_do_not_fill_the_memory() {
    let long = entry(EntryType::GNULongName, b"././@LongLink", 0o644, b"", &vec![b'x'; 8 << 20]);
    let why = Bench::new().refusal(ArchiveFormat::Tar, &tar(&[long, file("a", "")]));
    assert!(why.contains("descriptions"), "{why}");
}

#[test]
fn entries_are_counted_and_directories_on_the_way_are_entries() {
    let mut bench = Bench::new();
    bench.limits = bench.limits.with_entries(5);
    let why = bench.refusal(ArchiveFormat::Tar, &tar(&[file("a/b/c/d/e/f", "x")]));
    assert!(why.contains("more than 5 entries"), "{why}");
}

#[test]
fn a_run_that_was_given_up_unpacks_nothing_more() {
    let bench = Bench::new();
    bench.stop.cancel();
    assert!(matches!(bench.unpack(ArchiveFormat::Tar, &tar(&[file("a", "x")])), Err(Fault::Stopped)));
    assert!(tree(&bench.place()).is_empty());
    // However long a decoder reads what comes to nothing.
    let nothing = compress(Compression::Gz, b"").repeat(10_000);
    assert!(matches!(bench.unpack(ArchiveFormat::TarGz, &nothing), Err(Fault::Stopped)));
}

#[cfg(feature = "archives")]
#[test]
fn other_archives_are_kept_inside_too() {
    use super::pack::{rar, seven_z, zip};
    for (name, mode, content) in [
        ("../beside", 0o100_644, "harm"),
        ("/tmp/absolute", 0o100_644, "harm"),
        ("link", 0o120_777, "../beside"),
        ("link", 0o120_777, "/etc/passwd"),
    ] {
        let entries = [(name, mode, content)];
        for (format, archive) in [(ArchiveFormat::Zip, zip(&entries)), (ArchiveFormat::SevenZ, seven_z(&entries))] {
            let why = Bench::new().refusal(format, &archive);
            assert!(why.contains(name), "{format}: {why}");
        }
    }
    let link = rar(rars::ArchiveVersion::Rar50, &[("link", 0o120_777, "../beside")]);
    assert!(Bench::new().refusal(ArchiveFormat::Rar, &link).contains("symbolic link"));
}

#[cfg(feature = "archives")]
#[test]
fn other_bombs_do_not_go_off_either() {
    use super::pack::{rar, seven_z, zip};
    let zeros = "\0".repeat(2 << 20);
    let entries = [("zeros", 0o100_644, &*zeros)];
    let mut bench = Bench::new();
    bench.limits = bench.limits.with_bytes(1 << 20);
    for (format, archive) in [
        (ArchiveFormat::Zip, zip(&entries)),
        (ArchiveFormat::SevenZ, seven_z(&entries)),
        (ArchiveFormat::Rar, rar(rars::ArchiveVersion::Rar50, &entries)),
    ] {
        assert!(archive.len() < zeros.len() / 20, "{format}");
        assert!(bench.refusal(format, &archive).contains("larger than 1048576 bytes"), "{format}");
    }
}
