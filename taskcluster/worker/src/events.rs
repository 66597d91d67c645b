//! What a worker tells whoever embeds it.

use std::sync::Arc;

use bytes::Bytes;
use taskcluster_core::ids::{RunId, TaskId};

use crate::outcome::Outcome;

/// Something happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A run is this worker's.
    Claimed {
        /// The task.
        task_id: TaskId,
        /// Its run.
        run_id: RunId,
        /// The task's name.
        name: String,
    },
    /// The user's code runs.
    Started {
        /// The task.
        task_id: TaskId,
        /// Its run.
        run_id: RunId,
    },
    /// The log grew.
    Log {
        /// The task.
        task_id: TaskId,
        /// Its run.
        run_id: RunId,
        /// What was appended; ends anywhere, also in the middle of a character.
        chunk: Bytes,
    },
    /// The run has ended and the queue knows, as far as it is to be told.
    Resolved {
        /// The task.
        task_id: TaskId,
        /// Its run.
        run_id: RunId,
        /// How it ended.
        outcome: Outcome,
    },
    /// The worker cannot do its work at the moment: claim, begin a run, or report how one ended.
    Trouble {
        /// Why.
        message: String,
    },
}

/// Receives events, in order per run. Called from the worker's own tasks: it should be quick and must not block.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;
