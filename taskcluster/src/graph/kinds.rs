//! Kinds that nearly every project has: images and tools, made once for as long as their inputs stay the same.

use std::io;
use std::path::Path;

use super::{Cached, Digest, Parameters, Task};
use crate::queue::TaskDefinitionRequest;

/// A task that builds a docker image from a folder of the checkout: label `docker-image-NAME`, kind `docker-image`.
///
/// It looks at the files of the folder, and an earlier task that was made of the same ones may stand in for it; it is
/// found in the index below `NAMESPACE.docker-image.NAME`. The revisions of the push do not count in the definition. How
/// the image is built, and under which name its artifact is left, is the definition's business.
///
/// # Errors
/// The folder cannot be read.
pub fn docker_image(
    push: &Parameters,
    namespace: &str,
    name: &str,
    checkout: &Path,
    folder: &str,
    definition: TaskDefinitionRequest,
) -> io::Result<Task> {
    made_of("docker-image", push, namespace, name, checkout, &[folder], definition)
}

/// A task that builds or fetches a tool from files and folders of the checkout, usually a script: label `toolchain-NAME`,
/// kind `toolchain`. Otherwise as [`docker_image`]; a version to fetch that stands in the definition counts.
///
/// # Errors
/// One of the paths cannot be read.
pub fn toolchain(
    push: &Parameters,
    namespace: &str,
    name: &str,
    checkout: &Path,
    paths: &[&str],
    definition: TaskDefinitionRequest,
) -> io::Result<Task> {
    made_of("toolchain", push, namespace, name, checkout, paths, definition)
}

fn made_of(
    kind: &str,
    push: &Parameters,
    namespace: &str,
    name: &str,
    checkout: &Path,
    paths: &[&str],
    definition: TaskDefinitionRequest,
) -> io::Result<Task> {
    let inputs = paths.iter().try_fold(Digest::new(), |inputs, path| inputs.with_path(checkout, path))?;
    let cached = Cached::new(format!("{namespace}.{kind}.{name}"), inputs)
        .apart_from(push.head_revision.as_str())
        .apart_from(push.base_revision.clone().unwrap_or_default());
    let files = paths.iter().flat_map(|path| [(*path).to_owned(), format!("{path}/**")]);
    Ok(Task::new(format!("{kind}-{name}"), definition).with_kind(kind).with_files(files).with_cached(cached))
}
