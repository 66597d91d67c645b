//! Asking the overseer, if there is one, whether the worker is needed.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use taskcluster_core::time::Timestamp;

use crate::overseer::{Needed, Overseer};
use crate::worker::WhyDone;

/// A question under way, and when the last one was answered.
pub(super) struct Oversight {
    overseer: Option<Arc<dyn Overseer>>,
    dismissed: BoxFuture<'static, String>,
    asking: Option<BoxFuture<'static, Needed>>,
    answered: Option<Timestamp>,
}

impl Oversight {
    pub(super) fn of(overseer: Option<Arc<dyn Overseer>>) -> Self {
        let watched = overseer.clone();
        let dismissed = async move {
            match watched {
                Some(overseer) => overseer.dismissed().await,
                None => std::future::pending().await,
            }
        };
        Self { overseer, dismissed: dismissed.boxed(), asking: None, answered: None }
    }

    /// Since when a worker has been waiting for the next question that is idle since then. Nothing if one is under way.
    pub(super) fn waiting_since(&self, idle_since: Timestamp) -> Option<Timestamp> {
        match self.asking {
            Some(_) => None,
            None => Some(self.answered.map_or(idle_since, |answered| answered.max(idle_since))),
        }
    }

    /// Ask whether a worker is needed that is idle since then. `false` if there is nobody to ask.
    pub(super) fn ask(&mut self, idle_since: Timestamp, now: Timestamp) -> bool {
        let Some(overseer) = self.overseer.clone() else { return false };
        let idle = now.since(idle_since);
        self.asking = Some(async move { overseer.idle(idle).await }.boxed());
        true
    }

    /// Waits for the overseer's word that the worker is not needed, with which this has done its work. `None` for the word that it is.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub(super) async fn word(&mut self, now: impl Fn() -> Timestamp) -> Option<(WhyDone, String)> {
        let asking = self.asking.as_mut();
        tokio::select! {
            reason = &mut self.dismissed => Some((WhyDone::Dismissed, reason)),
            needed = async { asking.expect("the branch is off otherwise").await }, if asking.is_some() => {
                self.asking = None;
                self.answered = Some(now());
                match needed {
                    Needed::Yes => None,
                    Needed::No(reason) => Some((WhyDone::Idle, reason)),
                }
            }
        }
    }
}
