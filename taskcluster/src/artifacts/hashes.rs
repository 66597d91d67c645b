//! What a download is checked against: the hash of the bytes as they are stored, which storage services state, and that of
//! the content once its encoding is undone, which the object service states.

use std::fmt;
use std::io::{self, Write as _};

use flate2::write::MultiGzDecoder;

use super::digest::Sha256;

/// Both hashes of what goes by.
pub(super) struct Hashes {
    stored: Sha256,
    content: Decoded,
}

/// The content, as far as it can be told from the stored bytes.
enum Decoded {
    /// They are the content.
    Same,
    Gzip(Box<MultiGzDecoder<Hashing>>),
    /// They are not what they are said to be.
    Broken,
    /// Their encoding is one that is not known here.
    Unknown,
}

impl Hashes {
    /// Of content that is stored with this encoding.
    pub(super) fn of(encoding: Option<&str>) -> Self {
        let content = match encoding {
            None | Some("identity") => Decoded::Same,
            Some("gzip" | "x-gzip") => Decoded::Gzip(Box::new(MultiGzDecoder::new(Hashing::default()))),
            Some(_) => Decoded::Unknown,
        };
        Self { stored: Sha256::default(), content }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.stored.update(bytes);
        if let Decoded::Gzip(decoder) = &mut self.content
            && decoder.write_all(bytes).is_err()
        {
            self.content = Decoded::Broken;
        }
    }

    /// The hash of the bytes as they are stored.
    pub(super) fn stored(&self) -> String {
        self.stored.hex()
    }

    /// Whether all went by that these hashes were stated of: one of the content, and one of the stored bytes. Nothing where
    /// neither was stated, or can be compared.
    pub(super) fn agree(&mut self, of_content: Option<&str>, of_stored: Option<&str>) -> Option<bool> {
        let stored = self.stored();
        let compared = of_content.and_then(|stated| match &mut self.content {
            Decoded::Same => Some(stated == stored),
            Decoded::Gzip(decoder) => Some(decoder.try_finish().is_ok() && decoder.get_ref().0.hex() == stated),
            Decoded::Broken => Some(false),
            Decoded::Unknown => None,
        });
        compared.or_else(|| of_stored.map(|stated| stated == stored))
    }
}

impl fmt::Debug for Hashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hashes")
    }
}

/// A writer of which nothing remains but the hash.
#[derive(Debug, Default)]
struct Hashing(Sha256);

impl io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(bytes: &[u8]) -> String {
        let mut hash = Sha256::default();
        hash.update(bytes);
        hash.hex()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn of(encoding: Option<&str>, bytes: &[u8]) -> Hashes {
        let mut hashes = Hashes::of(encoding);
        bytes.chunks(3).for_each(|chunk| hashes.update(chunk));
        hashes
    }

    #[test]
    fn each_hash_is_held_against_what_it_was_stated_of() {
        let (content, stored) = (b"hello".as_slice(), gzip(b"hello"));
        let (of_content, of_stored) = (sha256(content), sha256(&stored));
        for (encoding, bytes, of_bytes) in [(None, content, &of_content), (Some("gzip"), &*stored, &of_stored)] {
            assert_eq!(of(encoding, bytes).stored(), *of_bytes);
            assert_eq!(of(encoding, bytes).agree(Some(&of_content), None), Some(true));
            assert_eq!(of(encoding, bytes).agree(None, Some(of_bytes)), Some(true));
            assert_eq!(of(encoding, bytes).agree(Some(&sha256(b"x")), Some(of_bytes)), Some(false));
            assert_eq!(of(encoding, bytes).agree(None, None), None);
        }
        assert_eq!(of(Some("br"), &stored).agree(Some(&of_content), None), None);
        assert_eq!(of(Some("br"), &stored).agree(Some(&of_content), Some(&of_stored)), Some(true));
    }

    #[test]
    fn what_cannot_be_decoded_is_not_the_content() {
        let (of_content, stored) = (sha256(b"hello"), gzip(b"hello"));
        let cut = &stored[..stored.len() - 1];
        for bytes in [b"hello".as_slice(), cut, b""] {
            assert_eq!(of(Some("gzip"), bytes).agree(Some(&of_content), None), Some(false), "{bytes:?}");
        }
    }
}
