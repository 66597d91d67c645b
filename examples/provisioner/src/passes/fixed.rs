//! Worker types whose workers somebody else starts: they are looked at, and that is all.

use taskcluster_core::time::Timestamp;

use crate::decide::{Decision, Demand};
use crate::fleet::Gauge;
use crate::instance::State;
use crate::life::{Activity, Change, Seen, text};
use crate::observe::Workers;
use crate::provider::{Existing, Providers};
use crate::worker_type::WorkerType;

/// Its workers, if somebody else starts them.
pub(super) fn existing(providers: &Providers, worker_type: &WorkerType) -> Option<Vec<Existing>> {
    let definition = &worker_type.settled.definition;
    providers.of(definition).ok()?.existing(definition)
}

/// What is wrong with a worker, if something is.
pub(crate) fn trouble(activity: Option<Activity>, worker_type: &WorkerType, now: Timestamp) -> Option<String> {
    let Some(activity) = activity else { return Some("nothing was ever heard of it".to_owned()) };
    if let Some(until) = activity.quarantined_until.filter(|until| *until > now) {
        return Some(format!("it is quarantined until {until}"));
    }
    let silence = worker_type.newest().definition.lifecycle().silence;
    let silent = activity.claims == 0 && now.since(activity.last_active) > silence;
    silent.then(|| format!("nothing was heard of it for {}", text(now.since(activity.last_active))))
}

/// What becomes of instances that were started before the worker type came to be a fixed one.
pub(super) fn replaced(worker_type: &WorkerType, seen: &[Seen], now: Timestamp) -> Vec<Change> {
    let lifecycle = worker_type.settled.definition.lifecycle();
    let goes = |seen: &Seen| {
        let reason = "workers of its type are started by somebody else now".to_owned();
        match seen.instance.state {
            State::Requested | State::Pending => Some(seen.to(State::Stopping, reason)),
            State::Running => Some(seen.to(State::Draining, reason)),
            State::Draining | State::Stopping | State::Ended => None,
        }
    };
    let next = |seen: &Seen| seen.next(&lifecycle, now).filter(|change| change.to >= State::Draining);
    seen.iter().filter_map(|seen| next(seen).or_else(|| goes(seen))).collect()
}

/// What there is, and what is wrong with it.
pub(super) fn looked_at(
    worker_type: &WorkerType,
    demand: Demand,
    existing: &[Existing],
    workers: &Workers,
    now: Timestamp,
) -> (Decision, Gauge) {
    let (mut running, mut busy, mut why) = (0, 0, Vec::new());
    why.push(format!("{} tasks wait, {} are being done.", demand.pending, demand.claimed));
    why.push("Its workers are started by somebody else.".to_owned());
    for worker in existing {
        let activity = workers.get(&worker.worker_group, &worker.worker_id);
        match trouble(activity, worker_type, now) {
            None => running += worker.capacity,
            Some(trouble) => why.push(format!("{}/{}: {trouble}.", worker.worker_group, worker.worker_id)),
        }
        busy += activity.map_or(0, |activity| activity.claims.min(worker.capacity));
    }
    why.push(format!("Capacity of {running} runs, {busy} of it busy."));
    let decision = Decision { desired: running, running, busy, why, ..Decision::default() };
    let gauge = Gauge {
        pending: demand.pending,
        claimed: demand.claimed,
        running,
        idle: running.saturating_sub(busy),
        ..Gauge::default()
    };
    (decision, gauge)
}
