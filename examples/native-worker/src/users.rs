//! Users made before there are tasks for them: making one takes longer than starting a command.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::user::{self, TemporaryUser};

/// Users that no task has had yet. Each is given out once, and goes with its task; those that are left go with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct UserPool(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    homes: PathBuf,
    size: usize,
    ready: Mutex<Vec<TemporaryUser>>,
    /// Held by whoever makes users, so that it is one at a time.
    filling: Mutex<()>,
}

impl UserPool {
    /// A pool that is empty at first, and is to hold `size` users whose homes are below `homes`.
    pub(crate) fn new(homes: PathBuf, size: usize) -> Self {
        Self(Arc::new(Pool { homes, size, ready: Mutex::default(), filling: Mutex::default() }))
    }

    /// A user whom nobody had before. Blocks if there is none yet.
    pub(crate) fn take(&self) -> io::Result<TemporaryUser> {
        let ready = self.ready().pop();
        ready.map_or_else(|| self.make(), Ok)
    }

    /// Make users until there are as many as there should be, and remove those that a killed worker was still making when this one
    /// began. Blocks; does nothing while somebody else does so, nor once the directory of their homes is gone, and the worker with it.
    pub(crate) fn fill(&self) -> io::Result<()> {
        let Ok(_filling) = self.0.filling.try_lock() else { return Ok(()) };
        if !self.0.homes.exists() {
            return Ok(());
        }
        while self.ready().len() < self.0.size {
            let user = self.make()?;
            self.ready().push(user);
        }
        user::remove_latecomers(&self.0.homes.canonicalize()?)
    }

    fn make(&self) -> io::Result<TemporaryUser> {
        TemporaryUser::create(&self.0.homes.canonicalize()?)
    }

    fn ready(&self) -> MutexGuard<'_, Vec<TemporaryUser>> {
        self.0.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
