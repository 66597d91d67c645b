//! A hash of references, by which a build script notices that they are not those it was written for.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::load::Library;

/// `sha256-` and 64 hex digits. Where the documents stand does not count, nor in which files, nor how they are indented.
pub(crate) fn of(library: &Library) -> String {
    let mut texts: Vec<String> = library.values().map(ToString::to_string).collect();
    texts.sort_unstable();
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    let mut fingerprint = "sha256-".to_owned();
    for byte in hash.finalize() {
        let _ = write!(fingerprint, "{byte:02x}");
    }
    fingerprint
}

/// Whether these are the references that somebody has looked at.
pub(crate) fn check(library: &Library, pinned: &str) -> Result<()> {
    let found = of(library);
    if found == pinned {
        return Ok(());
    }
    let message = format!("the references are {found}, not {pinned}: look at what has changed, then pin these");
    Err(Error::Setting { setting: "pinned", message })
}
