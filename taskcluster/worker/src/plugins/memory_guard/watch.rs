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

/// Since when there is too little, and who runs, by their numbers.
pub(super) type Short<T> = (Timestamp, Vec<(u64, T)>);

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

    /// Those that run, by their numbers, if there has been too little for so long, and since when.
    pub(super) fn short_for(&mut self, short: bool, patience: Duration, now: Timestamp) -> Option<Short<T>> {
        if !short {
            self.short_since = None;
        } else if self.short_since.is_none() {
            self.short_since = Some(now);
        }
        let since = self.short_since.filter(|since| now.since(*since) >= patience)?;
        Some((since, self.running.iter().map(|(number, running)| (*number, running.clone())).collect()))
    }

    /// Take one out, if there has been too little ever since. The others get as much time as they had, for this one to end; so whoever
    /// has looked at the same time gets none, however long that took: the one that was taken may hold nothing by then.
    pub(super) fn take(&mut self, number: u64, since: Timestamp) -> Option<T> {
        self.short_since.filter(|short_since| *short_since == since)?;
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
        assert_eq!(watch.short_for(true, PATIENCE, at(11)), Some((at(6), Vec::new())));
    }

    #[test]
    fn one_goes_and_the_next_has_to_wait() {
        let mut watch = Watch::default();
        let numbers = [10, 30, 20].map(|size| watch.add(size));
        let (since, running) = watch.short_for(true, Duration::ZERO, at(0)).unwrap();
        assert_eq!(running.iter().map(|(_, size)| *size).collect::<Vec<_>>(), [10, 30, 20]);
        assert_eq!(watch.take(numbers[1], since), Some(30));
        assert_eq!(watch.take(numbers[2], since), None, "who looked at the same time takes none");
        watch.remove(numbers[1]);
        assert_eq!(watch.short_for(true, PATIENCE, at(1)), None, "the first needs time to end");
        assert_eq!(watch.take(numbers[2], since), None, "also who took longer to look");
        let (since, running) = watch.short_for(true, PATIENCE, at(6)).unwrap();
        assert_eq!(running.len(), 2);
        assert_eq!(watch.take(numbers[1], since), None, "it is gone");
        assert_eq!(watch.take(numbers[2], since), Some(20));
    }
}
