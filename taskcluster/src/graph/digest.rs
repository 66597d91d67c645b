//! What a task is made of, as one number.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use ring::digest::{Context, SHA256};

/// SHA-256 over all that a task is made of: texts, files, whole folders, in the order in which they are added.
///
/// ```
/// use taskcluster::graph::Digest;
/// let one = Digest::new().with_text("rust 1.95");
/// assert_eq!(one, Digest::new().with_text("rust 1.95"));
/// assert_ne!(one, Digest::new().with_text("rust").with_text(" 1.95"));
/// assert_eq!(one.to_string().len(), 64); // hexadecimal
/// ```
#[derive(Clone)]
pub struct Digest(Context);

impl Digest {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// And of this text.
    #[must_use]
    pub fn with_text(mut self, text: impl AsRef<str>) -> Self {
        self.add(b"text", text.as_ref().as_bytes());
        self
    }

    /// And of this file or folder, at this path within `root`. A folder stands for all files in it, by name and content;
    /// of a link it is where it leads that counts, of times and owners nothing, of permissions whether a file may be executed.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn with_path(mut self, root: &Path, path: &str) -> io::Result<Self> {
        self.add_path(&root.join(path), path)?;
        Ok(self)
    }

    fn add_path(&mut self, file: &Path, name: &str) -> io::Result<()> {
        let meta = fs::symlink_metadata(file)?;
        self.add(b"name", name.as_bytes());
        if meta.is_symlink() {
            self.add(b"link", fs::read_link(file)?.to_string_lossy().as_bytes());
        } else if meta.is_dir() {
            let mut entries = fs::read_dir(file)?.collect::<io::Result<Vec<_>>>()?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                self.add_path(&entry.path(), &format!("{name}/{}", entry.file_name().to_string_lossy()))?;
            }
        } else {
            self.add(if may_be_executed(&meta) { b"tool" } else { b"file" }, &fs::read(file)?);
        }
        Ok(())
    }

    /// Each part with its sort and length: no two lists of parts look alike.
    fn add(&mut self, sort: &[u8; 4], bytes: &[u8]) {
        self.0.update(sort);
        self.0.update(&(bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }
}

#[cfg(unix)]
fn may_be_executed(meta: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    meta.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn may_be_executed(_: &fs::Metadata) -> bool {
    false
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.clone().finish().as_ref() == other.0.clone().finish().as_ref()
    }
}

impl Eq for Digest {}

/// 64 hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.clone().finish().as_ref().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_its_names_and_contents() {
        let folder = tempfile::tempdir().unwrap();
        let of = || Digest::new().with_path(folder.path(), "image").unwrap();
        fs::create_dir_all(folder.path().join("image/etc")).unwrap();
        fs::write(folder.path().join("image/Dockerfile"), "FROM debian").unwrap();
        let first = of();
        assert_eq!(of(), first);
        fs::write(folder.path().join("image/etc/rc"), "").unwrap();
        let second = of();
        assert_ne!(second, first);
        fs::rename(folder.path().join("image/etc/rc"), folder.path().join("image/etc/profile")).unwrap();
        assert_ne!(of(), second);
        fs::remove_file(folder.path().join("image/etc/profile")).unwrap();
        assert_eq!(of(), first);
        assert!(Digest::new().with_path(folder.path(), "absent").is_err());
    }
}
