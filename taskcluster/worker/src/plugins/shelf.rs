//! What is served of the runs under way, each below the secret of its run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use sha2::{Digest, Sha256};

/// SHA-256 of a secret. A stranger who measures how long a look-up takes learns at most something of a digest, and cannot
/// choose a path whose digest comes closer.
type Key = [u8; 32];

/// Something of each run that is under way.
#[derive(Debug)]
pub(super) struct Shelf<T>(Arc<Mutex<HashMap<Key, T>>>);

impl<T: Clone> Shelf<T> {
    pub(super) fn put(&self, secret: &str, it: T) {
        self.lock().insert(key(secret), it);
    }

    pub(super) fn get(&self, secret: &str) -> Option<T> {
        self.lock().get(&key(secret)).cloned()
    }

    pub(super) fn remove(&self, secret: &str) {
        self.lock().remove(&key(secret));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, T>> {
        self.0.lock().expect("nothing panics holding it")
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

fn key(secret: &str) -> Key {
    Sha256::digest(secret).into()
}
