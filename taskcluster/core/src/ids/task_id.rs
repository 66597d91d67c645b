use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The characters of a slugid.
const LENGTH: usize = 22;

/// The identity of a task or a task group: 16 bytes, written as a slugid (22 characters of URL-safe base64 of a version
/// 4 UUID).
///
/// Ordered and compared by its bytes. Whoever creates a task chooses its id, which is what makes creation safe to
/// repeat.
///
/// ```
/// use taskcluster_core::TaskId;
/// let id: TaskId = "fN1SbArXTPSVFNUvaOlinQ".parse()?;
/// assert_eq!(id.to_string(), "fN1SbArXTPSVFNUvaOlinQ");
/// # Ok::<(), taskcluster_core::ids::InvalidTaskId>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId([u8; 16]);

/// A text that is not a slugid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a task id: {reason}")]
pub struct InvalidTaskId {
    text: String,
    reason: &'static str,
}

impl TaskId {
    /// A new random id, of the "nice" kind: it begins with a letter from `A` to `f`, never with a dash that a command
    /// line would take for a flag.
    #[allow(clippy::new_without_default, reason = "a default that differs each time would surprise")]
    #[must_use]
    pub fn new() -> Self {
        let mut bytes = uuid::Uuid::new_v4().into_bytes();
        bytes[0] &= 0x7f;
        Self(bytes)
    }

    /// The id that belongs to `label` under `parent`, always the same: a program that runs again creates the same tasks
    /// instead of more of them.
    ///
    /// The first 16 bytes of SHA-256 over the parent's bytes and the label, shaped as a nice version 4 UUID.
    #[must_use]
    pub fn derive(parent: &Self, label: &str) -> Self {
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        context.update(&parent.0);
        context.update(label.as_bytes());
        let digest = context.finish();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_ref()[..16]);
        Self(bytes).shaped()
    }

    /// The id with these bytes, whatever they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Sets the bits of a version 4 UUID (RFC 9562 §5.4) and clears the first, as a nice slugid wants it.
    fn shaped(mut self) -> Self {
        self.0[0] &= 0x7f;
        self.0[6] = self.0[6] & 0x0f | 0x40;
        self.0[8] = self.0[8] & 0x3f | 0x80;
        self
    }

    fn is_version_4(&self) -> bool {
        self.0[6] & 0xf0 == 0x40 && self.0[8] & 0xc0 == 0x80
    }

    /// Any 16 bytes in URL-safe base64.
    fn decode(text: &str) -> Result<Self, InvalidTaskId> {
        let invalid = |reason| InvalidTaskId { text: text.chars().take(100).collect(), reason };
        if text.len() != LENGTH {
            return Err(invalid("it must have 22 characters"));
        }
        let mut bytes = [0; 16];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(16) => Ok(Self(bytes)),
            _ => Err(invalid("it must be URL-safe base64 of 16 bytes")),
        }
    }

    fn encode(self) -> [u8; LENGTH] {
        let mut text = [0; LENGTH];
        URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).expect("16 bytes are 22 characters of base64");
        text
    }
}

impl FromStr for TaskId {
    type Err = InvalidTaskId;

    /// Takes what the services take: the slugid of a version 4 UUID.
    fn from_str(text: &str) -> Result<Self, InvalidTaskId> {
        let id = Self::decode(text)?;
        if id.is_version_4() {
            Ok(id)
        } else {
            Err(InvalidTaskId { text: text.to_owned(), reason: "it must be the slugid of a version 4 UUID" })
        }
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.to_string()
    }
}

impl TryFrom<&str> for TaskId {
    type Error = InvalidTaskId;

    fn try_from(text: &str) -> Result<Self, InvalidTaskId> {
        text.parse()
    }
}

impl TryFrom<String> for TaskId {
    type Error = InvalidTaskId;

    fn try_from(text: String) -> Result<Self, InvalidTaskId> {
        text.parse()
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.encode();
        f.pad(std::str::from_utf8(&text).expect("base64 is ASCII"))
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TaskId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.encode();
        serializer.serialize_str(std::str::from_utf8(&text).expect("base64 is ASCII"))
    }
}

impl<'de> Deserialize<'de> for TaskId {
    /// More lenient than `FromStr`: a service's answer is not refused for a UUID of another version.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = TaskId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a slugid")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<TaskId, E> {
                TaskId::decode(text).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Visitor).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_are_nice_and_differ() {
        for _ in 0..100 {
            let id = TaskId::new();
            assert!(id.to_string().starts_with(|c: char| c.is_ascii_uppercase() || ('a'..='f').contains(&c)));
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        assert_ne!(TaskId::new(), TaskId::new());
    }

    #[test]
    fn derived_ids_are_the_same_each_time() {
        let parent: TaskId = "fN1SbArXTPSVFNUvaOlinQ".parse().unwrap();
        let build = TaskId::derive(&parent, "build");
        assert_eq!(build, TaskId::derive(&parent, "build"));
        assert_eq!(build.to_string(), "da3eHoGDT52fuEymyW6FUA");
        assert_eq!(build.to_string().parse(), Ok(build));
        assert_ne!(build, TaskId::derive(&parent, "test"));
        assert_ne!(build, TaskId::derive(&build, "build"));
    }

    #[test]
    fn a_text_that_is_no_slugid_is_refused() {
        for text in [
            "",
            "short",
            "fN1SbArXTPSVFNUvaOlinQQ",
            "fN1SbArXTPSVFNUvaOlin+",
            "fN1SbArXTPSVFNUvaOlinR",
            "AAAAAAAAAAAAAAAAAAAAAA",
            "ééééééééééé",
        ] {
            let error = text.parse::<TaskId>().unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
            assert_eq!(TaskId::try_from(text), Err(error));
        }
    }

    #[test]
    fn serde_reads_other_versions_too() {
        let id: TaskId = serde_json::from_str("\"AAAAAAAAAAAAAAAAAAAAAA\"").unwrap();
        assert_eq!(id, TaskId::from_bytes([0; 16]));
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"AAAAAAAAAAAAAAAAAAAAAA\"");
        assert!(serde_json::from_str::<TaskId>("\"no\"").is_err());
        assert!(serde_json::from_str::<TaskId>("1").is_err());
    }
}
