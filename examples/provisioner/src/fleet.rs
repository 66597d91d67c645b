//! Numbers over time, in a form that can be added up: what holds for two stretches of time together follows from what holds for each.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use taskcluster::provisioner::FleetSample;
use taskcluster_core::time::{Timestamp, days};

/// Stretches of which numbers are kept, each for how long; the first are recorded, the others are sums of them.
pub(crate) const LEVELS: [(u32, Duration); 3] = [(60, days(1)), (600, days(7)), (3600, days(30))];

/// What there is of a worker type at one time. Amounts are capacity units and tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "passes make it")]
pub struct Gauge {
    /// Tasks that wait.
    pub pending: u32,
    /// Tasks that are being done.
    pub claimed: u32,
    /// Asked for and not seen yet.
    pub requested: u32,
    /// Starting.
    pub starting: u32,
    /// Running, what drains included.
    pub running: u32,
    /// Running without a task.
    pub idle: u32,
    /// More than is wanted.
    pub excess: u32,
    /// What an hour of all of it costs, in US dollars.
    pub price: f64,
}

/// The numbers of a stretch of time: amounts multiplied by the seconds for which they held.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::exhaustive_structs, reason = "it is read from the database")]
pub struct Numbers {
    /// For how many seconds there are numbers.
    pub covered: f64,
    pending: f64,
    claimed: f64,
    requested: f64,
    starting: f64,
    running: f64,
    idle: f64,
    excess: f64,
    cost: f64,
    started: u32,
    waits: BTreeMap<i32, u32>,
}

impl Numbers {
    /// That this held for so long.
    pub fn held(&mut self, gauge: &Gauge, time: Duration) {
        let seconds = time.as_secs_f64();
        self.covered += seconds;
        for (sum, amount) in [
            (&mut self.pending, gauge.pending),
            (&mut self.claimed, gauge.claimed),
            (&mut self.requested, gauge.requested),
            (&mut self.starting, gauge.starting),
            (&mut self.running, gauge.running),
            (&mut self.idle, gauge.idle),
            (&mut self.excess, gauge.excess),
        ] {
            *sum += f64::from(amount) * seconds;
        }
        self.cost += gauge.price * seconds / 3600.0;
    }

    /// That a task began which had waited for so long.
    pub fn began(&mut self, wait: Duration) {
        self.started += 1;
        *self.waits.entry(bucket(wait)).or_default() += 1;
    }

    /// Those of both stretches together.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.covered, other.covered),
            (&mut self.pending, other.pending),
            (&mut self.claimed, other.claimed),
            (&mut self.requested, other.requested),
            (&mut self.starting, other.starting),
            (&mut self.running, other.running),
            (&mut self.idle, other.idle),
            (&mut self.excess, other.excess),
            (&mut self.cost, other.cost),
        ] {
            *sum += more;
        }
        self.started += other.started;
        for (bucket, count) in &other.waits {
            *self.waits.entry(*bucket).or_default() += count;
        }
    }

    /// How long this share of the tasks that began had waited at most, in seconds, to a tenth of it. Nothing if none began.
    #[must_use]
    pub fn wait(&self, share: f64) -> Option<f64> {
        let all: u32 = self.waits.values().sum();
        let mut seen = 0;
        self.waits.iter().find_map(|(bucket, count)| {
            seen += count;
            (f64::from(seen) >= share * f64::from(all)).then(|| end_of(*bucket))
        })
    }

    /// As the API tells it.
    #[must_use]
    pub fn to_wire(&self, begins: Timestamp, seconds: u32) -> FleetSample {
        let mean = |sum: f64| if self.covered > 0.0 { sum / self.covered } else { 0.0 };
        let sample = FleetSample::new(
            begins,
            seconds,
            mean(self.pending),
            mean(self.claimed),
            self.started,
            mean(self.requested),
            mean(self.starting),
            mean(self.running),
            mean(self.idle),
            mean(self.excess),
            self.cost,
        );
        match (self.wait(0.5), self.wait(0.95)) {
            (Some(p50), Some(p95)) => sample.with_wait_p50(p50).with_wait_p95(p95),
            _ => sample,
        }
    }
}

/// Waits are counted in buckets, each a tenth longer than the one before.
const GROWTH: f64 = 1.1;

/// Waits up to this are all the same.
const SHORTEST: f64 = 0.05;

fn bucket(wait: Duration) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "no wait is that long")]
    let bucket = ((wait.as_secs_f64() / SHORTEST).max(1.0).ln() / GROWTH.ln()).ceil() as i32;
    bucket
}

fn end_of(bucket: i32) -> f64 {
    SHORTEST * GROWTH.powi(bucket)
}

/// When the stretch begins that this time is in.
#[must_use]
pub(crate) fn begin(time: Timestamp, seconds: u32) -> Timestamp {
    let length = i64::from(seconds) * 1000;
    Timestamp::from_millis(time.as_millis().div_euclid(length) * length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_over_the_time_for_which_something_held() {
        let mut numbers = Numbers::default();
        numbers.held(&Gauge { pending: 10, running: 4, price: 36.0, ..Gauge::default() }, Duration::from_secs(30));
        numbers.held(&Gauge { pending: 0, running: 8, price: 72.0, ..Gauge::default() }, Duration::from_secs(10));
        let sample = numbers.to_wire(Timestamp::UNIX_EPOCH, 60);
        assert_eq!((sample.pending_tasks, sample.running_capacity), (7.5, 5.0));
        assert!((sample.cost - 0.5).abs() < 1e-9);
        assert_eq!(sample.wait_p50, None);
    }

    #[test]
    fn what_is_said_of_all_waits_follows_from_the_parts() {
        let (mut first, mut second) = (Numbers::default(), Numbers::default());
        for seconds in 1..=90 {
            first.began(Duration::from_secs(seconds));
        }
        for seconds in 91..=100 {
            second.began(Duration::from_secs(seconds));
        }
        first.add(&second);
        for (share, expected) in [(0.5, 50.0), (0.95, 95.0), (1.0, 100.0)] {
            let wait = first.wait(share).unwrap();
            assert!((expected..expected * 1.11).contains(&wait), "{share}: {wait}");
        }
        let mut none = Numbers::default();
        none.began(Duration::ZERO);
        assert!(none.wait(0.5).unwrap() < 0.1);
    }

    #[test]
    fn a_stretch_begins_at_a_multiple_of_its_length() {
        let time: Timestamp = "2026-03-04T05:06:07.008Z".parse().unwrap();
        assert_eq!(begin(time, 60).to_string(), "2026-03-04T05:06:00.000Z");
        assert_eq!(begin(time, 3600).to_string(), "2026-03-04T05:00:00.000Z");
    }
}
