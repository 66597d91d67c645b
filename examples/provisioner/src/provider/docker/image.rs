//! Names of images.

use std::fmt;

/// The name of an image, always with a tag or a digest: without one, an engine would take a name of hexadecimal digits for the beginning
/// of an image's identifier, and pull all tags of any other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Image {
    /// Where it comes from, and what it is called there.
    pub(super) repository: String,
    version: Version,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Version {
    Tag(String),
    Digest(String),
}

impl Image {
    /// Source: the grammar of references in the OCI distribution specification, and Docker's defaults.
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{name:?} is no name of an image: {why}");
        let (named, digest) = name.split_once('@').map_or((name, None), |(named, digest)| (named, Some(digest)));
        // A colon before the last slash is that of the registry's port.
        let file = named.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match named[file..].find(':') {
            Some(colon) => (&named[..file + colon], &named[file + colon + 1..]),
            None => (named, "latest"),
        };
        if !is_repository(repository) {
            return Err(wrong("its repository is none, such as registry.example/team/worker"));
        }
        if !is_tag(tag) {
            return Err(wrong("its tag is none, such as 1.0"));
        }
        // A digest says it all: of a tag beside it nothing follows.
        let version = match digest {
            Some(digest) if is_digest(digest) => Version::Digest(digest.to_owned()),
            Some(_) => return Err(wrong("its digest is none, such as sha256:… with 64 digits")),
            None => Version::Tag(tag.to_owned()),
        };
        Ok(Self { repository: repository.to_owned(), version })
    }

    /// The tag or the digest.
    pub(super) fn version(&self) -> &str {
        match &self.version {
            Version::Tag(version) | Version::Digest(version) => version,
        }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Version::Tag(tag) => write!(f, "{}:{tag}", self.repository),
            Version::Digest(digest) => write!(f, "{}@{digest}", self.repository),
        }
    }
}

fn is_repository(text: &str) -> bool {
    let path = match text.split_once('/') {
        // As Docker tells the name of a registry from a part of a path.
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
            let begins = host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
            if !begins || !host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c)) {
                return false;
            }
            path
        }
        _ => text,
    };
    text.len() <= 255 && path.split('/').all(is_component)
}

fn is_component(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(inner) && text.ends_with(inner) && text.chars().all(|c| inner(c) || "._-".contains(c))
}

fn is_tag(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128 && text.starts_with(first) && text.chars().all(|c| first(c) || ".-".contains(c))
}

fn is_digest(text: &str) -> bool {
    let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.split_once(':').is_some_and(|(algorithm, digits)| {
        let length = match algorithm {
            "sha256" => 64,
            "sha512" => 128,
            _ => return false,
        };
        digits.len() == length && digits.chars().all(hexadecimal)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_one_image() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        for (name, whole, repository, version) in [
            ("debian", "debian:latest", "debian", "latest"),
            ("debian:12", "debian:12", "debian", "12"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest", "localhost:5000/a/b", "latest"),
            ("r.example/a/b__c:D.1", "r.example/a/b__c:D.1", "r.example/a/b__c", "D.1"),
            (&format!("debian@{digest}"), &format!("debian@{digest}"), "debian", &digest),
            (&format!("debian:12@{digest}"), &format!("debian@{digest}"), "debian", &digest),
            // Not the beginning of an identifier.
            ("e6812a01ac5c", "e6812a01ac5c:latest", "e6812a01ac5c", "latest"),
        ] {
            let image = Image::parse(name).unwrap();
            assert_eq!((&*image.to_string(), &*image.repository, image.version()), (whole, repository, version));
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in [
            "",
            "a b",
            "x/",
            "/x",
            ":1",
            "a:",
            "Debian",
            "a:-1",
            "a@sha256:ab",
            "a@",
            "../a",
            "a//b",
            "a\n",
            "r .example/a",
        ] {
            assert!(Image::parse(name).is_err(), "{name}");
        }
    }
}
