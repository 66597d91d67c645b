//! Passes: look, decide, act, again and again. A pass may be cut off anywhere: the next one looks anew, and is right.
//!
//! What is listed at providers is asked for *before* the instances are read that we know of. Each of these was noted before it was
//! launched, so what a provider lists and we do not know was forgotten, and is ended.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use service_kit::store::StoreError;
use service_kit::sweep::{Next, Sweep};
use taskcluster::queue::Queue;
use taskcluster_core::clock::SharedClock;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::decide::{Decision, Sight, decide};
use crate::fleet::Gauge;
use crate::instance::{Instance, State};
use crate::life::Seen;
use crate::observe;
use crate::policy::Policy;
use crate::provider::{Phase, Providers, Sighting};
use crate::recorder::Recorder;
use crate::store::{Lead, Pass, Store};
use crate::worker_type::{Lifecycle, WorkerType};

mod act;
mod fixed;
mod launch;

/// From one pass to the next, unless there is a reason to look sooner.
pub(crate) const PERIOD: Duration = Duration::from_secs(10);

/// A process that says nothing for so long does not lead any more.
const LEAD: Duration = Duration::from_secs(60);

/// How long to wait before one looks again whether instances have ended.
const WAIT: Duration = Duration::from_millis(200);

/// How often a process that does not lead asks whether it may.
const FOLLOW: Duration = Duration::from_secs(5);

#[derive(Clone, Debug)]
pub(crate) struct Passes {
    pub(crate) store: Store,
    pub(crate) providers: Providers,
    pub(crate) queue: Queue,
    pub(crate) policy: Arc<dyn Policy>,
    pub(crate) provisioner_id: Arc<str>,
    pub(crate) launches: Launches,
    pub(crate) recorder: Recorder,
    pub(crate) lead: Lead,
    pub(crate) hints: watch::Receiver<u64>,
    /// Held during a pass: two of one process would both lead, and launch the same twice.
    pub(crate) turn: Arc<Mutex<()>>,
    /// Cancelled when nothing is to be started any more.
    pub(crate) closing: CancellationToken,
    pub(crate) clock: SharedClock,
}

pub(crate) use fixed::trouble;
pub(crate) use launch::Launches;

/// What providers list, by the names that we gave.
#[derive(Debug, Default)]
struct Listed {
    /// By the kind of provider; none of one that does not answer.
    by_provider: BTreeMap<&'static str, HashMap<String, Sighting>>,
    /// Why providers do not answer.
    away: BTreeMap<&'static str, String>,
}

impl Sweep for Passes {
    const NAME: &'static str = "provisioning";
    type Error = StoreError;

    async fn step(&self) -> Result<Next, StoreError> {
        let _turn = self.turn.lock().await;
        let now = self.clock.now();
        if self.closing.is_cancelled() || !self.store.lead(&self.lead, now + LEAD, now).await? {
            // What was gathered while this process led. Another gathers now.
            self.recorder.flush(&self.store, now, true).await?;
            self.recorder.retain(&[]);
            return Ok(Next::At(now + FOLLOW));
        }
        self.pass().await?;
        let now = self.clock.now();
        self.store.pass_ended(&self.lead, now).await?;
        self.recorder.flush(&self.store, now, false).await?;
        Ok(Next::At(now + PERIOD))
    }

    fn hints(&self) -> Option<watch::Receiver<u64>> {
        Some(self.hints.clone())
    }
}

impl Passes {
    /// One pass over all worker types.
    async fn pass(&self) -> Result<(), StoreError> {
        let listed = self.list().await;
        let mut instances: BTreeMap<String, Vec<Instance>> = BTreeMap::new();
        for instance in self.store.live().await? {
            instances.entry(instance.worker_type.clone()).or_default().push(instance);
        }
        self.end_orphans(&listed, &instances).await;
        let worker_types = self.store.worker_types("", usize::MAX).await?;
        for worker_type in &worker_types {
            let now = self.clock.now();
            // It may take long to ask and to launch.
            if !self.store.keep_lead(&self.lead, now + LEAD).await? {
                return Ok(());
            }
            let own = instances.remove(&worker_type.name).unwrap_or_default();
            self.pass_over(worker_type, own, &listed).await?;
        }
        for removed in instances.into_values() {
            self.live_on(removed, &listed).await?;
        }
        self.recorder.retain(&worker_types.iter().map(|worker_type| &*worker_type.name).collect::<Vec<_>>());
        self.launch().await?;
        self.end(&listed).await
    }

    /// At the end of the process: others need not wait until it is clear that it says nothing any more.
    pub(crate) async fn leave(&self) {
        let now = self.clock.now();
        let left = async {
            self.recorder.flush(&self.store, now, true).await?;
            self.store.leave(&self.lead).await
        };
        if let Err(error) = left.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the lead was not left to others");
        }
    }

    /// Makes no more passes, and has all instances end, again and again until none is left.
    pub(crate) async fn end_all(&self, reason: &'static str) -> Result<(), StoreError> {
        self.closing.cancel();
        // What a pass has begun is seen below.
        let _turn = self.turn.lock().await;
        loop {
            let now = self.clock.now();
            self.store.lead(&self.lead, now + LEAD, now).await?;
            let live = self.store.live().await?;
            if live.is_empty() {
                // What providers still tell of what is gone.
                self.end_orphans(&self.list().await, &BTreeMap::new()).await;
                return Ok(());
            }
            let worker_types: BTreeSet<String> = live.into_iter().map(|instance| instance.worker_type).collect();
            for worker_type in worker_types {
                self.store.stop_all(&worker_type, reason, self.clock.now()).await?;
            }
            let listed = self.list().await;
            let left = self.store.live().await?;
            self.end(&listed).await?;
            self.live_on(left, &listed).await?;
            tokio::time::sleep(WAIT).await;
        }
    }

    async fn list(&self) -> Listed {
        let mut listed = Listed::default();
        for provider in self.providers.iter() {
            match provider.list().await {
                Ok(sightings) => {
                    let by_name = sightings.into_iter().map(|sighting| (sighting.instance_id.clone(), sighting));
                    listed.by_provider.insert(provider.kind(), by_name.collect());
                }
                Err(error) => {
                    let error = taskcluster_core::chain(&error).to_string();
                    tracing::warn!(provider = provider.kind(), error, "a provider does not say what there is");
                    listed.away.insert(provider.kind(), error);
                }
            }
        }
        listed
    }

    /// One pass over a worker type.
    async fn pass_over(
        &self,
        worker_type: &WorkerType,
        instances: Vec<Instance>,
        listed: &Listed,
    ) -> Result<(), StoreError> {
        let name = &worker_type.name;
        match self.decision(worker_type, instances, listed).await {
            Ok((decision, gauge)) => {
                self.recorder.gauge(name, gauge, self.clock.now());
                self.carry_out(worker_type, decision).await
            }
            Err(Blind::Store(error)) => Err(error),
            Err(Blind::Unanswered(reason)) => {
                tracing::warn!(worker_type = name, reason, "nothing is done about a worker type");
                let why = vec![format!("Nothing is done: {reason}.")];
                let desired = self.store.pass(name).await?.map_or(0, |pass| pass.desired);
                self.store.put_pass(name, &Pass { ended: self.clock.now(), desired, why }).await
            }
        }
    }

    async fn decision(
        &self,
        worker_type: &WorkerType,
        instances: Vec<Instance>,
        listed: &Listed,
    ) -> Result<(Decision, Gauge), Blind> {
        let now = self.clock.now();
        let (name, provisioner_id) = (&worker_type.name, &*self.provisioner_id);
        let unanswered = |what: &str, error: taskcluster_core::Error| {
            Blind::Unanswered(format!("the queue does not say {what}: {}", taskcluster_core::chain(&error)))
        };
        let demand = observe::demand(&self.queue, &format!("{provisioner_id}/{name}"), now).await;
        let demand = demand.map_err(|error| unanswered("what waits", error))?;
        let workers = observe::workers(&self.queue, provisioner_id, name).await;
        let workers = workers.map_err(|error| unanswered("who works", error))?;
        let seen = self.seen(instances, listed, &workers)?;
        self.note_launched(&seen).await?;
        if let Some(existing) = fixed::existing(&self.providers, worker_type) {
            let (decision, gauge) = fixed::looked_at(worker_type, demand, &existing, &workers, now);
            return Ok((Decision { changes: fixed::replaced(worker_type, &seen, now), ..decision }, gauge));
        }
        let failures = self.store.failures(name).await?;
        let sight = Sight { worker_type, demand, seen: &seen, failures: &failures, now };
        let decision = decide(&sight, &*self.policy);
        let gauge = gauge(&decision, &seen, demand);
        Ok((decision, gauge))
    }

    /// Instances with what is said of them.
    fn seen(&self, instances: Vec<Instance>, listed: &Listed, workers: &observe::Workers) -> Result<Vec<Seen>, Blind> {
        let mut all = Vec::with_capacity(instances.len());
        for instance in instances {
            if let Some(error) = listed.away.get(&*instance.provider) {
                return Err(Blind::Unanswered(format!("the provider {} does not answer: {error}", instance.provider)));
            }
            let Some(sightings) = listed.by_provider.get(&*instance.provider) else {
                return Err(Blind::Unanswered(format!("there is no provider {:?} any more", instance.provider)));
            };
            let sighting = sightings.get(&instance.id).cloned();
            let activity = workers.get(&instance.worker_group, &instance.id);
            all.push(Seen { instance, sighting, activity });
        }
        Ok(all)
    }

    /// Takes down what providers call instances, where their answer was lost. What is only asked for there is asked for again.
    async fn note_launched(&self, seen: &[Seen]) -> Result<(), StoreError> {
        for Seen { instance, sighting, .. } in seen {
            let there = sighting.as_ref().filter(|sighting| sighting.phase != Phase::Requested);
            if let (Some(sighting), None) = (there, &instance.provider_id) {
                self.store.launched(&instance.id, &sighting.provider_id).await?;
            }
        }
        Ok(())
    }

    /// What becomes by itself of instances whose worker type was removed.
    async fn live_on(&self, instances: Vec<Instance>, listed: &Listed) -> Result<(), StoreError> {
        let now = self.clock.now();
        match self.seen(instances, listed, &observe::Workers::default()) {
            Ok(seen) => {
                // It was to stop with its type already, unless a pass wished for it in that very moment.
                let stop = |seen: &Seen| {
                    let stops = seen.instance.state < State::Stopping;
                    stops.then(|| seen.to(State::Stopping, "its worker type was removed".to_owned()))
                };
                let next =
                    |seen: &Seen| seen.next(&Lifecycle::default(), now).filter(|change| change.to > State::Draining);
                let changes = seen.iter().filter_map(|seen| next(seen).or_else(|| stop(seen))).collect();
                self.store.change(&self.lead, changes, now).await.map(drop)
            }
            Err(Blind::Store(error)) => Err(error),
            Err(Blind::Unanswered(reason)) => {
                tracing::warn!(reason, "nothing is done about what is left of a worker type");
                Ok(())
            }
        }
    }
}

/// Why nothing can be decided.
enum Blind {
    Store(StoreError),
    Unanswered(String),
}

impl From<StoreError> for Blind {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What there is, after this decision.
fn gauge(decision: &Decision, seen: &[Seen], demand: crate::decide::Demand) -> Gauge {
    let capacity = |is: &dyn Fn(State) -> bool| -> u32 {
        seen.iter().filter(|seen| is(seen.instance.state)).map(|seen| seen.instance.capacity).sum()
    };
    let price = seen.iter().filter(|seen| seen.sighting.is_some()).map(|seen| seen.instance.price).sum();
    Gauge {
        pending: demand.pending,
        claimed: demand.claimed,
        requested: capacity(&|state| state == State::Requested),
        starting: capacity(&|state| state == State::Pending),
        running: capacity(&|state| matches!(state, State::Running | State::Draining)),
        idle: decision.running.saturating_sub(decision.busy),
        excess: (decision.running + decision.starting).saturating_sub(decision.desired),
        price,
    }
}
