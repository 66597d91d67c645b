//! Secrets at rest.
//!
//! A copy of the database alone must not be worth anything, so what is secret is sealed with AES-256-GCM. The name of its owner goes into
//! the seal: what somebody moves to another owner's row does not open. The key comes from the configuration or from a file in the
//! data directory, never from the database.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use taskcluster_core::secret::Secret;

use crate::store::Database;

/// Bytes of a key.
const KEY_LENGTH: usize = 32;

/// The form of what is sealed, so that there may be another one day.
const FORM: &str = "v1:";

/// What goes wrong with keys and with what is sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The configured key is not one.
    #[error("a key that secrets are sealed with must be {KEY_LENGTH} bytes in base64")]
    Key,
    /// The key's file cannot be read or written.
    #[error("the key file {path}")]
    File {
        /// Where it should be.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is stored was sealed with another key, or was changed.
    #[error("what is sealed for '{owner}' cannot be opened: it was sealed with another key")]
    Open {
        /// Whose it is.
        owner: String,
    },
    /// Several processes share the database, so they have to be told the key.
    #[error("secrets in a shared database need a key that all processes know: set {setting} or {setting}_file")]
    Missing {
        /// The setting for the key.
        setting: &'static str,
    },
    /// The machine gives no random numbers.
    #[error("no random numbers")]
    Random,
}

/// Seals and opens secrets.
pub struct Sealer {
    key: LessSafeKey,
    random: SystemRandom,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

impl Sealer {
    /// A sealer with this key.
    ///
    /// # Errors
    /// When the key has not the right length.
    pub fn new(key: &[u8]) -> Result<Self, SealError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| SealError::Key)?;
        Ok(Self { key: LessSafeKey::new(key), random: SystemRandom::new() })
    }

    /// A sealer with a key written in base64, as it stands in a configuration.
    ///
    /// # Errors
    /// When it is not base64, or too short or too long.
    pub fn from_base64(key: &Secret) -> Result<Self, SealError> {
        Self::new(&STANDARD.decode(key.expose().trim()).map_err(|_| SealError::Key)?)
    }

    /// A sealer with a new key, for a store that lives no longer than the process.
    ///
    /// # Errors
    /// When there are no random numbers.
    pub fn ephemeral() -> Result<Self, SealError> {
        Self::new(&random_key()?)
    }

    /// A sealer with the key in this file, which is made, for its owner's eyes only, if there is none.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds something else.
    pub fn from_file(path: &Path) -> Result<Self, SealError> {
        let failed = |source| SealError::File { path: path.display().to_string(), source };
        match std::fs::read_to_string(path) {
            Ok(text) => Self::from_base64(&text.into()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = random_key()?;
                write_new(path, &STANDARD.encode(key)).map_err(failed)?;
                // Read again: two processes may have started at once, and one file won.
                Self::from_base64(&std::fs::read_to_string(path).map_err(failed)?.into())
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// What to store in place of a secret. The name of the owner is not secret, and not kept with it.
    ///
    /// # Errors
    /// When there are no random numbers.
    pub fn seal(&self, owner: &str, secret: &Secret) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| SealError::Random)?;
        let mut text = secret.expose().as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(owner), &mut text)
            .map_err(|_| SealError::Random)?;
        let sealed: Vec<u8> = nonce.into_iter().chain(text).collect();
        Ok(format!("{FORM}{}", STANDARD.encode(sealed)))
    }

    /// The secret that was sealed.
    ///
    /// # Errors
    /// When it was sealed with another key, for another owner, or was changed.
    pub fn open(&self, owner: &str, sealed: &str) -> Result<Secret, SealError> {
        self.try_open(owner, sealed).ok_or_else(|| SealError::Open { owner: owner.to_owned() })
    }

    fn try_open(&self, owner: &str, sealed: &str) -> Option<Secret> {
        let bytes = STANDARD.decode(sealed.strip_prefix(FORM)?).ok()?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let opened = self.key.open_in_place(nonce, Aad::from(owner), &mut text).ok()?;
        Some(std::str::from_utf8(opened).ok()?.into())
    }
}

/// The sealer of a database: with the key in this file, or for SQLite in the file beside the database, which is made if there is none. In
/// memory a key for now will do. `setting` is what an operator sets to the key; with `_file` at its end, to the file.
///
/// # Errors
/// When the file cannot be read or made, or when there is no place for it.
pub fn sealer_for(database: &Database, key_file: Option<&Path>, setting: &'static str) -> Result<Sealer, SealError> {
    match (key_file, database) {
        (Some(path), _) => Sealer::from_file(path),
        (None, Database::Sqlite(path)) => Sealer::from_file(&path.with_extension("key")),
        (None, Database::Memory) => Sealer::ephemeral(),
        (None, Database::Postgres(_)) => Err(SealError::Missing { setting }),
    }
}

fn random_key() -> Result<[u8; KEY_LENGTH], SealError> {
    let mut key = [0; KEY_LENGTH];
    SystemRandom::new().fill(&mut key).map_err(|_| SealError::Random)?;
    Ok(key)
}

/// Writes a file that is whole or not there, and leaves one that somebody else wrote meanwhile.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_owner_only() {
        let sealer = Sealer::ephemeral().unwrap();
        let sealed = sealer.seal("a/b", &"token".into()).unwrap();
        assert!(!sealed.contains("token"));
        assert_eq!(sealer.open("a/b", &sealed).unwrap().expose(), "token");
        assert!(sealer.open("a/c", &sealed).is_err());
        assert!(Sealer::ephemeral().unwrap().open("a/b", &sealed).is_err());
        assert!(sealer.open("a/b", "v1:AAAA").is_err());
        assert!(sealer.open("a/b", "token").is_err());
    }

    /// As deployments have it in their databases.
    #[test]
    fn the_form_stays_what_it_was() {
        let sealer = Sealer::new(&[7; KEY_LENGTH]).unwrap();
        let sealed = "v1:AAECAwQFBgcICQoLbO6CFXP57R+9M6a4IVJ8CctArz3Y";
        assert_eq!(sealer.open("a/b", sealed).unwrap().expose(), "token");
    }

    #[test]
    fn sealing_twice_gives_two_texts() {
        let sealer = Sealer::ephemeral().unwrap();
        assert_ne!(sealer.seal("a", &"t".into()).unwrap(), sealer.seal("a", &"t".into()).unwrap());
    }

    #[test]
    fn the_key_file_is_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/auth.key");
        let sealed = Sealer::from_file(&path).unwrap().seal("a", &"t".into()).unwrap();
        assert_eq!(Sealer::from_file(&path).unwrap().open("a", &sealed).unwrap().expose(), "t");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        std::fs::write(&path, "not a key").unwrap();
        assert!(matches!(Sealer::from_file(&path), Err(SealError::Key)));
    }
}
