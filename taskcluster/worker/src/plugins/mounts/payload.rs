//! What a task says of its mounts: the POSIX payload of generic-worker.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;
use taskcluster_core::ids::TaskId;

use super::format::{ArchiveFormat, Compression};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct MountsPayload {
    /// What is there when the commands start.
    pub(super) mounts: Vec<Mount>,
    pub(super) on_exit_status: PurgeOnExitStatus,
}

/// What to do for particular exit codes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PurgeOnExitStatus {
    /// Exit codes after which the caches that the run used are purged.
    #[schemars(inner(range(min = 0)))]
    pub(super) purge_caches: BTreeSet<i32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Mount {
    File(FileMount),
    Cache(CacheMount),
    Directory(DirectoryMount),
}

/// A file with given content.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FileMount {
    /// Where it is to be, relative to the task's directory.
    #[schemars(length(min = 1))]
    pub(super) file: String,
    pub(super) content: Content,
    /// How the content is compressed. Without it, the file is the content as it is.
    pub(super) format: Option<Compression>,
}

/// A directory that keeps what tasks write to it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("dependencies" = {"content": ["format"], "format": ["content"]}))]
pub(super) struct CacheMount {
    /// Where it is to be, relative to the task's directory.
    #[schemars(length(min = 1))]
    pub(super) directory: String,
    /// Tasks that name the same cache find what former ones left.
    #[schemars(length(min = 1))]
    pub(super) cache_name: String,
    /// An archive that a cache is filled from while it is empty.
    pub(super) content: Option<Content>,
    /// What kind of archive it is.
    pub(super) format: Option<ArchiveFormat>,
}

/// A directory that an archive is unpacked into, for this task alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DirectoryMount {
    /// Where it is to be, relative to the task's directory.
    #[schemars(length(min = 1))]
    pub(super) directory: String,
    pub(super) content: Content,
    /// What kind of archive the content is.
    pub(super) format: ArchiveFormat,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Content {
    Artifact(ArtifactContent),
    Indexed(IndexedContent),
    Url(UrlContent),
    Raw(RawContent),
    Base64(Base64Content),
}

/// An artifact of a task among the dependencies.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ArtifactContent {
    /// The task whose latest run has it.
    #[schemars(with = "String", regex(pattern = "^[A-Za-z0-9_-]{21}[AQgw]$"))]
    pub(super) task_id: TaskId,
    /// Name of the artifact.
    #[schemars(length(min = 1, max = 1024))]
    pub(super) artifact: String,
    /// What the content must hash to.
    #[schemars(regex(pattern = "^[a-f0-9]{64}$"))]
    pub(super) sha256: Option<String>,
}

/// An artifact of the task that the index has under a name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IndexedContent {
    /// The name, such as `project.tools.latest.linux`.
    #[schemars(length(min = 1, max = 255))]
    pub(super) namespace: String,
    /// Name of the artifact.
    #[schemars(length(min = 1, max = 1024))]
    pub(super) artifact: String,
}

/// What a web server has.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UrlContent {
    /// Where it is, beginning with `http:` or `https:`.
    #[schemars(extend("format" = "uri"))]
    pub(super) url: String,
    /// What the content must hash to.
    #[schemars(regex(pattern = "^[a-f0-9]{64}$"))]
    pub(super) sha256: Option<String>,
}

/// The text itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawContent {
    /// The content.
    #[schemars(length(max = 65536))]
    pub(super) raw: String,
}

/// The bytes themselves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Base64Content {
    /// The content, in base64.
    #[schemars(length(max = 65536), regex(pattern = "^[A-Za-z0-9/+]+[=]{0,2}$"))]
    pub(super) base64: String,
}

impl Mount {
    /// Where it is to be.
    pub(super) fn place(&self) -> &str {
        match self {
            Self::File(mount) => &mount.file,
            Self::Cache(mount) => &mount.directory,
            Self::Directory(mount) => &mount.directory,
        }
    }

    /// What it is made of, if anything.
    pub(super) fn content(&self) -> Option<&Content> {
        match self {
            Self::File(mount) => Some(&mount.content),
            Self::Cache(mount) => mount.content.as_ref(),
            Self::Directory(mount) => Some(&mount.content),
        }
    }

    /// How its content is packed, where this program cannot unpack that.
    pub(super) fn format_not_built_in(&self) -> Option<String> {
        let archive = |format: ArchiveFormat| (!format.is_built_in()).then(|| format.to_string());
        match self {
            Self::File(FileMount { format, .. }) => {
                format.filter(|format| !format.is_built_in()).map(|format| format.to_string())
            }
            Self::Cache(CacheMount { format, .. }) => format.and_then(archive),
            Self::Directory(DirectoryMount { format, .. }) => archive(*format),
        }
    }
}
