//! What a payload says of the artifacts that a task makes.

use schemars::JsonSchema;
use serde::Deserialize;
use taskcluster_core::time::Timestamp;

/// An artifact that a task is to make, or those below a common name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Declared {
    /// What is expected at the path.
    pub kind: Kind,
    /// Where it is, as the payload writes it.
    pub path: String,
    /// Name of the artifact, or what the names of a directory's files begin with.
    pub name: String,
    /// Until when it is kept. Default: as long as the task.
    pub expires: Option<Timestamp>,
    /// Default: guessed from the name.
    pub content_type: Option<String>,
    /// Whether it is stored compressed, with `Content-Encoding: gzip`. Default: each file unless it is compressed already, as far as its
    /// name tells.
    pub gzip: Option<bool>,
    /// Whether the run fails without it. Default: yes.
    pub required: bool,
}

impl Declared {
    /// A required artifact that is kept as long as the task.
    pub fn new(kind: Kind, path: impl Into<String>, name: impl Into<String>) -> Self {
        let name = name.into().trim_end_matches('/').to_owned();
        Self { kind, path: path.into(), name, expires: None, content_type: None, gzip: None, required: true }
    }

    /// Whether the run fails without it.
    #[must_use]
    pub fn required(mut self, required: bool) -> Self {
        self.required = required;
        self
    }

    /// Keep it until then, and no longer.
    #[must_use]
    pub fn expires(mut self, expires: Option<Timestamp>) -> Self {
        self.expires = expires;
        self
    }

    /// Whether it is stored compressed.
    #[must_use]
    pub fn gzip(mut self, gzip: Option<bool>) -> Self {
        self.gzip = gzip;
        self
    }

    /// Say what it is.
    #[must_use]
    pub fn content_type(mut self, content_type: Option<String>) -> Self {
        self.content_type = content_type;
        self
    }
}

/// What is expected at the path of an artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory, whose regular files are kept.
    Directory,
    /// A directory that the worker mounts there, empty, before the task starts.
    Volume,
}

/// The native payload's way of saying it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct ListedArtifacts {
    /// What to keep once the commands have ended.
    artifacts: Vec<Listed>,
}

/// A file or directory to keep.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Listed {
    /// What is expected at the path.
    #[serde(rename = "type")]
    kind: ListedKind,
    /// Where it is: absolute, or relative to the task's directory.
    #[schemars(length(min = 1))]
    path: String,
    /// Name of the artifact, or what the names of a directory's files begin with. Default: the path.
    #[schemars(length(min = 1, max = 1024))]
    name: Option<String>,
    /// Until when it is kept. Default: as long as the task.
    #[schemars(extend("format" = "date-time"), with = "Option<String>")]
    expires: Option<Timestamp>,
    /// Default: guessed from the name.
    content_type: Option<String>,
    /// How the content is stored: as it is, or compressed with gzip, which browsers and most clients undo by themselves. Default: `gzip`,
    /// unless the name ends like that of a file that is compressed already.
    content_encoding: Option<Encoding>,
    /// Whether the run may succeed without it.
    #[serde(default)]
    optional: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ListedKind {
    File,
    Directory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Identity,
    Gzip,
}

impl From<ListedArtifacts> for Vec<Declared> {
    fn from(payload: ListedArtifacts) -> Self {
        payload.artifacts.into_iter().map(Declared::from).collect()
    }
}

impl From<Listed> for Declared {
    fn from(listed: Listed) -> Self {
        let kind = match listed.kind {
            ListedKind::File => Kind::File,
            ListedKind::Directory => Kind::Directory,
        };
        let name = listed.name.unwrap_or_else(|| listed.path.clone());
        Self::new(kind, listed.path, name)
            .required(!listed.optional)
            .expires(listed.expires)
            .content_type(listed.content_type)
            .gzip(listed.content_encoding.map(|encoding| encoding == Encoding::Gzip))
    }
}
