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

impl<T> Watch<T> {
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

    /// Whether there has been too little for so long.
    pub(super) fn short_for(&mut self, short: bool, patience: Duration, now: Timestamp) -> bool {
        if !short {
            self.short_since = None;
        } else if self.short_since.is_none() {
            self.short_since = Some(now);
        }
        self.short_since.is_some_and(|since| now.since(since) >= patience)
    }

    /// Take out who holds the most, if anybody holds something, with how much it is. The others get as much time as they had, for
    /// this one to end.
    pub(super) fn take_largest(&mut self, held: impl Fn(&T) -> u64) -> Option<(T, u64)> {
        let sizes = self.running.iter().map(|(number, running)| (held(running), *number));
        let (size, number) = sizes.max().filter(|(size, _)| *size > 0)?;
        self.short_since = None;
        self.running.remove(&number).map(|running| (running, size))
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
        assert!(!watch.short_for(true, PATIENCE, at(0)));
        assert!(!watch.short_for(true, PATIENCE, at(4)));
        assert!(!watch.short_for(false, PATIENCE, at(5)));
        assert!(!watch.short_for(true, PATIENCE, at(6)));
        assert!(watch.short_for(true, PATIENCE, at(11)));
    }

    #[test]
    fn the_largest_goes_and_the_next_has_to_wait() {
        let mut watch = Watch::default();
        watch.add(10);
        let large = watch.add(30);
        watch.add(20);
        assert!(watch.short_for(true, Duration::ZERO, at(0)));
        assert_eq!(watch.take_largest(|size| *size), Some((30, 30)));
        watch.remove(large);
        assert!(!watch.short_for(true, PATIENCE, at(1)), "the first needs time to end");
        assert_eq!(watch.take_largest(|size| *size), Some((20, 20)));
        assert_eq!(watch.take_largest(|_| 0), None, "who holds nothing is left alone");
    }
}
