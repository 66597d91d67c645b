//! The connection to a Docker engine, made when it is first needed.

use std::time::Duration;

use bollard::errors::Error as ApiError;
use tokio::sync::OnceCell;

use super::stops::GRACE;
use super::{ProviderError, Result};

/// An answer that takes longer is none. A pass waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The same for what goes on beside the passes: nothing takes longer to be answered than a stop.
const LONGEST: u64 = GRACE.as_secs() + 60;

/// What is no address of an engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address of a Docker engine: unix://PATH or tcp://HOST:PORT")]
pub struct AddressError(String);

/// Where it listens.
#[derive(Clone, Debug)]
enum Address {
    Unix(String),
    Tcp(String),
}

/// An engine.
#[derive(Debug)]
pub(super) struct Engine {
    address: Address,
    api: OnceCell<bollard::Docker>,
}

impl Engine {
    pub(super) fn new(url: &str) -> Result<Self, AddressError> {
        let address = match (url.strip_prefix("unix://"), url.strip_prefix("tcp://")) {
            (Some(path), _) if path.starts_with('/') => Address::Unix(path.to_owned()),
            (_, Some(name)) if !name.is_empty() => Address::Tcp(name.to_owned()),
            _ => return Err(AddressError(url.to_owned())),
        };
        Ok(Self { address, api: OnceCell::new() })
    }

    /// Whether its paths are those of this machine.
    pub(super) fn is_local(&self) -> bool {
        matches!(self.address, Address::Unix(_))
    }

    /// The engine's API, in a version that both sides know.
    pub(super) async fn api(&self) -> Result<&bollard::Docker> {
        self.api.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<bollard::Docker> {
        let version = bollard::API_DEFAULT_VERSION;
        let (name, api) = match &self.address {
            Address::Unix(path) => (path, bollard::Docker::connect_with_unix(path, LONGEST, version)),
            Address::Tcp(name) => (name, bollard::Docker::connect_with_http(name, LONGEST, version)),
        };
        let what = format!("be reached at {name}");
        let api = api.map_err(|error| away(&what, error))?;
        ask(&what, api.negotiate_version()).await?.map_err(|answer| answer.away(&what))
    }
}

/// An engine's answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Of HTTP. Source: Docker Engine API.
    pub(super) status: u16,
    /// What it says, for people to read.
    pub(super) message: String,
}

impl Answer {
    /// It passes.
    pub(super) fn away(self, what: &str) -> ProviderError {
        ProviderError::Away { message: format!("Docker cannot {what}: {}", self.message), source: None }
    }

    /// It does not pass.
    pub(super) fn refused(self, what: &str) -> ProviderError {
        ProviderError::Refused(format!("Docker cannot {what}: {}", self.message))
    }
}

/// What the engine answers.
///
/// # Errors
/// It does not.
pub(super) async fn ask<T>(what: &str, answer: impl Future<Output = Result<T, ApiError>>) -> Result<Result<T, Answer>> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => Ok(Ok(answer)),
        Ok(Err(ApiError::DockerResponseServerError { status_code: status, message })) => {
            Ok(Err(Answer { status, message }))
        }
        Ok(Err(error)) => Err(away(what, error)),
        Err(elapsed) => Err(away(what, elapsed)),
    }
}

fn away(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> ProviderError {
    ProviderError::away(format!("Docker cannot {what}"), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_how_to_connect() {
        assert!(Engine::new("unix:///run/docker.sock").unwrap().is_local());
        assert!(!Engine::new("tcp://127.0.0.1:2375").unwrap().is_local());
        for wrong in ["", "/run/docker.sock", "unix://docker.sock", "http://127.0.0.1:2375", "tcp://"] {
            assert_eq!(Engine::new(wrong).unwrap_err(), AddressError(wrong.to_owned()));
        }
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_away() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::new(&format!("unix://{}/none", dir.path().display())).unwrap();
        assert!(matches!(engine.api().await, Err(ProviderError::Away { .. })));
    }
}
