//! How much capacity there shall be, from what waits and what runs. No I/O, no time but that of the outlook.

use std::fmt;
use std::time::Duration;

use crate::worker_type::Bounds;

mod historical;
mod steady;

pub use historical::Historical;
pub use steady::Steady;

/// What a policy looks at. Amounts are capacity units, of which each runs one task at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "policies are tested with it")]
pub struct Outlook {
    /// Tasks that wait.
    pub pending: u32,
    /// How long the first of them has waited.
    pub oldest: Duration,
    /// What takes tasks.
    pub running: u32,
    /// How much of that has one.
    pub busy: u32,
    /// What was asked for or starts.
    pub starting: u32,
    /// Between what the result has to be.
    pub bounds: Bounds,
}

impl Outlook {
    /// What runs and has nothing to do.
    #[must_use]
    pub fn idle(&self) -> u32 {
        self.running.saturating_sub(self.busy)
    }
}

/// Says how much there shall be.
pub trait Policy: fmt::Debug + Send + Sync {
    /// By what name people know it.
    fn name(&self) -> &'static str;

    /// How much shall run and start, in all. What is outside of the bounds is brought within them.
    fn desired(&self, outlook: &Outlook) -> u32;

    /// How much may have nothing to do before workers take no more tasks, so that the others are full and these can end. Without it,
    /// workers end only by themselves, when they have had nothing to do for a while.
    fn surplus(&self, _outlook: &Outlook) -> Option<u32> {
        None
    }

    /// Whether it keeps what is to be ready for tasks to come: [`Bounds::spare`].
    fn keeps_spare(&self) -> bool {
        false
    }
}

/// All policies that there are, the default one first.
pub const ALL: [&dyn Policy; 2] = [&Steady, &Historical];

/// What a policy wants, within the bounds.
#[must_use]
pub fn within_bounds(policy: &dyn Policy, outlook: &Outlook) -> u32 {
    policy.desired(outlook).clamp(outlook.bounds.min, outlook.bounds.max)
}

/// Whether a running worker of that capacity, with so many tasks, may take no more: the others have room for what comes.
#[must_use]
pub fn is_dispensable(policy: &dyn Policy, outlook: &Outlook, capacity: u32, tasks: u32) -> bool {
    let Some(surplus) = policy.surplus(outlook) else { return false };
    let others = outlook.running.saturating_sub(capacity);
    let occupied = outlook.busy.saturating_sub(tasks);
    outlook.pending == 0 && outlook.starting == 0 && others >= outlook.bounds.min.max(occupied.saturating_add(surplus))
}

/// Rounded up to whole units, whatever it is.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn units(amount: f64) -> u32 {
    amount.ceil() as u32
}

#[cfg(test)]
fn outlook(pending: u32, running: u32, busy: u32, ratio: f64) -> Outlook {
    let bounds = Bounds { min: 2, max: 20, ratio, spare: 0.0 };
    Outlook { pending, oldest: Duration::ZERO, running, busy, starting: 0, bounds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_stays_within_the_bounds() {
        assert_eq!(within_bounds(&Steady, &outlook(0, 0, 0, 0.0)), 2);
        assert_eq!(within_bounds(&Steady, &outlook(1000, 0, 0, 0.0)), 20);
    }

    #[test]
    fn a_worker_may_go_if_the_others_have_room() {
        let may_go = |outlook: Outlook, capacity, tasks| is_dispensable(&Steady, &outlook, capacity, tasks);
        // Of 9 that are busy there may be 9 idle besides.
        assert!(!may_go(outlook(0, 18, 9, 0.0), 1, 0));
        assert!(may_go(outlook(0, 19, 9, 0.0), 1, 0));
        assert!(may_go(outlook(0, 20, 9, 0.0), 4, 2), "its tasks take no room of the others'");
        assert!(!may_go(outlook(0, 20, 9, 0.0), 4, 1));
        assert!(!may_go(outlook(1, 20, 9, 0.0), 1, 0), "a task waits");
        assert!(!may_go(Outlook { starting: 1, ..outlook(0, 20, 9, 0.0) }, 1, 0));
        let mut least = outlook(0, 20, 9, 0.0);
        least.bounds.min = 20;
        assert!(!may_go(least, 1, 0));
        assert!(!is_dispensable(&Historical, &outlook(0, 20, 0, 0.0), 1, 0));
    }
}
