//! Asks the service purge-cache which caches are no good any more, and drops them.

use std::sync::Arc;
use std::time::Duration;

use taskcluster::purge_cache::{OpenPurgeRequest, PurgeCache};
use taskcluster_core::time::{Timestamp, hours, minutes};
use taskcluster_core::{Error, chain};
use tokio::sync::Mutex;

use crate::blocking::blocking;
use crate::caches::CacheStore;
use crate::worker::Inner;

/// What is asked for goes back so far behind the last question: answers lag, and clocks differ.
const OVERLAP: Duration = minutes(5);

/// Tasks wait for the answer, but not for long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the clocks seem to differ by because an answer took its time, rather than because one of them is wrong.
const NOISE: Duration = Duration::from_secs(10);

/// A deployment without the service is asked again after this: it may get one.
const ABSENT: Duration = hours(1);

/// One worker's side of purging.
#[derive(Debug)]
pub(super) struct Purge {
    inner: Arc<Inner>,
    service: PurgeCache,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the last question was asked that was answered and obeyed, by the clock of the services.
    asked: Option<Timestamp>,
    /// The service was not there when it was last asked; do not ask before this.
    absent_until: Option<Timestamp>,
    /// The last question failed, and that was said.
    failing: bool,
}

impl Purge {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        let service = PurgeCache::new(inner.caller.clone());
        Self { inner, service, state: Mutex::default() }
    }

    /// Drop what is to be dropped by now. What goes wrong is logged: tasks then run with the caches that there are.
    pub(super) async fn step(&self) {
        let Some(caches) = &self.inner.caches else { return };
        let mut state = self.state.lock().await;
        let now = self.inner.clock.now();
        if state.absent_until.is_some_and(|until| now < until) || self.has_none(caches).await {
            return;
        }
        let asked = self.inner.caller.service_time();
        match self.ask(state.asked).await {
            Ok(requests) => {
                state.failing = false;
                if self.obey(caches, requests).await {
                    state.asked = Some(asked);
                }
            }
            Err(error) if error.is_not_found() => {
                tracing::debug!(error = %chain(&error), "the deployment has no service purge-cache");
                state.absent_until = Some(now + ABSENT);
            }
            Err(error) if state.failing => tracing::debug!(error = %chain(&error), "cannot ask for caches to purge"),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "cannot ask for caches to purge; tasks use those that there are");
                state.failing = true;
            }
        }
    }

    async fn has_none(&self, caches: &CacheStore) -> bool {
        let caches = caches.clone();
        // What cannot be looked at may well be there.
        blocking(move || caches.is_empty()).await.unwrap_or(false)
    }

    /// What is new since the last time; at first, all that is open.
    async fn ask(&self, since: Option<Timestamp>) -> Result<Vec<OpenPurgeRequest>, Error> {
        let request = self.service.purge_requests(self.inner.identity.task_queue_id.as_ref());
        let request = match since {
            Some(since) => request.since(since - OVERLAP),
            None => request,
        };
        Ok(request.deadline(PATIENCE).await?.requests)
    }

    /// Whether all was done.
    async fn obey(&self, caches: &CacheStore, requests: Vec<OpenPurgeRequest>) -> bool {
        let mut done = true;
        for request in requests {
            let before = by_ours(request.before, self.inner.caller.service_time(), self.inner.clock.now());
            let (caches, cache) = (caches.clone(), request.cache_name.clone());
            match blocking(move || caches.purge(&cache, before)).await {
                Ok(purged) if purged.removed + purged.in_use > 0 => {
                    let (cache, removed, in_use) = (request.cache_name, purged.removed, purged.in_use);
                    tracing::info!(cache, removed, in_use, "purging a cache, as was asked");
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(cache = request.cache_name, %error, "cannot purge a cache");
                    done = false;
                }
            }
        }
        done
    }
}

/// A time of the services' clock by ours, by which it is noted when caches are made; both show the present time.
fn by_ours(time: Timestamp, theirs: Timestamp, ours: Timestamp) -> Timestamp {
    match ours.distance(theirs) {
        difference if difference <= NOISE => time,
        ahead if ours > theirs => time + ahead,
        behind => time - behind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_by_ones_own_clock_where_it_differs_by_much() {
        let (theirs, time) = (Timestamp::from_millis(10_000_000), Timestamp::from_millis(9_000_000));
        for (ours, told) in [
            (theirs, time),
            (theirs + NOISE, time),
            (theirs - NOISE, time),
            (theirs + hours(1), time + hours(1)),
            (theirs - hours(1), time - hours(1)),
        ] {
            assert_eq!(by_ours(time, theirs, ours), told);
        }
    }
}
