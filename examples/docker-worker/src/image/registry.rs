//! Images of registries.

use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::errors::Error as ApiError;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::TryStreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use taskcluster_core::secret::Secret;
use taskcluster_worker::TaskContext;
use taskcluster_worker::error::{Error, Result};

use super::progress::{Pace, Pulling};
use super::reference::Reference;
use crate::docker::{Docker, answer};

/// Credentials for images of a registry. Tasks need the scope `docker-worker:image:<repository>:<tag>` to use these images.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Registry {
    /// What the images' names begin with: `registry.example.com`, or `registry.example.com/project`.
    pub prefix: String,
    /// The user's name.
    pub username: String,
    /// The user's password, or a token.
    #[serde(skip_serializing)]
    #[schemars(with = "String")]
    pub password: Secret,
}

impl Registry {
    /// Log in as this user for images whose names begin with `prefix`.
    pub fn new(prefix: impl Into<String>, username: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self { prefix: prefix.into(), username: username.into(), password: password.into() }
    }
}

/// The registry with the longest prefix of the name, cut at a slash.
pub(super) fn of<'a>(registries: &'a [Registry], reference: &Reference) -> Option<&'a Registry> {
    let begins = |registry: &&Registry| {
        let rest = reference.repository().strip_prefix(registry.prefix.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    registries.iter().filter(begins).max_by_key(|registry| registry.prefix.len())
}

const ATTEMPTS: u32 = 5;

/// The wait before the second attempt; doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// Fetch an image, or make sure that it is what the registry has.
pub(super) async fn pull(
    docker: &Docker,
    task: &TaskContext,
    reference: &Reference,
    registry: Option<&Registry>,
) -> Result<()> {
    let name = reference.as_str();
    task.log().info(format!("pulling the image {name}"));
    let mut wait = FIRST_WAIT;
    for attempt in 1.. {
        let error = match pull_once(docker, task, reference, registry).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if let Some(reason) = refusal(&error) {
            return Err(Error::payload(format!("the image {name:?} cannot be had: {reason}")));
        }
        if attempt == ATTEMPTS {
            let what = format!("cannot pull the image {name:?}");
            return Err(match is_own(&error) {
                true => Error::worker_caused(what, error),
                false => Error::unavailable_because(what, error),
            });
        }
        task.log().warn(format!("cannot pull the image {name}: {error}; trying again"));
        task.clock().sleep(wait).await;
        wait *= 2;
    }
    unreachable!("the last attempt returns")
}

async fn pull_once(
    docker: &Docker,
    task: &TaskContext,
    reference: &Reference,
    registry: Option<&Registry>,
) -> Result<(), ApiError> {
    let options = CreateImageOptionsBuilder::new().from_image(reference.repository()).tag(reference.rest()).build();
    let credentials = registry.map(|registry| DockerCredentials {
        username: Some(registry.username.clone()),
        password: Some(registry.password.expose().to_owned()),
        ..DockerCredentials::default()
    });
    let mut said = std::pin::pin!(docker.api.create_image(Some(options), None, credentials));
    let (pace, mut pulling) = (Pace::new(task.clock().now()), Pulling::default());
    while let Some(info) = said.try_next().await? {
        pulling.hear(&info);
        if pace.is_due(task.clock().now()) {
            task.log().info(format!("pulling the image {}: {pulling}", reference.as_str()));
        }
    }
    Ok(())
}

/// What a registry says of an image that it will never give, whoever asks when.
fn refusal(error: &ApiError) -> Option<&str> {
    let (status, text) = match error {
        ApiError::DockerStreamError { error } => (500, error.as_str()),
        error => answer(error)?,
    };
    let finally = [
        "not found",
        "manifest unknown",
        "name unknown",
        "no matching manifest",
        "invalid reference format",
        "repository name must be",
        "pull access denied",
        "unauthorized",
        "no basic auth credentials",
        "access forbidden",
    ];
    let is_final = status == 400 || finally.iter().any(|word| text.contains(word));
    // A registry whose own name is not found may be back in a minute.
    (is_final && !text.contains("dial tcp")).then_some(text)
}

/// Whether it is Docker itself that fails, or its disk, and no registry.
fn is_own(error: &ApiError) -> bool {
    let text = match error {
        ApiError::DockerStreamError { error } => Some(error.as_str()),
        error => answer(error).map(|(_, text)| text),
    };
    text.is_none_or(|text| text.contains("no space left on device"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_does_not_answer_is_not_the_worker() {
        let told = |error: &str| ApiError::DockerStreamError { error: error.to_owned() };
        assert!(!is_own(&told("dial tcp 127.0.0.1:5000: connect: connection refused")));
        assert!(is_own(&told("write /var/lib/docker/tmp/x: no space left on device")));
        assert!(is_own(&ApiError::IOError { err: std::io::ErrorKind::ConnectionRefused.into() }));
    }

    fn stream(error: &str) -> ApiError {
        ApiError::DockerStreamError { error: error.to_owned() }
    }

    #[test]
    fn what_may_pass_is_no_refusal() {
        assert!(refusal(&stream("manifest for a:b not found: manifest unknown")).is_some());
        assert!(refusal(&stream("Head \"http://r.example/v2/a/manifests/1\": no basic auth credentials")).is_some());
        assert!(
            refusal(&ApiError::DockerResponseServerError {
                status_code: 404,
                message: "pull access denied for a, repository does not exist".to_owned()
            })
            .is_some()
        );
        for passing in
            ["toomanyrequests: slow down", "dial tcp: lookup r.example on 8.8.8.8: not found", "unexpected EOF"]
        {
            assert_eq!(refusal(&stream(passing)), None);
        }
    }

    #[test]
    fn the_longest_prefix_counts_and_ends_at_a_slash() {
        let registry = |prefix: &str| Registry {
            prefix: prefix.to_owned(),
            username: String::new(),
            password: "x".to_owned().into(),
        };
        let registries = [registry("r.example"), registry("r.example/team")];
        let found = |name: &str| of(&registries, &Reference::parse(name).unwrap()).map(|registry| &*registry.prefix);
        assert_eq!(found("r.example/team/a:1"), Some("r.example/team"));
        assert_eq!(found("r.example/teams/a:1"), Some("r.example"));
        assert_eq!(found("r.example.org/a"), None);
    }
}
