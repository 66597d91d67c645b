//! The secret of a worker: fetched, and removed.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use taskcluster::Taskcluster;
use taskcluster::provisioner::Provisioner;
use taskcluster_core::credentials::Credentials;
use taskcluster_core::secret::Secret;
use taskcluster_core::{Error, RetryPolicy, chain};
use tokio::time::{Instant, sleep};

use super::{UserData, credentials};
use crate::layers::Layer;

/// For how long a provisioner that does not answer is asked, in all.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// The first wait before it is asked again; it doubles.
const AGAIN: Duration = Duration::from_secs(1);

/// The longest.
const AT_MOST: Duration = Duration::from_secs(30);

/// Where the secret is.
pub(super) struct Door {
    provisioner: Provisioner,
    token: Secret,
    worker_id: String,
    until: Instant,
    again: Duration,
}

/// What was there.
pub(super) struct WorkerSecret {
    pub(super) credentials: Credentials,
    data: Map<String, Value>,
}

impl WorkerSecret {
    /// Keys of the configuration in its `config`.
    pub(super) fn layer(&self) -> Result<Layer> {
        Layer::of_json("config in the secret of this worker", self.data.get("config"))
    }
}

impl Door {
    pub(super) fn new(user_data: &UserData) -> Result<Self> {
        // The token is all that is needed. It is asked again here, where somebody is told so.
        let once = RetryPolicy::never().with_attempt_timeout(ANSWER);
        let tc = Taskcluster::builder(user_data.provisioner()).retry(once).build();
        let tc = tc.context("the provisioner cannot be called")?;
        Ok(Self::at(tc.provisioner(), user_data.security_token.clone(), &user_data.worker_id))
    }

    fn at(provisioner: Provisioner, token: Secret, worker_id: &str) -> Self {
        Self { provisioner, token, worker_id: worker_id.to_owned(), until: Instant::now() + PATIENCE, again: AGAIN }
    }

    pub(super) async fn fetch(&self) -> Result<WorkerSecret> {
        let token = self.token.expose();
        let answer = self.ask("fetch its secret", async || self.provisioner.get_secret(token).await).await?;
        tracing::info!(
            client.id = answer.credentials.client_id,
            scopes = answer.scopes.join(" "),
            "the secret of this worker is fetched",
        );
        Ok(WorkerSecret { credentials: credentials::read(&answer.credentials)?, data: answer.data.into_exposed() })
    }

    pub(super) async fn started(&self) -> Result<()> {
        let (id, token) = (&*self.worker_id, self.token.expose());
        self.ask("say that it is up", async || self.provisioner.instance_started(id, token).await).await
    }

    pub(super) async fn remove(&self) -> Result<()> {
        let token = self.token.expose();
        self.ask("have its secret removed", async || self.provisioner.remove_secret(token).await).await
    }

    /// Call until there is an answer, or no more time. Every call may be repeated: an answer that was lost does no harm.
    async fn ask<T>(&self, what: &str, call: impl AsyncFn() -> Result<T, Error>) -> Result<T> {
        let mut wait = self.again;
        loop {
            let error = match call().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if error.is_not_found() {
                bail!(
                    "the provisioner does not know the token of the worker {} (any more): it is not wanted, its time to begin is over, or it had its secret removed before",
                    self.worker_id,
                );
            }
            let told = self.without_token(&error);
            if !error.is_retryable() || Instant::now() + wait > self.until {
                bail!("the worker {} cannot {what}: {told}", self.worker_id);
            }
            tracing::warn!(error = told, "the worker cannot {what}; it tries again");
            sleep(wait).await;
            wait = (wait * 2).min(AT_MOST);
        }
    }

    /// A service may repeat what it was asked for.
    fn without_token(&self, error: &Error) -> String {
        chain(error).to_string().replace(self.token.expose(), "…")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use taskcluster_core::clock::SystemClock;
    use taskcluster_core::transport::in_process;
    use taskcluster_server::authenticator::Fixed;
    use taskcluster_server::provisioner::{ProvisionerMock, router};
    use taskcluster_server::{Failure, Parts, References, ServiceRouter, site};

    use super::*;

    const TOKEN: &str = "VGpNuxlyRmmSFErj1YAj8w";

    fn door(mock: Arc<ProvisionerMock>) -> Door {
        let parts = Parts {
            root_url: "https://tc.example".into(),
            authenticator: Arc::new(Fixed::new("nobody", [""; 0])),
            clock: SystemClock::shared(),
            references: References::embedded(),
            version: "0".into(),
        };
        let transport = in_process(site([ServiceRouter::new(router(mock), parts).unwrap()]));
        let tc = Taskcluster::builder("https://tc.example").transport(transport).retry(RetryPolicy::never());
        let mut door = Door::at(tc.build().unwrap().provisioner(), TOKEN.into(), "i-1");
        door.again = Duration::from_millis(1);
        door
    }

    #[tokio::test]
    async fn a_provisioner_that_is_away_for_a_while_is_asked_again() {
        let (mock, times) = (Arc::new(ProvisionerMock::new()), AtomicU32::new(0));
        mock.on_remove_secret(move |_, token| {
            assert_eq!(token, TOKEN);
            if times.fetch_add(1, Ordering::SeqCst) < 3 { Err(Failure::internal("away")) } else { Ok(().into()) }
        });
        door(mock.clone()).remove().await.unwrap();
        assert_eq!(mock.calls().len(), 4);
    }

    #[tokio::test]
    async fn patience_ends() {
        let mock = Arc::new(ProvisionerMock::new());
        mock.on_get_secret(|_, token| Err(Failure::internal(format!("{token} is out of reach"))));
        let mut door = door(mock);
        door.until = Instant::now() + Duration::from_millis(20);
        let error = format!("{:#}", door.fetch().await.err().unwrap());
        assert!(error.starts_with("the worker i-1 cannot fetch its secret: ") && !error.contains(TOKEN), "{error}");
    }

    #[tokio::test]
    async fn a_token_that_is_unknown_ends_it_at_once() {
        let mock = Arc::new(ProvisionerMock::new());
        mock.on_instance_started(|_, _, _| Err(Failure::not_found("There is no such secret.")));
        let error = door(mock.clone()).started().await.unwrap_err().to_string();
        assert!(error.starts_with("the provisioner does not know the token of the worker i-1"), "{error}");
        assert_eq!(mock.calls().len(), 1);
    }
}
