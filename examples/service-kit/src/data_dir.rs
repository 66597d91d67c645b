//! The folder in which a process keeps everything that it must not lose.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use taskcluster_core::ids::TaskId;
use taskcluster_core::secret::Secret;

/// Why a folder cannot be used. Each is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// Another process uses it.
    #[error("the data directory {} is in use by {owner}; stop it first, or use another directory", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The other one, such as `process 4711`.
        owner: String,
    },
    /// It cannot be made or written.
    #[error("the data directory {} cannot be used: {reason}", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

/// A folder that belongs to this process as long as the value lives.
///
/// The lock is the system's: it goes with the process, however that ends, so nothing has to be cleaned up afterwards. The
/// file `owner.lock` holds the number of the process.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Holds the lock.
    _lock: File,
}

impl DataDir {
    /// Makes the folder if it is not there, and takes it.
    ///
    /// # Errors
    /// When another process has it, or when it cannot be written.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let unusable = |error: &io::Error| DataDirError::Unusable { path: path.to_owned(), reason: reason(error) };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| unusable(&error))?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(path.join("owner.lock")).map_err(|error| unusable(&error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DataDirError::InUse { path: path.to_owned(), owner: owner(&mut lock) });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(&error)),
        }
        let sign = |lock: &mut File| {
            lock.set_len(0)?;
            lock.seek(SeekFrom::Start(0))?;
            writeln!(lock, "{}", std::process::id())?;
            lock.sync_all()
        };
        sign(&mut lock).map_err(|error| unusable(&error))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// A folder in it, made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf, DataDirError> {
        let path = self.join(name);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|error| DataDirError::Unusable { path: path.clone(), reason: reason(&error) })?;
        Ok(path)
    }

    /// A secret of this name: 44 random characters (fit to be an access token), made when first asked for and readable by
    /// nobody else.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn secret(&self, name: &str) -> Result<Secret, DataDirError> {
        match self.read(name)? {
            Some(text) if !text.trim().is_empty() => return Ok(Secret::from(text.trim())),
            Some(_) | None => {}
        }
        let secret = format!("{}{}", TaskId::new(), TaskId::new());
        self.write(name, &format!("{secret}\n"))?;
        Ok(Secret::from(secret))
    }

    /// What a file of the directory holds; nothing if there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<String>, DataDirError> {
        match fs::read_to_string(self.join(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unusable(name, &error)),
        }
    }

    /// Writes a file of the directory that nobody else can read: whole or, after a crash, not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<(), DataDirError> {
        let write = || {
            // Temporary files are readable by their owner only.
            let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(self.join(name)).map_err(|error| error.error)?;
            // A new name is on the disk when its folder is.
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|error| self.unusable(name, &error))
    }

    fn unusable(&self, name: &str, error: &io::Error) -> DataDirError {
        DataDirError::Unusable { path: self.join(name), reason: reason(error) }
    }
}

fn owner(lock: &mut File) -> String {
    let mut text = String::new();
    match lock.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => format!("process {}", text.trim()),
        _ => "another process".to_owned(),
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        // A file has the name of the folder, or of one that it is to be in.
        io::ErrorKind::AlreadyExists => "it is not a folder".to_owned(),
        io::ErrorKind::NotADirectory => "what it is to be in is not a folder".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn one_owner_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let first = DataDir::open(&path).unwrap();
        let error = DataDir::open(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn what_a_killed_process_left_does_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("owner.lock"), "4711\n").unwrap();
        DataDir::open(folder.path()).unwrap();
        let pid = fs::read_to_string(folder.path().join("owner.lock")).unwrap();
        assert_eq!(pid.trim(), std::process::id().to_string());
    }

    #[test]
    fn secrets_are_made_once_and_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::open(folder.path()).unwrap().secret("root.token").unwrap();
        assert_eq!(first.expose().len(), 44);
        let data = DataDir::open(folder.path()).unwrap();
        assert_eq!(data.secret("root.token").unwrap().expose(), first.expose());
        assert_ne!(data.secret("other").unwrap().expose(), first.expose());
        let mode = fs::metadata(folder.path().join("root.token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_unusable_folder_is_one_clear_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = DataDir::open(&file.join("x")).unwrap_err().to_string();
        assert!(error.ends_with("cannot be used: what it is to be in is not a folder"), "{error}");
        let error = DataDir::open(&file).unwrap_err().to_string();
        assert!(error.ends_with("cannot be used: it is not a folder"), "{error}");
    }
}
