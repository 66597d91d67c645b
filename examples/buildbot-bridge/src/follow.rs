//! A run: the order is placed, or found again, and its builds are followed until it is complete.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use taskcluster_worker::outcome::NotOurs;
use taskcluster_worker::stop::Stop;
use taskcluster_worker::{Error, Result, ResultSet, Sandbox, SandboxHandle, TaskContext};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::bridge::Bridge;
use crate::buildbot::BuildbotError;
use crate::order::Order;
use crate::results::BuildResults;
use crate::watch::Watch;

/// How long to wait before Buildbot is called again that did not answer.
const AGAIN: Duration = Duration::from_secs(2);

/// How long a build may take to end that was cancelled.
const GRACE: Duration = Duration::from_secs(30);

/// How often one looks whether it has ended.
const POLL: Duration = Duration::from_millis(250);

/// A run whose builds are followed.
#[derive(Debug)]
pub(crate) struct Following {
    bridge: Bridge,
    task: Arc<TaskContext>,
    order: Order,
    kill: CancellationToken,
}

#[async_trait]
impl Sandbox for Following {
    fn handle(&self) -> Arc<dyn SandboxHandle> {
        Arc::new(self.kill.clone())
    }

    async fn wait(self: Box<Self>) -> Result<Box<dyn ResultSet>> {
        let Some(request) = self.request().await? else { return Ok(Box::new(BuildResults::killed())) };
        let mut watch = Watch::new(&self.bridge, &self.task, request);
        tokio::select! {
            biased;
            () = self.kill.cancelled() => {
                self.let_go(request).await;
                Ok(Box::new(BuildResults::killed()))
            }
            ended = watch.until_complete() => Ok(Box::new(ended?)),
        }
    }
}

impl Following {
    pub(crate) fn new(bridge: Bridge, task: Arc<TaskContext>, order: Order) -> Self {
        Self { bridge, task, order, kill: CancellationToken::new() }
    }

    /// The request of the order, made if there is none. Nothing is given if the run was killed before it was made.
    async fn request(&self) -> Result<Option<u64>> {
        let log = self.task.log();
        let mut doubtful = false;
        while !self.kill.is_cancelled() {
            let error = match self.order.find().await {
                Ok(Some(request)) => {
                    log.info(format!("Buildbot has request {request} for this task already: it is followed"));
                    return Ok(Some(request));
                }
                Ok(None) => match self.order.place().await {
                    Ok(request) => {
                        log.info(format!("Buildbot has taken request {request}"));
                        return Ok(Some(request));
                    }
                    Err(error) => error,
                },
                Err(error) => error,
            };
            if !error.passes() {
                return Err(refused(error));
            }
            if !doubtful {
                log.warn(format!("{error}; trying again"));
            }
            // It may have done what it gave no answer to.
            doubtful = true;
            tokio::select! {
                () = sleep(AGAIN) => {}
                () = self.kill.cancelled() => {}
            }
        }
        Ok(if doubtful { self.order.find().await.ok().flatten() } else { None })
    }

    /// End the build, unless another run of the task will want it.
    async fn let_go(&self, request: u64) {
        let log = self.task.log();
        if let Some(Stop::WorkerShutdown | Stop::NotOurs(NotOurs::ClaimLost)) = self.task.stopped() {
            log.info("the build goes on in Buildbot, where the task's next run finds it");
            return;
        }
        match timeout(GRACE, self.cancel(request)).await {
            Ok(Ok(())) => log.info(format!("Buildbot has cancelled request {request}")),
            Ok(Err(error)) => log.error(format!("the build may go on in Buildbot: {error}")),
            Err(_) => log.error("the build may go on in Buildbot: it has not ended it in time"),
        }
    }

    /// Cancel again and again: one that arrives as a worker takes the request may be lost.
    async fn cancel(&self, request: u64) -> Result<(), BuildbotError> {
        let reason = format!("task {} has ended", self.task.task_id());
        loop {
            let looked = match self.bridge.buildbot.cancel(request, &reason).await {
                Ok(()) => self.bridge.buildbot.request(request).await,
                Err(error) => Err(error),
            };
            match looked {
                Ok(request) if request.complete => return Ok(()),
                Ok(_) => sleep(POLL).await,
                Err(error) if error.passes() => sleep(AGAIN).await,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Whose fault it is that Buildbot does not take an order.
fn refused(error: BuildbotError) -> Error {
    match error {
        BuildbotError::Refused { status: StatusCode::BAD_REQUEST, message } => {
            Error::payload(format!("payload/properties: Buildbot does not take them: {message}"))
        }
        error => Error::worker_caused("cannot order a build", error),
    }
}
