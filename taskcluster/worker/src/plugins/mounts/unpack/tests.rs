//! Archives that other programs made, and those that mean harm.

mod formats;
mod hostile;
mod pack;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::plugins::MountLimits;

/// A directory to unpack in, with something beside it that must stay as it is.
struct Bench {
    outer: tempfile::TempDir,
    limits: MountLimits,
    stop: CancellationToken,
}

impl Bench {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        fs::create_dir(outer.path().join("into")).unwrap();
        fs::write(outer.path().join("beside"), "untouched").unwrap();
        Self { outer, limits: MountLimits::default().with_free_disk(0), stop: CancellationToken::new() }
    }

    fn place(&self) -> PathBuf {
        self.outer.path().join("into")
    }

    fn budget(&self) -> Arc<Budget> {
        Arc::new(Budget::new(self.limits, self.stop.clone()))
    }

    fn unpack(&self, format: ArchiveFormat, archive: &[u8]) -> Result<(), Fault> {
        let budget = self.budget();
        unpack(stored(archive, &budget), format, &self.place(), &budget)
    }

    /// Unpack what has to be refused, and give the reason. Nothing is anywhere but in the directory.
    fn refusal(&self, format: ArchiveFormat, archive: &[u8]) -> String {
        let fault = self.unpack(format, archive).expect_err("it is refused");
        let beside: Vec<_> = fs::read_dir(self.outer.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(beside.len(), 2, "{beside:?}");
        assert_eq!(fs::read_to_string(self.outer.path().join("beside")).unwrap(), "untouched");
        match fault {
            Fault::Refused(why) => why,
            other => panic!("{other:?}"),
        }
    }
}

fn stored(bytes: &[u8], budget: &Arc<Budget>) -> BufReader<Stored> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    Stored { file, budget: budget.clone() }.buffered()
}

/// What is in a directory: of a file its mode and content, of a link where it leads.
fn tree(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    look(dir, "", &mut found);
    found
}

fn look(dir: &Path, prefix: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata().unwrap();
        let what = if metadata.is_symlink() {
            format!("-> {}", fs::read_link(entry.path()).unwrap().display())
        } else if metadata.is_dir() {
            look(&entry.path(), &format!("{name}/"), found);
            "directory".to_owned()
        } else {
            let content = fs::read(entry.path()).unwrap();
            format!("{:o} {}", metadata.permissions().mode() & 0o7777, String::from_utf8_lossy(&content))
        };
        found.insert(name, what);
    }
}
