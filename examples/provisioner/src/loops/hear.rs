//! Hears from the queue that tasks wait, to look sooner, and that they begin, to note how long they have waited. Nothing depends on it:
//! who hears nothing looks every few seconds, and knows no waits.

use std::sync::Arc;

use service_kit::patience::Patience;
use taskcluster::events::{Binding, Bus, Message, Subscription};
use taskcluster::queue::TaskStatus;
use taskcluster::queue::events::{self, TaskPending, TaskRunning};
use taskcluster_core::clock::SharedClock;
use taskcluster_core::ids::RunId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::recorder::Recorder;

#[derive(Clone, Debug)]
pub(crate) struct Hear {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) provisioner_id: Arc<str>,
    pub(crate) recorder: Recorder,
    pub(crate) hint: watch::Sender<u64>,
    pub(crate) clock: SharedClock,
}

/// What both messages have in common.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    status: TaskStatus,
    run_id: RunId,
}

impl Hear {
    /// Until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut patience = Patience::default();
        while !stop.is_cancelled() {
            match stop.run_until_cancelled(self.bus.subscribe(self.bindings())).await {
                None => return,
                Some(Ok(subscription)) => {
                    patience.reset();
                    self.listen(subscription, &stop).await;
                }
                Some(Err(error)) => {
                    if patience.failed() {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(error, "the queue's events are not heard; trying again");
                    }
                }
            }
            patience.wait(&stop).await;
        }
    }

    fn bindings(&self) -> Vec<Binding> {
        let own = &*self.provisioner_id;
        vec![
            Binding::new(TaskPending::EXCHANGE.exchange, events::task_pending().provisioner_id(own).to_string()),
            Binding::new(TaskRunning::EXCHANGE.exchange, events::task_running().provisioner_id(own).to_string()),
        ]
    }

    async fn listen(&self, mut subscription: Subscription, stop: &CancellationToken) {
        while let Some(Some(heard)) = stop.run_until_cancelled(subscription.next()).await {
            match heard {
                Ok(message) => self.take(&message),
                // Something was missed, maybe that a task waits.
                Err(_) => self.look(),
            }
        }
    }

    fn take(&self, message: &Message) {
        if message.exchange == TaskPending::EXCHANGE.exchange {
            return self.look();
        }
        let Ok(Told { status, run_id }) = serde_json::from_slice::<Told>(&message.payload) else { return };
        let run = status.runs.iter().find(|run| run.run_id == run_id);
        if let Some((run, started)) = run.and_then(|run| Some((run, run.started?))) {
            let wait = started.since(run.scheduled);
            self.recorder.began(&status.worker_type, wait, self.clock.now());
        }
    }

    fn look(&self) {
        self.hint.send_modify(|hint| *hint += 1);
    }
}
