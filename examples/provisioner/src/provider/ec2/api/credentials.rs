//! As whom EC2 is asked: keys of the configuration, of the environment, or of the role that the machine has.

use std::fmt;
use std::time::Duration;

use http::{Method, Request};
use serde::Deserialize;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::secret::Secret;
use taskcluster_core::time::Timestamp;
use taskcluster_core::transport::{Body, Transport};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::ApiError;

/// Where machines of EC2 find out about themselves.
pub const METADATA: &str = "http://169.254.169.254";

/// How long before their end credentials of a role are renewed. EC2 has new ones at least five minutes before.
const AHEAD: Duration = Duration::from_secs(4 * 60);

/// How long the metadata service may take. Where there is none, nobody answers at all.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest answer of the metadata service.
const MAX_ANSWER: usize = 64 * 1024;

/// Keys of AWS.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "it is what AWS gives")]
pub struct Credentials {
    /// Says who asks.
    pub access_key_id: String,
    /// Proves it.
    pub secret_access_key: Secret,
    /// What temporary keys come with.
    pub session_token: Option<Secret>,
}

/// Where credentials come from.
#[derive(Debug)]
#[non_exhaustive]
pub enum CredentialsSource {
    /// They are known.
    Static(Credentials),
    /// They are those of the role that this machine has.
    Role(Role),
}

/// The role of the machine, as its metadata service tells of it (IMDSv2).
pub struct Role {
    transport: Transport,
    clock: SharedClock,
    metadata: String,
    held: Mutex<Option<(Credentials, Timestamp)>>,
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Role").field("metadata", &self.metadata).finish_non_exhaustive()
    }
}

/// What the metadata service says of a role.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Granted {
    access_key_id: String,
    secret_access_key: Secret,
    token: Secret,
    expiration: Timestamp,
}

impl CredentialsSource {
    /// Those of the environment's variables `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, if it has any.
    #[must_use]
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let said = |name| variable(name).filter(|value| !value.is_empty());
        Some(Self::Static(Credentials {
            access_key_id: said("AWS_ACCESS_KEY_ID")?,
            secret_access_key: said("AWS_SECRET_ACCESS_KEY")?.into(),
            session_token: said("AWS_SESSION_TOKEN").map(Into::into),
        }))
    }

    pub(super) async fn get(&self) -> Result<Credentials, ApiError> {
        match self {
            Self::Static(credentials) => Ok(credentials.clone()),
            Self::Role(role) => role.get().await,
        }
    }
}

impl Role {
    /// The role that the metadata service at this address knows, such as [`METADATA`].
    #[must_use]
    pub fn new(transport: Transport, clock: SharedClock, metadata: impl Into<String>) -> Self {
        Self { transport, clock, metadata: metadata.into(), held: Mutex::new(None) }
    }

    async fn get(&self) -> Result<Credentials, ApiError> {
        // Held meanwhile, so that one asks and the others get what it has found.
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        if let Some((credentials, ends)) = &*held
            && *ends > now + AHEAD
        {
            return Ok(credentials.clone());
        }
        match (self.fetch().await, &*held) {
            (Ok(granted), _) => {
                let ends = granted.expiration;
                let credentials = Credentials {
                    access_key_id: granted.access_key_id,
                    secret_access_key: granted.secret_access_key,
                    session_token: Some(granted.token),
                };
                *held = Some((credentials.clone(), ends));
                Ok(credentials)
            }
            (Err(_), Some((credentials, ends))) if *ends > now => Ok(credentials.clone()),
            (Err(problem), _) => Err(ApiError::Credentials(problem)),
        }
    }

    async fn fetch(&self) -> Result<Granted, String> {
        let token = self.ask(Method::PUT, "/latest/api/token", ("x-aws-ec2-metadata-token-ttl-seconds", "300")).await?;
        let header = ("x-aws-ec2-metadata-token", &*token);
        let folder = "/latest/meta-data/iam/security-credentials/";
        let roles = self.ask(Method::GET, folder, header).await?;
        let role = roles.lines().next().filter(|role| !role.is_empty()).ok_or("this machine has no role")?;
        let granted = self.ask(Method::GET, &format!("{folder}{role}"), header).await?;
        serde_json::from_str(&granted)
            .map_err(|_| format!("what the metadata service says of the role {role} makes no sense"))
    }

    async fn ask(&self, method: Method, path: &str, header: (&str, &str)) -> Result<String, String> {
        let problem =
            |what: &dyn fmt::Display| format!("the metadata service at {} does not tell {path}: {what}", self.metadata);
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.metadata))
            .header(header.0, header.1)
            .body(Body::empty())
            .map_err(|error| problem(&error))?;
        let answer = async {
            let answer = self.transport.send(request).await.map_err(|error| problem(&error))?;
            let status = answer.status();
            let body = answer.into_body().collect(MAX_ANSWER).await.map_err(|error| problem(&error))?;
            if !status.is_success() {
                return Err(problem(&format!("status {status}")));
            }
            String::from_utf8(body.into()).map_err(|error| problem(&error))
        };
        timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(problem(&"nobody answers")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::Response;
    use taskcluster_core::clock::{Clock, ManualClock};
    use taskcluster_core::transport::TransportError;

    use super::*;

    /// A metadata service that gives a new key each time, good for an hour, unless it is told to fail.
    fn metadata(clock: &ManualClock, given: &Arc<AtomicUsize>, fails_from: usize) -> Role {
        let (told, given) = (clock.clone(), Arc::clone(given));
        let service = tower::service_fn(move |request: Request<Body>| {
            let header =
                |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let allowed = header("x-aws-ec2-metadata-token").as_deref() == Some("a token");
            let (status, body) = match (request.method().as_str(), request.uri().path()) {
                ("PUT", "/latest/api/token") if header("x-aws-ec2-metadata-token-ttl-seconds").is_some() => {
                    (200, "a token".to_owned())
                }
                ("GET", "/latest/meta-data/iam/security-credentials/") if allowed => (200, "provisioner".to_owned()),
                ("GET", "/latest/meta-data/iam/security-credentials/provisioner") if allowed => {
                    let number = given.fetch_add(1, Ordering::SeqCst);
                    let ends = told.now() + Duration::from_secs(3600);
                    let body = serde_json::json!({
                        "Code": "Success", "AccessKeyId": format!("key {number}"), "SecretAccessKey": "s", "Token": "t",
                        "Expiration": ends,
                    });
                    (if number >= fails_from { 500 } else { 200 }, body.to_string())
                }
                _ => (401, String::new()),
            };
            let answer = Response::builder().status(status).body(Body::from(body)).unwrap();
            async move { Ok::<_, TransportError>(answer) }
        });
        Role::new(Transport::new(service), clock.shared(), METADATA)
    }

    #[tokio::test]
    async fn those_of_the_role_are_kept_until_shortly_before_their_end() {
        let (clock, given) = (ManualClock::default(), Arc::default());
        let role = metadata(&clock, &given, 2);
        let key =
            async || role.get().await.map(|credentials| credentials.access_key_id).map_err(|error| error.to_string());
        assert_eq!(key().await.unwrap(), "key 0");
        clock.advance(Duration::from_secs(55 * 60));
        assert_eq!(key().await.unwrap(), "key 0");
        clock.advance(Duration::from_secs(2 * 60));
        assert_eq!(key().await.unwrap(), "key 1");
        // It fails from now on: what is good still is used as long as it is.
        clock.advance(Duration::from_secs(58 * 60));
        assert_eq!(key().await.unwrap(), "key 1");
        clock.advance(Duration::from_secs(3 * 60));
        assert!(key().await.unwrap_err().contains("status 500"));
    }

    #[test]
    fn the_environment_has_all_of_them_or_none() {
        let source = |variables: &'static [(&str, &str)]| {
            let find =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            match CredentialsSource::of(find)? {
                CredentialsSource::Static(credentials) => Some(credentials),
                CredentialsSource::Role(_) => None,
            }
        };
        assert!(source(&[("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "")]).is_none());
        let found = source(&[("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "hidden")]).unwrap();
        assert_eq!((&*found.access_key_id, found.session_token), ("key", None));
        assert!(!format!("{:?}", found.secret_access_key).contains("hidden"));
    }
}
