//! Each target with the inputs that are kept for it: those by which the fuzzer got somewhere, and those that once broke
//! something.

use std::fs;
use std::path::{Path, PathBuf};

use taskcluster_fuzz::TARGETS;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn replay(target: &str) {
    let target = TARGETS.iter().find(|known| known.name == target).expect("it is one of the targets");
    let mut inputs = 0;
    for entry in fs::read_dir(folder("corpora").join(target.name)).expect("each target has a corpus") {
        let path = entry.expect("it is there").path();
        let input = fs::read(&path).expect("it can be read");
        // A panic says what, this says which.
        println!("{}", path.display());
        (target.run)(&input);
        inputs += 1;
    }
    assert!(inputs > 5, "the corpus of {} is nearly empty", target.name);
}

#[test]
fn bewits() {
    replay("bewits");
}

#[test]
fn certificates() {
    replay("certificates");
}

#[test]
fn in_tree() {
    replay("in-tree");
}

#[test]
fn references() {
    replay("references");
}

#[test]
fn scopes() {
    replay("scopes");
}

#[test]
fn slugids() {
    replay("slugids");
}

#[test]
fn tunnel() {
    replay("tunnel");
}

#[test]
fn every_corpus_belongs_to_a_target() {
    for entry in fs::read_dir(folder("corpora")).expect("there are some") {
        let name = entry.expect("it is there").file_name();
        assert!(TARGETS.iter().any(|target| *target.name == *name), "{name:?}");
        assert!(folder("words").join(&name).is_file(), "{name:?} has no words");
    }
}
