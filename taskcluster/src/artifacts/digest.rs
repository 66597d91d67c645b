//! SHA-256 of what goes by, and the places where a storage service may state it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use ring::digest::{Context, SHA256};

/// A hash that grows.
#[derive(Clone)]
pub(super) struct Sha256(Context);

impl Default for Sha256 {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sha256")
    }
}

impl Sha256 {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// As it is now.
    pub(super) fn hex(&self) -> String {
        hex(self.0.clone().finish().as_ref())
    }
}

/// What the head of an answer says about the whole content: `repr-digest` (RFC 9530) or what S3 says. S3's checksum of an
/// upload in parts ends in their number, and is none of the content.
pub(super) fn stated(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let digest = text("repr-digest").and_then(|list| {
        let member = list.split(',').find_map(|member| member.trim().strip_prefix("sha-256=:"))?;
        member.split_once(':').map(|(digest, _)| digest)
    });
    let bytes = STANDARD.decode(digest.or_else(|| text("x-amz-checksum-sha256"))?).ok()?;
    (bytes.len() == 32).then(|| hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_state_a_hash() {
        let empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let wanted = Sha256::default().hex();
        assert!(wanted.starts_with("e3b0c442"));
        let stated_by = |name: &'static str, value: String| {
            stated(&HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())]))
        };
        assert_eq!(stated_by("repr-digest", format!("md5=:AAAA:, sha-256=:{empty}:")), Some(wanted.clone()));
        assert_eq!(stated_by("x-amz-checksum-sha256", empty.to_owned()), Some(wanted));
        assert_eq!(stated_by("x-amz-checksum-sha256", format!("{empty}-3")), None);
        assert_eq!(stated_by("repr-digest", "sha-512=:AAAA:".to_owned()), None);
    }
}
