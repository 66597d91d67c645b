//! The life of an instance: what becomes of it, from what its provider and the queue say. No I/O.
//!
//! ```text
//! requested ─▶ pending ─▶ running ─▶ draining ─┐
//!     └───────────┴──────────┴──────────┴─▶ stopping ─▶ ended
//! ```
//! From every state it may come to be ended at once: things break. A worker is running when it has fetched its secret or was seen at
//! the queue, and by that alone: a machine that is on may still never take a task.

use std::time::Duration;

use taskcluster_core::time::Timestamp;

use crate::instance::{Instance, State};
use crate::provider::{Phase, Sighting};
use crate::worker_type::Lifecycle;

/// A worker may have begun, and its provider not list it yet: for so long it is not taken for gone.
const UNLISTED: Duration = Duration::from_secs(60);

/// What the queue says of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the life of an instance is tested with it")]
pub struct Activity {
    /// When it last asked for tasks.
    pub last_active: Timestamp,
    /// It gets no tasks before.
    pub quarantined_until: Option<Timestamp>,
    /// How many tasks it holds.
    pub claims: u32,
}

/// An instance and what is said of it.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "the life of an instance is tested with it")]
pub struct Seen {
    /// As it is kept.
    pub instance: Instance,
    /// What its provider says; nothing if it does not know it.
    pub sighting: Option<Sighting>,
    /// What the queue says; nothing if it does not know it.
    pub activity: Option<Activity>,
}

/// A step in the life of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the store writes it down")]
pub struct Change {
    /// Whose.
    pub instance_id: String,
    /// Where it was. If it is elsewhere by now, the change is void.
    pub from: State,
    /// Where it comes to.
    pub to: State,
    /// Why, if that is not as usual.
    pub reason: Option<String>,
    /// It came to nothing, and not by our wish: the next of its kind may as well.
    pub failed: bool,
}

impl Seen {
    /// How many tasks its worker holds.
    #[must_use]
    pub fn claims(&self) -> u32 {
        self.activity.map_or(0, |activity| activity.claims)
    }

    /// The change to another state.
    #[must_use]
    pub fn to(&self, to: State, reason: impl Into<Option<String>>) -> Change {
        let Self { instance, .. } = self;
        Change { instance_id: instance.id.clone(), from: instance.state, to, reason: reason.into(), failed: false }
    }

    /// The same, of one that came to nothing.
    fn fails(&self, to: State, reason: impl Into<Option<String>>) -> Change {
        Change { failed: true, ..self.to(to, reason) }
    }

    /// What must become of it, whatever is wanted.
    #[must_use]
    pub fn next(&self, lifecycle: &Lifecycle, now: Timestamp) -> Option<Change> {
        let Instance { state, since, created, .. } = self.instance;
        if let Some(ended) = self.gone(now) {
            return Some(ended);
        }
        let for_longer_than = |time: Duration, since: Timestamp| now.since(since) > time;
        match state {
            State::Requested | State::Pending if for_longer_than(lifecycle.start, created) => {
                let reason = format!("its worker has not begun within {}", text(lifecycle.start));
                Some(self.fails(State::Stopping, reason))
            }
            State::Requested | State::Pending if self.activity.is_some() => Some(self.to(State::Running, None)),
            State::Requested if self.is_alive() => Some(self.to(State::Pending, None)),
            State::Requested | State::Pending => None,
            State::Running => self.trouble(lifecycle, now),
            State::Draining if for_longer_than(lifecycle.drain, since) => {
                let reason = format!("it has not finished what it did within {}", text(lifecycle.drain));
                Some(self.to(State::Stopping, reason))
            }
            State::Draining if self.claims() == 0 && for_longer_than(lifecycle.silence, self.heard().max(since)) => {
                Some(self.to(State::Stopping, "it has nothing to do, and has not ended by itself".to_owned()))
            }
            State::Draining | State::Stopping | State::Ended => None,
        }
    }

    /// When its worker was last heard of.
    fn heard(&self) -> Timestamp {
        let begun = self.begun();
        self.activity.map_or(begun, |activity| activity.last_active.max(begun))
    }

    /// When its worker began, if it has.
    fn begun(&self) -> Timestamp {
        self.instance.started.unwrap_or(self.instance.created)
    }

    fn is_alive(&self) -> bool {
        self.sighting.as_ref().is_some_and(|sighting| sighting.phase == Phase::Alive)
    }

    /// That there is nothing any more.
    fn gone(&self, now: Timestamp) -> Option<Change> {
        let Instance { state, provider_id, .. } = &self.instance;
        let says = |text: &str| {
            let says = self.sighting.as_ref().and_then(|sighting| sighting.says.as_deref());
            self.instance.reason.clone().or_else(|| says.map(str::to_owned)).unwrap_or_else(|| text.to_owned())
        };
        match (&self.sighting, state) {
            (_, State::Ended) => None,
            // What nobody has launched is not there yet, and the provider may be slow to tell of what was launched just now.
            (None, State::Requested) => None,
            (None, State::Running | State::Draining) if now.since(self.begun()) <= UNLISTED => None,
            (None, State::Stopping) if provider_id.is_none() => {
                Some(self.to(State::Ended, says("it was not launched")))
            }
            (None, State::Pending) => Some(self.fails(State::Ended, says("it ended before its worker had begun"))),
            (None, State::Running) if self.activity.is_none() => {
                Some(self.fails(State::Ended, says("it ended before its worker had asked for a task")))
            }
            (None, _) => Some(self.to(State::Ended, says("it ended by itself"))),
            (Some(sighting), state) if sighting.phase == Phase::Gone && state.is_starting() => {
                Some(self.fails(State::Ended, says("it ended before its worker had begun")))
            }
            (Some(sighting), State::Running) if sighting.phase == Phase::Gone && self.activity.is_none() => {
                Some(self.fails(State::Ended, says("it ended before its worker had asked for a task")))
            }
            (Some(sighting), _) if sighting.phase == Phase::Gone => {
                Some(self.to(State::Ended, says("it ended by itself")))
            }
            (Some(sighting), state) if sighting.phase == Phase::Ending && *state < State::Stopping => {
                Some(self.to(State::Stopping, says("its provider takes it away")))
            }
            (Some(_), _) => None,
        }
    }

    /// A running worker that is of no use.
    fn trouble(&self, lifecycle: &Lifecycle, now: Timestamp) -> Option<Change> {
        let quarantined = self.activity.and_then(|activity| activity.quarantined_until).filter(|until| *until > now);
        if let Some(until) = quarantined {
            return Some(self.to(State::Draining, format!("it is quarantined until {until}")));
        }
        let silent = self.claims() == 0 && now.since(self.heard()) > lifecycle.silence;
        silent.then(|| {
            let reason = format!("nothing was heard of its worker for {}", text(now.since(self.heard())));
            self.to(State::Stopping, reason)
        })
    }
}

/// A time as people say it, to the second.
#[must_use]
pub fn text(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests;
