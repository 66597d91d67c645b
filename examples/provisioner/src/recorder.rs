//! Gathers the numbers of the minute, and hands them to the store when it is over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use service_kit::store::StoreError;
use taskcluster_core::time::Timestamp;

use crate::fleet::{Gauge, Numbers, begin};
use crate::store::Store;

/// A gauge holds until the next one, but no longer than this: then nobody has looked.
const LONGEST: Duration = Duration::from_secs(120);

/// The numbers of the present minute. Cheap to clone; all clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<HashMap<String, Minute>>>);

#[derive(Debug, Default)]
struct Minute {
    last: Option<(Timestamp, Gauge)>,
    gathered: Vec<(Timestamp, Numbers)>,
}

impl Minute {
    /// The numbers of the minute of this time.
    fn at(&mut self, time: Timestamp) -> &mut Numbers {
        let minute = begin(time, 60);
        if self.gathered.last().is_none_or(|(last, _)| *last != minute) {
            self.gathered.push((minute, Numbers::default()));
        }
        let (_, numbers) = self.gathered.last_mut().expect("there is one now");
        numbers
    }
}

impl Recorder {
    /// Notes what there is now. What there was before has held until now.
    pub(crate) fn gauge(&self, worker_type: &str, gauge: Gauge, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = all.entry(worker_type.to_owned()).or_default();
        if let Some((since, last)) = minute.last.replace((now, gauge)) {
            let mut from = since.max(now - LONGEST);
            while from < now {
                let until = (begin(from, 60) + Duration::from_secs(60)).min(now);
                minute.at(from).held(&last, until.since(from));
                from = until;
            }
        }
    }

    /// Notes that a task began. Of worker types that nobody looks at nothing is noted.
    pub(crate) fn began(&self, worker_type: &str, wait: Duration, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(minute) = all.get_mut(worker_type) {
            minute.at(now).began(wait);
        }
    }

    /// Hands over what was gathered of minutes that are over, or of all at the end. What cannot be stored is lost.
    pub(crate) async fn flush(&self, store: &Store, now: Timestamp, all: bool) -> Result<(), StoreError> {
        for (worker_type, minute, numbers) in self.take(begin(now, 60), all) {
            store.add_numbers(&worker_type, minute, &numbers).await?;
        }
        Ok(())
    }

    fn take(&self, present: Timestamp, everything: bool) -> Vec<(String, Timestamp, Numbers)> {
        let mut taken = Vec::new();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (worker_type, minute) in all.iter_mut() {
            let (over, rest) = std::mem::take(&mut minute.gathered)
                .into_iter()
                .partition(|(begins, _)| everything || *begins < present);
            minute.gathered = rest;
            let over: Vec<(Timestamp, Numbers)> = over;
            taken.extend(over.into_iter().map(|(begins, numbers)| (worker_type.clone(), begins, numbers)));
        }
        taken
    }

    /// Forgets what nobody looks at any more.
    pub(crate) fn retain(&self, worker_types: &[&str]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|worker_type, _| worker_types.contains(&&**worker_type));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_holds_until_the_next_across_minutes_but_not_for_ever() {
        let recorder = Recorder::default();
        let start: Timestamp = "2026-03-04T05:06:30.000Z".parse().unwrap();
        let gauge = |running| Gauge { running, ..Gauge::default() };
        recorder.began("w", Duration::from_secs(1), start);
        recorder.gauge("w", gauge(4), start);
        recorder.gauge("w", gauge(6), start + Duration::from_secs(60));
        recorder.began("w", Duration::from_secs(1), start + Duration::from_secs(60));
        let taken = recorder.take(begin(start, 60), true);
        let covered: Vec<(String, f64)> =
            taken.iter().map(|(_, begins, numbers)| (begins.to_string(), numbers.covered)).collect();
        assert_eq!(
            covered,
            [("2026-03-04T05:06:00.000Z".to_owned(), 30.0), ("2026-03-04T05:07:00.000Z".to_owned(), 30.0)]
        );
        assert!(taken[1].2.wait(0.5).is_some() && taken[0].2.wait(0.5).is_none());
        recorder.gauge("w", gauge(0), start + Duration::from_secs(3600));
        let covered: f64 = recorder.take(start, true).iter().map(|(_, _, numbers)| numbers.covered).sum();
        assert!((covered - 120.0).abs() < 1e-9, "{covered}");
    }

    #[test]
    fn the_present_minute_is_kept_until_it_is_over() {
        let recorder = Recorder::default();
        let start: Timestamp = "2026-03-04T05:06:30.000Z".parse().unwrap();
        recorder.gauge("w", Gauge::default(), start);
        recorder.gauge("w", Gauge::default(), start + Duration::from_secs(10));
        assert!(recorder.take(begin(start, 60), false).is_empty());
        assert_eq!(recorder.take(begin(start + Duration::from_secs(60), 60), false).len(), 1);
        assert!(recorder.take(begin(start, 60), true).is_empty());
    }
}
