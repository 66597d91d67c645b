//! How much capacity there shall be, from what waits and what runs. No I/O, no time but that of the outlook.

use std::fmt;
use std::time::Duration;

use crate::worker_type::Bounds;

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
}

/// A unit for each task that is being done, and for each that waits beyond the share that may wait.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Standard;

impl Policy for Standard {
    fn name(&self) -> &'static str {
        "standard"
    }

    fn desired(&self, outlook: &Outlook) -> u32 {
        let may_wait = f64::from(outlook.running) * outlook.bounds.ratio;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is not negative, and saturates"
        )]
        let may_wait = may_wait.floor() as u32;
        outlook.busy.saturating_add(outlook.pending.saturating_sub(may_wait))
    }
}

/// What the provisioner of 2016 wanted, without its faults: a unit for each task that waits beyond the share that may wait, besides all
/// that runs, busy or not.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Historical;

impl Policy for Historical {
    fn name(&self) -> &'static str {
        "historical"
    }

    fn desired(&self, outlook: &Outlook) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is not negative, and saturates"
        )]
        let may_wait = (f64::from(outlook.running) * outlook.bounds.ratio).round() as u32;
        outlook.running.saturating_add(outlook.pending).saturating_sub(may_wait)
    }
}

/// All policies that there are, the default one first.
pub const ALL: [&dyn Policy; 2] = [&Standard, &Historical];

/// What a policy wants, within the bounds.
#[must_use]
pub fn within_bounds(policy: &dyn Policy, outlook: &Outlook) -> u32 {
    policy.desired(outlook).clamp(outlook.bounds.min, outlook.bounds.max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlook(pending: u32, running: u32, busy: u32, ratio: f64) -> Outlook {
        let bounds = Bounds { min: 2, max: 20, ratio };
        Outlook { pending, oldest: Duration::ZERO, running, busy, starting: 0, bounds }
    }

    #[test]
    fn each_task_gets_a_unit_unless_it_may_wait() {
        let desired = |pending, running, busy, ratio| within_bounds(&Standard, &outlook(pending, running, busy, ratio));
        assert_eq!(desired(5, 0, 0, 0.0), 5);
        assert_eq!(desired(5, 10, 8, 0.0), 13);
        assert_eq!(desired(5, 10, 8, 0.2), 11, "two may wait");
        assert_eq!(desired(1, 10, 10, 0.2), 10, "none waits too long");
    }

    #[test]
    fn what_runs_was_once_no_help_to_what_waits() {
        let desired =
            |pending, running, busy, ratio| within_bounds(&Historical, &outlook(pending, running, busy, ratio));
        assert_eq!(desired(5, 10, 2, 0.0), 15);
        assert_eq!(desired(5, 10, 2, 0.2), 13);
        assert_eq!(desired(0, 10, 2, 0.2), 8, "what starts is taken back");
    }

    #[test]
    fn what_is_wanted_stays_within_the_bounds() {
        assert_eq!(within_bounds(&Standard, &outlook(0, 0, 0, 0.0)), 2);
        assert_eq!(within_bounds(&Standard, &outlook(1000, 0, 0, 0.0)), 20);
    }
}
