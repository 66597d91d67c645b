//! The provisioner says how long a worker is needed.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use taskcluster::provisioner::Provisioner;
use taskcluster_core::{Error, Timestamp, chain};
use taskcluster_worker::{Needed, Overseer};
use tokio::time::{Instant, sleep};

/// How often a worker asks beside its tasks.
const EVERY: Duration = Duration::from_secs(15);

/// An idle worker that nobody has answered for so long goes by itself.
const ALONE: Duration = Duration::from_secs(60 * 60);

/// A worker takes no more tasks so long before its credentials end.
const BEFORE_THE_END: Duration = Duration::from_secs(10 * 60);

/// Asks `shouldTerminate`.
#[derive(Debug)]
pub(crate) struct Oversight {
    provisioner: Provisioner,
    worker_type: String,
    worker_id: String,
    /// When the worker's credentials end.
    expires: Option<Timestamp>,
    every: Duration,
    silence: Mutex<Silence>,
}

/// Since when nobody has answered.
#[derive(Debug)]
struct Silence {
    since: Instant,
    said: bool,
}

impl Oversight {
    pub(super) fn new(provisioner: Provisioner, worker_type: &str, worker_id: &str) -> Self {
        let silence = Mutex::new(Silence { since: Instant::now(), said: false });
        let (worker_type, worker_id) = (worker_type.to_owned(), worker_id.to_owned());
        Self { provisioner, worker_type, worker_id, expires: None, every: EVERY, silence }
    }

    /// With credentials that end then.
    pub(super) fn until(mut self, expires: Option<Timestamp>) -> Self {
        self.expires = expires;
        self
    }

    /// Ask whether the worker is needed, which is idle or not. The error: for how long nobody has answered by now.
    async fn ask(&self, idle: bool) -> Result<Needed, Duration> {
        let answer = self.provisioner.should_terminate(&self.worker_type, &self.worker_id).idle(idle).await;
        let needed = match answer {
            Ok(answer) if answer.terminate => Needed::No(format!("the provisioner says: {}", answer.reason)),
            Ok(_) => Needed::Yes,
            Err(error) if error.is_not_found() => Needed::No("the provisioner knows no such instance".to_owned()),
            Err(error) => return Err(self.unanswered(&error)),
        };
        *self.silence.lock().expect("nothing panics holding it") = Silence { since: Instant::now(), said: false };
        Ok(needed)
    }

    fn unanswered(&self, error: &Error) -> Duration {
        let mut silence = self.silence.lock().expect("nothing panics holding it");
        if !silence.said {
            tracing::warn!(error = %chain(error), "cannot ask the provisioner whether this worker is needed; it stays");
            silence.said = true;
        }
        silence.since.elapsed()
    }

    /// Waits until the credentials are about to end.
    async fn outlived(&self) {
        let Some(expires) = self.expires else { return std::future::pending().await };
        sleep(expires.since(Timestamp::now()).saturating_sub(BEFORE_THE_END)).await;
    }

    async fn told(&self) -> String {
        loop {
            sleep(self.every).await;
            if let Ok(Needed::No(reason)) = self.ask(false).await {
                return reason;
            }
        }
    }
}

#[async_trait]
impl Overseer for Oversight {
    async fn idle(&self, idle: Duration) -> Needed {
        match self.ask(true).await {
            Ok(needed) => needed,
            Err(unanswered) if idle.min(unanswered) >= ALONE => {
                Needed::No(format!("it is idle, and nobody has answered for {} minutes", unanswered.as_secs() / 60))
            }
            Err(_) => Needed::Yes,
        }
    }

    async fn dismissed(&self) -> String {
        tokio::select! {
            reason = self.told() => reason,
            () = self.outlived() => "its credentials are about to end".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use taskcluster::Taskcluster;
    use taskcluster::provisioner::ShouldTerminateResponse;
    use taskcluster_core::clock::SystemClock;
    use taskcluster_core::transport::in_process;
    use taskcluster_core::{Credentials, RetryPolicy};
    use taskcluster_server::authenticator::Fixed;
    use taskcluster_server::provisioner::{ProvisionerMock, router};
    use taskcluster_server::{Failure, Parts, References, ServiceRouter, site};

    use super::*;

    /// The part of the worker `i-1` of the type `linux`, which may ask for itself and nobody else.
    fn oversight(mock: Arc<ProvisionerMock>) -> Oversight {
        let parts = Parts {
            root_url: "https://tc.example".into(),
            authenticator: Arc::new(Fixed::new("worker", ["provisioner:should-terminate:linux/i-1"])),
            clock: SystemClock::shared(),
            references: References::embedded(),
            version: "0".into(),
        };
        let transport = in_process(site([ServiceRouter::new(router(mock), parts).unwrap()]));
        let tc = Taskcluster::builder("https://tc.example").credentials(Credentials::new("worker", "token"));
        let tc = tc.transport(transport).retry(RetryPolicy::never()).build().unwrap();
        Oversight::new(tc.provisioner(), "linux", "i-1")
    }

    fn away() -> Arc<ProvisionerMock> {
        let mock = Arc::new(ProvisionerMock::new());
        mock.on_should_terminate(|_, _, _, _| Err(Failure::internal("away")));
        mock
    }

    #[tokio::test]
    async fn an_idle_worker_is_told() {
        let mock = Arc::new(ProvisionerMock::new());
        mock.on_should_terminate(|_, worker_type, id, query| {
            assert_eq!((&*worker_type, &*id, query.idle.as_deref()), ("linux", "i-1", Some("true")));
            Ok(ShouldTerminateResponse::new(true, "there is no work").into())
        });
        let said = oversight(mock.clone()).idle(Duration::from_secs(60)).await;
        assert_eq!(said, Needed::No("the provisioner says: there is no work".to_owned()));
        mock.on_should_terminate(|_, _, _, _| Ok(ShouldTerminateResponse::new(false, "there is some").into()));
        assert_eq!(oversight(mock.clone()).idle(Duration::from_secs(60)).await, Needed::Yes);
        mock.on_should_terminate(|_, _, _, _| Err(Failure::not_found("There is no such instance.")));
        assert!(matches!(oversight(mock).idle(Duration::from_secs(60)).await, Needed::No(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_nobody_answers_goes_when_it_was_idle_for_an_hour() {
        let oversight = oversight(away());
        let hour = Duration::from_secs(3600);
        assert_eq!(oversight.idle(hour).await, Needed::Yes, "it was answered of late");
        sleep(hour).await;
        assert_eq!(oversight.idle(Duration::from_secs(60)).await, Needed::Yes, "it was not idle for long");
        assert!(matches!(oversight.idle(hour).await, Needed::No(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_asks_beside_its_tasks_whoever_is_away_for_a_while() {
        let (mock, times) = (Arc::new(ProvisionerMock::new()), AtomicU32::new(0));
        mock.on_should_terminate(move |_, _, _, query| {
            assert_eq!(query.idle.as_deref(), Some("false"));
            match times.fetch_add(1, Ordering::SeqCst) {
                0 => Ok(ShouldTerminateResponse::new(false, "there is work").into()),
                1 => Err(Failure::internal("away")),
                _ => Ok(ShouldTerminateResponse::new(true, "there is a new version").into()),
            }
        });
        let began = Instant::now();
        let said = oversight(mock.clone()).dismissed().await;
        assert_eq!(said, "the provisioner says: there is a new version");
        assert_eq!((mock.calls().len(), began.elapsed().as_secs() / EVERY.as_secs()), (3, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_goes_before_its_credentials_end() {
        let (began, in_a_day) = (Instant::now(), Duration::from_secs(86400));
        let said = oversight(away()).until(Some(Timestamp::now() + in_a_day)).dismissed().await;
        assert_eq!(said, "its credentials are about to end");
        assert!(began.elapsed() < in_a_day);
    }
}
