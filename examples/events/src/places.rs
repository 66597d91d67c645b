//! How many may listen: all together, and each of them, so that one cannot keep out the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(crate) struct Places {
    all: usize,
    each: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<String, usize>,
}

/// A place among all, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    who: String,
}

impl Places {
    pub(crate) fn new(all: usize, each: usize) -> Self {
        Self { all, each, taken: Mutex::default() }
    }

    /// A place for somebody; nothing if there is none left for them.
    pub(crate) fn take(self: &Arc<Self>, who: String) -> Option<Place> {
        let mut taken = self.lock();
        let own = taken.by.get(&who).copied().unwrap_or_default();
        if taken.all >= self.all || own >= self.each {
            return None;
        }
        taken.all += 1;
        taken.by.insert(who.clone(), own + 1);
        Some(Place { places: Arc::clone(self), who })
    }

    pub(crate) fn free(&self) -> usize {
        self.all.saturating_sub(self.lock().all)
    }

    /// No code panics while it holds the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all -= 1;
        if let Some(own) = taken.by.get_mut(&self.who) {
            *own -= 1;
            if *own == 0 {
                taken.by.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_the_places_of_others() {
        let places = Arc::new(Places::new(3, 2));
        let take = |who: &str| places.take(who.to_owned());
        let (first, _second) = (take("a").unwrap(), take("a").unwrap());
        assert!(take("a").is_none());
        let b = take("b").unwrap();
        assert!(take("c").is_none());
        drop(first);
        assert_eq!(places.free(), 1);
        drop(take("a").unwrap());
        drop(b);
        assert_eq!(places.free(), 2);
        assert_eq!(places.lock().by.keys().collect::<Vec<_>>(), ["a"]);
    }
}
