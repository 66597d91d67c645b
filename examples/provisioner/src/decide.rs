//! What is to be done about a worker type: from what is seen, to changes and launches. No I/O: the same sight gives the same decision.

use std::time::Duration;

use taskcluster_core::time::Timestamp;

use crate::instance::State;
use crate::life::{Change, Seen, text};
use crate::policy::{Outlook, Policy, within_bounds};
use crate::worker_type::{Version, WorkerType};

mod pack;
mod pause;
mod renew;
mod withdraw;

pub use pause::Failures;

/// The tasks of a worker type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "decisions are tested with it")]
pub struct Demand {
    /// How many wait.
    pub pending: u32,
    /// How long the first of them has waited.
    pub oldest: Duration,
    /// How many workers hold.
    pub claimed: u32,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "whoever carries it out has to think of each")]
pub struct Decision {
    /// What becomes of instances.
    pub changes: Vec<Change>,
    /// How much is to be launched, of which version.
    pub missing: Vec<(u32, u32)>,
    /// How much more there may be at all.
    pub room: u32,
    /// How much shall run and start.
    pub desired: u32,
    /// How much ran, counted before this decision.
    pub running: u32,
    /// How much of that had a task.
    pub busy: u32,
    /// How much was asked for or starting.
    pub starting: u32,
    /// Why, in sentences.
    pub why: Vec<String>,
}

/// Everything that a decision is made from.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "decisions are tested with it")]
pub struct Sight<'a> {
    /// What is wanted.
    pub worker_type: &'a WorkerType,
    /// What is to be done.
    pub demand: Demand,
    /// What there is.
    pub seen: &'a [Seen],
    /// Instances that did not come to anything lately.
    pub failures: &'a Failures,
    /// Now.
    pub now: Timestamp,
}

/// Instances with what was decided of them so far.
struct Fleet<'a> {
    seen: &'a [Seen],
    states: Vec<State>,
    changes: Vec<Change>,
}

impl<'a> Fleet<'a> {
    fn new(seen: &'a [Seen]) -> Self {
        Self { seen, states: seen.iter().map(|seen| seen.instance.state).collect(), changes: Vec::new() }
    }

    fn change(&mut self, index: usize, change: Change) {
        self.states[index] = change.to;
        self.changes.push(change);
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &'a Seen, State)> {
        self.seen.iter().zip(&self.states).enumerate().map(|(index, (seen, state))| (index, seen, *state))
    }

    /// The capacity of those that are so.
    fn capacity(&self, is: impl Fn(&Seen, State) -> bool) -> u32 {
        self.iter().filter(|(_, seen, state)| is(seen, *state)).map(|(_, seen, _)| seen.instance.capacity).sum()
    }

    /// What runs, and how much of it has a task.
    fn load(&self) -> (u32, u32) {
        let running = self.iter().filter(|(_, _, state)| *state == State::Running);
        running.map(|(_, seen, _)| Self::load_of(seen)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// The capacity of one, and how much of it has a task.
    fn load_of(seen: &Seen) -> (u32, u32) {
        let capacity = seen.instance.capacity;
        (capacity, seen.claims().min(capacity))
    }

    fn of_version(&self, version: u32) -> u32 {
        self.capacity(|seen, state| state.counts() && seen.instance.version == version)
    }
}

/// Decide.
#[must_use]
pub fn decide(sight: &Sight<'_>, policy: &dyn Policy) -> Decision {
    let Sight { worker_type, demand, seen, now, .. } = *sight;
    let mut fleet = Fleet::new(seen);
    let mut why = Vec::new();
    live_on(&mut fleet, worker_type, now, &mut why);

    let outlook = outlook(&fleet, worker_type, demand);
    let desired = within_bounds(policy, &outlook);
    why.splice(0..0, situation(&outlook, demand, policy, desired));
    let wanted = worker_type.split(desired);

    renew::renew(&mut fleet, sight, &wanted, &mut why);
    withdraw::withdraw(&mut fleet, &wanted, &mut why);
    pack::pack(&mut fleet, policy, outlook, &wanted, &mut why);

    let bounds = worker_type.bounds();
    let there = fleet.capacity(|_, state| state.counts());
    // What is on its way out may still run for long, and its provider may fail to end it.
    let room = bounds.max.saturating_sub(fleet.capacity(|_, state| state != State::Ended));
    let mut missing = missing(&fleet, &wanted, desired.saturating_sub(there));
    let failures = with_those_of_now(sight.failures, &fleet.changes, now);
    if !missing.is_empty()
        && let Some(until) = failures.pause(now)
    {
        why.push(format!("Nothing is started before {until}: {failures}."));
        missing.clear();
    }
    let Outlook { running, busy, starting, .. } = outlook;
    Decision { changes: fleet.changes, missing, room, desired, running, busy, starting, why }
}

/// What came to nothing before, and what is seen now to have.
fn with_those_of_now(before: &Failures, changes: &[Change], now: Timestamp) -> Failures {
    let mut failures = before.clone();
    for change in changes.iter().filter(|change| change.failed) {
        failures.times.insert(0, now);
        failures.reason = change.reason.clone().unwrap_or_default();
    }
    failures
}

/// How much of each version is to be launched: never more in all than `missing`, since workers of other versions do their work until
/// they are replaced.
fn missing(fleet: &Fleet<'_>, wanted: &[(&Version, u32)], mut missing: u32) -> Vec<(u32, u32)> {
    let mut launches = Vec::new();
    for (version, units) in wanted {
        let units = units.saturating_sub(fleet.of_version(version.number)).min(missing);
        missing -= units;
        if units > 0 {
            launches.push((version.number, units));
        }
    }
    launches
}

/// What becomes of each by itself.
fn live_on(fleet: &mut Fleet<'_>, worker_type: &WorkerType, now: Timestamp, why: &mut Vec<String>) {
    for (index, seen) in fleet.seen.iter().enumerate() {
        let version = worker_type.version(seen.instance.version).unwrap_or_else(|| worker_type.newest());
        let Some(change) = seen.next(&version.definition.lifecycle(), now) else { continue };
        if let Some(reason) = &change.reason {
            why.push(format!("{} is {} now: {reason}.", change.instance_id, change.to));
        }
        fleet.change(index, change);
    }
}

fn outlook(fleet: &Fleet<'_>, worker_type: &WorkerType, demand: Demand) -> Outlook {
    let (running, busy) = fleet.load();
    Outlook {
        pending: demand.pending,
        oldest: demand.oldest,
        running,
        busy,
        starting: fleet.capacity(|_, state| state.is_starting()),
        bounds: worker_type.bounds(),
    }
}

/// One finishes what it does and takes nothing new.
fn drain(fleet: &mut Fleet<'_>, index: usize, reason: String, why: &mut Vec<String>) {
    let seen = &fleet.seen[index];
    why.push(format!("{} finishes what it does and ends: {reason}.", seen.instance.id));
    fleet.change(index, seen.to(State::Draining, reason));
}

/// What was seen and what follows.
fn situation(outlook: &Outlook, demand: Demand, policy: &dyn Policy, desired: u32) -> Vec<String> {
    let waiting = match demand.pending {
        0 => "No task waits".to_owned(),
        1 => format!("A task has waited for {}", text(demand.oldest)),
        tasks => format!("{tasks} tasks wait, the first for {}", text(demand.oldest)),
    };
    let Outlook { running, busy, starting, bounds, .. } = *outlook;
    let mut lines = vec![
        format!("{waiting}; {} are being done.", demand.claimed),
        format!("Capacity of {running} runs, {busy} of it busy, and {starting} is starting."),
    ];
    let unbounded = policy.desired(outlook);
    lines.push(match desired {
        _ if unbounded > bounds.max => {
            format!("The policy {:?} wants {unbounded}, more than the maximum of {}.", policy.name(), bounds.max)
        }
        _ if unbounded < bounds.min => {
            format!("The policy {:?} wants {unbounded}, less than the minimum of {}.", policy.name(), bounds.min)
        }
        desired => format!("The policy {:?} wants {desired}.", policy.name()),
    });
    lines
}

#[cfg(test)]
mod tests;
