//! The world of a simulation: tasks come, workers begin, tasks end, passes are made. Time jumps from one event to the next.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::generate::Chance;
use super::trace::{Arrival, Trace};
use crate::choose::choose;
use crate::policy::{Outlook, Policy, is_dispensable, within_bounds};
use crate::provider::Offer;
use crate::worker_type::Bounds;

mod fleet;

use fleet::{Fleet, Worker};

/// From one pass to the next, in milliseconds.
const PERIOD: u64 = 10_000;

/// How long it takes from a task that waits to a pass that sees it, in milliseconds.
const NOTICE: u64 = 500;

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "tests and tools make it")]
pub struct Settings {
    /// How many tasks may wait for each unit that runs, before more is started.
    pub ratio: f64,
    /// What is kept ready for tasks to come, in square roots of what is busy, by policies that do so.
    pub spare: f64,
    /// How long a worker has nothing to do before it asks whether it is needed.
    pub idle: Duration,
}

/// What became of a trace.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "reports read it")]
pub struct Outcome {
    /// How many tasks there were.
    pub tasks: usize,
    /// How long half of the tasks waited at most, in seconds.
    pub wait_p50: f64,
    /// How long 95 of 100 waited at most.
    pub wait_p95: f64,
    /// How long 99 of 100 waited at most.
    pub wait_p99: f64,
    /// What all workers cost, in US dollars.
    pub cost: f64,
    /// What share of the capacity that ran had no task.
    pub idle_share: f64,
    /// How many workers were started.
    pub launches: usize,
    /// How many of them were taken back before they had begun.
    pub withdrawn: usize,
    /// How many were lost.
    pub lost: usize,
    /// Capacity that ran, and how much of it was busy: means over each hour.
    pub hours: Vec<(f64, f64)>,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives(usize),
    /// A worker takes tasks from now on.
    Begins(usize),
    /// A worker is done with a task, if it is still the one of this attempt.
    Ends {
        worker: usize,
        task: usize,
        attempt: u32,
    },
    /// A worker that has had nothing to do since then asks whether it is needed.
    Asks {
        worker: usize,
        idle_since: u64,
    },
    /// A worker is gone, with all that it does.
    Lost(usize),
    Pass,
}

struct World<'a> {
    arrivals: &'a [Arrival],
    policy: &'a dyn Policy,
    settings: Settings,
    bounds: Bounds,
    offers: Vec<Offer>,
    boot: (f64, f64),
    losses: f64,
    chance: Chance,
    now: u64,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    waiting: VecDeque<usize>,
    /// Since when each task waits, and which attempt it is at.
    since: Vec<u64>,
    attempts: Vec<u32>,
    waits: Vec<u64>,
    left: usize,
    fleet: Fleet,
    desired: u32,
    next_pass: Option<u64>,
}

/// Let a policy serve a trace.
#[must_use]
pub fn run(trace: &Trace, policy: &dyn Policy, settings: Settings) -> Outcome {
    let surroundings = &trace.surroundings;
    let mut world = World {
        arrivals: &trace.arrivals,
        policy,
        settings,
        bounds: Bounds {
            min: surroundings.min_capacity,
            max: surroundings.max_capacity,
            ratio: settings.ratio,
            spare: settings.spare,
        },
        offers: surroundings.market.iter().map(super::trace::Good::to_offer).collect(),
        boot: (surroundings.boot.median, surroundings.boot.spread),
        losses: surroundings.losses_per_hour / 3_600_000.0,
        chance: Chance::new(0x7a5c),
        now: 0,
        events: BinaryHeap::new(),
        waiting: VecDeque::new(),
        since: trace.arrivals.iter().map(|arrival| arrival.0).collect(),
        attempts: vec![0; trace.arrivals.len()],
        waits: vec![0; trace.arrivals.len()],
        left: trace.arrivals.len(),
        fleet: Fleet::default(),
        desired: 0,
        next_pass: None,
    };
    world.pass_at(0);
    if !trace.arrivals.is_empty() {
        world.at(trace.arrivals[0].0, Event::Arrives(0));
    }
    while world.left > 0 {
        let Some(Reverse((time, event))) = world.events.pop() else { break };
        world.fleet.pass_time(time - world.now);
        world.now = time;
        world.happens(event);
    }
    world.outcome()
}

impl World<'_> {
    fn at(&mut self, time: u64, event: Event) {
        self.events.push(Reverse((time, event)));
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Arrives(task) => {
                if let Some(next) = self.arrivals.get(task + 1) {
                    self.at(next.0, Event::Arrives(task + 1));
                }
                self.waiting.push_back(task);
                self.assign();
            }
            Event::Begins(worker) => {
                if self.fleet.begin(worker, self.now) {
                    self.assign();
                    self.rests(worker);
                }
            }
            Event::Ends { worker, task, attempt } => {
                if self.attempts[task] == attempt && self.fleet.done(worker, task, self.now) {
                    self.attempts[task] += 1;
                    self.left -= 1;
                    self.assign();
                    self.rests(worker);
                }
            }
            Event::Asks { worker, idle_since } => self.asks(worker, idle_since),
            Event::Lost(worker) => {
                for task in self.fleet.lose(worker, self.now) {
                    self.attempts[task] += 1;
                    self.since[task] = self.now;
                    self.waiting.push_front(task);
                }
                self.assign();
                self.pass_at(self.now + NOTICE);
            }
            Event::Pass => {
                if self.next_pass == Some(self.now) {
                    self.pass();
                }
            }
        }
    }

    /// Gives what waits to workers that have room, to any of them.
    fn assign(&mut self) {
        while let Some(task) = self.waiting.front().copied() {
            let Some(worker) = self.fleet.take(task, &mut self.chance) else {
                self.pass_at(self.now + NOTICE);
                return;
            };
            self.waiting.pop_front();
            self.waits[task] += self.now - self.since[task];
            let attempt = self.attempts[task];
            self.at(self.now + self.arrivals[task].1, Event::Ends { worker, task, attempt });
        }
    }

    /// A worker that has nothing to do will ask in a while.
    fn rests(&mut self, worker: usize) {
        if let Some(idle_since) = self.fleet.idle_since(worker) {
            self.at(self.now + millis(self.settings.idle), Event::Asks { worker, idle_since });
        }
    }

    fn asks(&mut self, worker: usize, idle_since: u64) {
        if self.fleet.idle_since(worker) != Some(idle_since) {
            return;
        }
        self.pass();
        if self.fleet.idle_since(worker) != Some(idle_since) {
            return;
        }
        let left = self.fleet.counted().saturating_sub(self.fleet.capacity_of(worker));
        if left >= self.desired {
            self.fleet.end(worker, self.now);
        } else {
            self.at(self.now + millis(self.settings.idle), Event::Asks { worker, idle_since });
        }
    }

    fn pass_at(&mut self, time: u64) {
        if self.next_pass.is_none_or(|next| next > time) {
            self.next_pass = Some(time);
            self.at(time, Event::Pass);
        }
    }

    fn pass(&mut self) {
        self.next_pass = None;
        let outlook = self.outlook();
        self.desired = within_bounds(self.policy, &outlook);
        self.fleet.withdraw(self.desired, self.now);
        self.pack();
        let counted = self.fleet.counted();
        let room = self.bounds.max.saturating_sub(self.fleet.there());
        let chosen: Vec<(u32, f64)> = choose(&self.offers, self.desired.saturating_sub(counted), room)
            .into_iter()
            .map(|offer| (offer.capacity, offer.price))
            .collect();
        for (capacity, price) in chosen {
            self.launch(capacity, price);
        }
        if !self.waiting.is_empty() || self.fleet.counted() > 0 {
            self.pass_at(self.now + PERIOD);
        }
    }

    fn outlook(&self) -> Outlook {
        let oldest = self.waiting.front().map_or(0, |task| self.now - self.since[*task]);
        Outlook {
            pending: u32::try_from(self.waiting.len()).unwrap_or(u32::MAX),
            oldest: Duration::from_millis(oldest),
            running: self.fleet.running(),
            busy: self.fleet.busy(),
            starting: self.fleet.starting(),
            bounds: self.bounds,
        }
    }

    /// The emptiest workers take no more, while the others have room.
    fn pack(&mut self) {
        // Nearly always nobody is; to look for the emptiest takes long.
        let outlook = self.outlook();
        if self.policy.surplus(&outlook).is_none_or(|surplus| outlook.idle() <= surplus) {
            return;
        }
        while let Some((worker, capacity, tasks)) = self.fleet.emptiest() {
            if !is_dispensable(self.policy, &self.outlook(), capacity, tasks) {
                return;
            }
            self.fleet.drain(worker, self.now);
        }
    }

    fn launch(&mut self, capacity: u32, price: f64) {
        let worker = self.fleet.launch(Worker::new(capacity, price, self.now));
        let (median, spread) = self.boot;
        let boot = self.chance.duration(median, spread);
        self.at(self.now + boot, Event::Begins(worker));
        if self.losses > 0.0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is not negative")]
            let life = self.chance.interval(self.losses) as u64;
            self.at(self.now.saturating_add(life), Event::Lost(worker));
        }
    }

    fn outcome(mut self) -> Outcome {
        self.fleet.end_all(self.now);
        self.waits.sort_unstable();
        let wait = |share: f64| -> f64 {
            if self.waits.is_empty() {
                return 0.0;
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "an index"
            )]
            let place = ((self.waits.len() as f64 * share).ceil() as usize).clamp(1, self.waits.len()) - 1;
            seconds(self.waits[place])
        };
        let totals = self.fleet.totals();
        Outcome {
            tasks: self.waits.len(),
            wait_p50: wait(0.5),
            wait_p95: wait(0.95),
            wait_p99: wait(0.99),
            cost: totals.cost,
            idle_share: totals.idle_share(),
            launches: totals.launches,
            withdrawn: totals.withdrawn,
            lost: totals.lost,
            hours: totals.hours.clone(),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(millis: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no wait is that long")]
    let seconds = millis as f64 / 1000.0;
    seconds
}

#[cfg(test)]
mod tests;
