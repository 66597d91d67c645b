//! Names of images.

use taskcluster_worker::error::{Error, Result};

/// Images that were artifacts get names of this repository, which no payload may use: whoever may read the artifact may use
/// the image, and nobody else.
pub(crate) const OF_ARTIFACTS: &str = "taskcluster-artifact";

/// What the tag of an artifact's image begins with that says what the artifact hashes to.
const HASH_TAG: &str = "sha256-";

/// How much of the hash of a run's artifact stands in the name that also says its content: a tag has 128 characters at most.
const PART: usize = 32;

/// The name of an image by the artifact of a run that it was.
pub(super) fn name_of_run(hash: &str) -> String {
    format!("{OF_ARTIFACTS}:{hash}")
}

/// The names of an image that was an artifact. The same image may have been several, of one content or of different ones.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) of_run: String,
    /// By what the artifact hashes to, for other tasks with the same one.
    pub(super) of_content: String,
    /// By both, which says what the artifact of the run hashes to.
    pub(super) of_both: String,
}

impl Names {
    pub(super) fn new(of_run: String, sha256: &str) -> Self {
        let of_both = format!("{}{sha256}", beginning_of_both(&of_run).unwrap_or_default());
        Self { of_run, of_content: format!("{OF_ARTIFACTS}:{HASH_TAG}{sha256}"), of_both }
    }

    pub(super) fn all(&self) -> Vec<String> {
        vec![self.of_run.clone(), self.of_content.clone(), self.of_both.clone()]
    }
}

/// What the second name begins with of an image that has the first.
fn beginning_of_both(of_run: &str) -> Option<String> {
    let hash = of_run.strip_prefix(OF_ARTIFACTS)?.strip_prefix(':')?;
    Some(format!("{OF_ARTIFACTS}:{}-{HASH_TAG}", hash.get(..PART)?))
}

/// What the artifact hashes to by whose name an image was found that has these names.
pub(super) fn sha256_of_artifact<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    let beginning = beginning_of_both(name)?;
    names.iter().find_map(|name| name.strip_prefix(&beginning))
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of an image, with a tag or a digest.
///
/// Without one, Docker would take a name of hexadecimal digits for the beginning of an image's id, and so give a task an image
/// that it may not use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    whole: String,
    /// Where tag or digest begin.
    repository_end: usize,
    has_digest: bool,
}

impl Reference {
    pub(crate) fn parse(name: &str) -> Result<Self> {
        let bad = |why: &str| Error::payload(format!("payload/image: {name:?} is no name of an image: {why}"));
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(bad("it is empty or contains blanks"));
        }
        let (named, digest) = name.split_once('@').map_or((name, None), |(named, digest)| (named, Some(digest)));
        if digest.is_some_and(|digest| !digest.contains(':')) {
            return Err(bad("its digest is none, such as sha256:…"));
        }
        // A colon before the last slash is that of the registry's port.
        let file = named.rfind('/').map_or(0, |slash| slash + 1);
        let repository_end = named[file..].find(':').map_or(named.len(), |colon| file + colon);
        let repository = &named[..repository_end];
        if repository.is_empty() || repository.ends_with('/') {
            return Err(bad("it has no repository"));
        }
        let bare = repository.trim_start_matches("docker.io/").trim_start_matches("library/");
        if bare.split('/').next() == Some(OF_ARTIFACTS) {
            return Err(bad("images of that repository are artifacts; use a task-image"));
        }
        let has_digest = digest.is_some();
        let whole = if has_digest || repository_end < named.len() { name.to_owned() } else { format!("{name}:latest") };
        Ok(Self { whole, repository_end, has_digest })
    }

    /// The whole name.
    pub(crate) fn as_str(&self) -> &str {
        &self.whole
    }

    /// The name without tag and digest.
    pub(crate) fn repository(&self) -> &str {
        &self.whole[..self.repository_end]
    }

    /// The tag, or the digest with what stands before it.
    pub(crate) fn rest(&self) -> &str {
        self.whole[self.repository_end..].trim_start_matches([':', '@'])
    }

    /// Whether the name can mean one image only.
    pub(crate) fn has_digest(&self) -> bool {
        self.has_digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_tag_means_the_latest() {
        for (name, whole, repository, rest) in [
            ("debian", "debian:latest", "debian", "latest"),
            ("debian:12", "debian:12", "debian", "12"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest", "localhost:5000/a/b", "latest"),
            ("localhost:5000/a/b:c", "localhost:5000/a/b:c", "localhost:5000/a/b", "c"),
            ("debian@sha256:ab", "debian@sha256:ab", "debian", "sha256:ab"),
            // Not the beginning of an id.
            ("e6812a01ac5c", "e6812a01ac5c:latest", "e6812a01ac5c", "latest"),
        ] {
            let reference = Reference::parse(name).unwrap();
            assert_eq!((reference.as_str(), reference.repository(), reference.rest()), (whole, repository, rest));
        }
        assert!(Reference::parse("debian@sha256:ab").unwrap().has_digest());
    }

    #[test]
    fn each_artifact_that_an_image_was_has_a_hash_of_its_own() {
        let (first, second) = (name_of_run(&"a".repeat(64)), name_of_run(&"b".repeat(64)));
        let names = [Names::new(first.clone(), "12"), Names::new(second.clone(), "34")];
        let all: Vec<String> = names.iter().flat_map(Names::all).collect();
        assert!(all.iter().all(|name| name.rsplit(':').next().unwrap().len() <= 128));
        assert_eq!(sha256_of_artifact(&first, &all), Some("12"));
        assert_eq!(sha256_of_artifact(&second, &all), Some("34"));
        assert_eq!(sha256_of_artifact(&name_of_run(&"c".repeat(64)), &all), None);
        assert_eq!(sha256_of_artifact("debian:12", &all), None);
    }

    #[test]
    fn images_of_artifacts_cannot_be_named() {
        for name in [
            "taskcluster-artifact:x",
            "docker.io/taskcluster-artifact",
            "library/taskcluster-artifact",
            "",
            "a b",
            "x/",
            ":1",
        ] {
            assert!(Reference::parse(name).is_err(), "{name}");
        }
    }
}
