//! The logs that are served, each below the secret of its run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use sha2::{Digest, Sha256};

use crate::log::TaskLog;

/// SHA-256 of a secret. A stranger who measures how long a look-up takes learns at most something of a digest, and cannot
/// choose a path whose digest comes closer.
type Key = [u8; 32];

/// The logs of the runs under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf(Arc<Mutex<HashMap<Key, TaskLog>>>);

impl Shelf {
    pub(super) fn put(&self, secret: &str, log: TaskLog) {
        self.lock().insert(key(secret), log);
    }

    pub(super) fn get(&self, secret: &str) -> Option<TaskLog> {
        self.lock().get(&key(secret)).cloned()
    }

    pub(super) fn remove(&self, secret: &str) {
        self.lock().remove(&key(secret));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, TaskLog>> {
        self.0.lock().expect("nothing panics holding it")
    }
}

fn key(secret: &str) -> Key {
    Sha256::digest(secret).into()
}
