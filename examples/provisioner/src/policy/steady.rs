//! The default policy.

use super::{Outlook, Policy, units};

/// What is on its way is taken back only when no more tasks wait than this share of those that may.
const SLOW_TO_TAKE_BACK: f64 = 0.7;

/// What is kept ready is taken back only when it is too much by so many deviations.
const SLOW_TO_SPARE_LESS: f64 = 0.5;

/// What may have nothing to do whatever there is: a small fleet is left to end by itself.
const ALWAYS_IDLE: f64 = 4.0;

/// What may have nothing to do besides, in deviations: it has soon.
const OFTEN_IDLE: f64 = 1.5;

/// A unit for each task that is being done, for each that waits beyond the share that may wait, and for what is kept ready.
///
/// Three things make it cheap. It is slow to take back what it has asked for: a worker that starts is kept until clearly fewer tasks wait than may,
/// since demand that falls for a moment comes again, and whatever is withdrawn has cost something and done nothing. What is kept ready for tasks to
/// come is no share of what runs but grows with its square root, which is by how much the number of tasks at a time varies if they
/// come independently of each other (one deviation of Poisson's distribution). And where much more than that has nothing to do, the
/// emptiest workers take no more tasks, so that machines that run many at a time become empty at all.
///
/// It was made with the five open traces in `traces`.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Steady;

impl Policy for Steady {
    fn name(&self) -> &'static str {
        "steady"
    }

    fn desired(&self, outlook: &Outlook) -> u32 {
        let (busy, pending, spare) = (f64::from(outlook.busy), f64::from(outlook.pending), outlook.bounds.spare);
        let may_wait = f64::from(outlook.running) * outlook.bounds.ratio;
        let needed = busy + (pending - may_wait).max(0.0) + spare * busy.sqrt();
        let slow = if spare > 0.0 { SLOW_TO_SPARE_LESS } else { 0.0 };
        let enough = busy + (pending - SLOW_TO_TAKE_BACK * may_wait).max(0.0) + (spare + slow) * busy.sqrt();
        let there = f64::from(outlook.running) + f64::from(outlook.starting);
        units(needed.max(there.min(enough)))
    }

    fn surplus(&self, outlook: &Outlook) -> Option<u32> {
        let deviations = OFTEN_IDLE + outlook.bounds.spare;
        Some(units(ALWAYS_IDLE + deviations * f64::from(outlook.busy).sqrt()))
    }

    fn keeps_spare(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{outlook, within_bounds};

    #[test]
    fn each_task_gets_a_unit_unless_it_may_wait() {
        let desired = |pending, running, busy, ratio| within_bounds(&Steady, &outlook(pending, running, busy, ratio));
        assert_eq!(desired(5, 0, 0, 0.0), 5);
        assert_eq!(desired(5, 10, 8, 0.0), 13);
        assert_eq!(desired(5, 10, 8, 0.2), 11, "two may wait");
        assert_eq!(desired(1, 10, 10, 0.2), 10, "none waits too long");
        assert_eq!(desired(0, 10, 8, 0.2), 8);
    }

    #[test]
    fn what_is_on_its_way_is_taken_back_late() {
        let starting = |pending, starting| within_bounds(&Steady, &Outlook { starting, ..outlook(pending, 8, 8, 0.5) });
        assert_eq!(starting(6, 0), 10, "four may wait");
        assert_eq!(starting(4, 0), 8);
        assert_eq!(starting(4, 2), 10, "all may wait, but two are coming");
        assert_eq!(starting(6, 6), 12);
        assert_eq!(starting(2, 2), 8);
    }

    #[test]
    fn what_is_kept_ready_grows_with_the_root_of_what_is_busy() {
        let with = |spare, busy, running| {
            let mut outlook = outlook(0, running, busy, 0.0);
            (outlook.bounds.spare, outlook.bounds.max) = (spare, 1000);
            (within_bounds(&Steady, &outlook), Steady.surplus(&outlook))
        };
        assert_eq!(with(1.0, 100, 100), (110, Some(29)));
        assert_eq!(with(2.0, 9, 9).0, 15);
        assert_eq!(with(1.0, 100, 113).0, 113, "some more is kept");
        assert_eq!(with(1.0, 100, 120).0, 115);
        assert_eq!(with(0.0, 100, 120), (100, Some(19)));
    }
}
