//! The keys of blobs as keys of S3.
//!
//! An ordinary key is itself, so that people find their way about a bucket. What a URL cannot carry as a segment of its
//! path (nothing, `.` and `..`) is written as a percent sign and its dots, and a percent sign as `%25`, so that no two
//! keys become one.

use super::presign::encode;
use crate::blobs::BlobError;

/// S3 allows no more.
const MAX_KEY: usize = 1024;

/// The key in the bucket.
pub(super) fn key_of(key: &str) -> Result<String, BlobError> {
    let segments = key.split('/').map(|segment| match segment {
        "" => "%".to_owned(),
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        other => other.replace('%', "%25"),
    });
    let there = segments.collect::<Vec<_>>().join("/");
    if matches!(key, "" | "." | "..") || there.len() > MAX_KEY {
        return Err(BlobError::Key(key.chars().take(100).collect()));
    }
    Ok(there)
}

/// A key of a bucket as the path of a URL.
pub(super) fn path_of(key: &str) -> String {
    key.split('/').map(encode).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_keys_are_themselves_and_no_two_meet() {
        assert_eq!(key_of("a/0/public/build.zip").unwrap(), "a/0/public/build.zip");
        let odd = ["a//b", "a/%/b", "a/%25/b", "a/./b", "a/%2E/b", "a/../b", "/a", "a/"];
        let there: std::collections::HashSet<_> = odd.iter().map(|key| key_of(key).unwrap()).collect();
        assert_eq!(there.len(), odd.len(), "{there:?}");
        assert_eq!(path_of(&key_of("a/../ü b").unwrap()), "a/%252E%252E/%C3%BC%20b");
        assert!(key_of("..").is_err());
        assert!(key_of(&"k".repeat(1025)).is_err());
    }
}
