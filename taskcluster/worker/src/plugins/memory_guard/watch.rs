//! Whose turn it is when memory is short.

use std::collections::BTreeMap;
use std::time::Duration;

use taskcluster_core::time::Timestamp;

/// Those that run, and since when there has been too little.
#[derive(Debug)]
pub(super) struct Watch<T> {
    running: BTreeMap<u64, T>,
    next: u64,
    short_since: Option<Timestamp>,
}

impl<T> Default for Watch<T> {
    fn default() -> Self {
        Self { running: BTreeMap::new(), next: 0, short_since: None }
    }
}

impl<T: Clone> Watch<T> {
    /// The number by which it is removed.
    pub(super) fn add(&mut self, running: T) -> u64 {
        let number = self.next;
        self.next += 1;
        self.running.insert(number, running);
        number
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.running.remove(&number);
    }

    /// Those that run, by their numbers, if there has been too little for so long.
    pub(super) fn short_for(&mut self, short: bool, patience: Duration, now: Timestamp) -> Option<Vec<(u64, T)>> {
        if !short {
            self.short_since = None;
        } else if self.short_since.is_none() {
            self.short_since = Some(now);
        }
        let long = self.short_since.is_some_and(|since| now.since(since) >= patience);
        long.then(|| self.running.iter().map(|(number, running)| (*number, running.clone())).collect())
    }

    /// Take one out. The others get as much time as they had, for this one to end; so whoever has looked at the same time gets none.
    pub(super) fn take(&mut self, number: u64) -> Option<T> {
        self.short_since?;
        let taken = self.running.remove(&number)?;
        self.short_since = None;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    #[test]
    fn it_is_ended_only_when_memory_was_short_all_the_time() {
        let mut watch = Watch::<u64>::default();
        assert_eq!(watch.short_for(true, PATIENCE, at(0)), None);
        assert_eq!(watch.short_for(true, PATIENCE, at(4)), None);
        assert_eq!(watch.short_for(false, PATIENCE, at(5)), None);
        assert_eq!(watch.short_for(true, PATIENCE, at(6)), None);
        assert_eq!(watch.short_for(true, PATIENCE, at(11)), Some(Vec::new()));
    }

    #[test]
    fn one_goes_and_the_next_has_to_wait() {
        let mut watch = Watch::default();
        let numbers = [10, 30, 20].map(|size| watch.add(size));
        let running = watch.short_for(true, Duration::ZERO, at(0)).unwrap();
        assert_eq!(running.iter().map(|(_, size)| *size).collect::<Vec<_>>(), [10, 30, 20]);
        assert_eq!(watch.take(numbers[1]), Some(30));
        assert_eq!(watch.take(numbers[2]), None, "who looked at the same time takes none");
        watch.remove(numbers[1]);
        assert_eq!(watch.short_for(true, PATIENCE, at(1)), None, "the first needs time to end");
        assert_eq!(watch.short_for(true, PATIENCE, at(6)).unwrap().len(), 2);
        assert_eq!(watch.take(numbers[1]), None, "it is gone");
        assert_eq!(watch.take(numbers[2]), Some(20));
    }
}
