//! What there was before, to compare with.

use super::{Outlook, Policy};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{outlook, within_bounds};

    #[test]
    fn what_runs_was_once_no_help_to_what_waits() {
        let desired =
            |pending, running, busy, ratio| within_bounds(&Historical, &outlook(pending, running, busy, ratio));
        assert_eq!(desired(5, 10, 2, 0.0), 15);
        assert_eq!(desired(5, 10, 2, 0.2), 13);
        assert_eq!(desired(0, 10, 2, 0.2), 8, "what starts is taken back");
    }
}
