//! Emptying workers that the others can do without: they finish what they do, take nothing new, and end. The emptiest go first, so that
//! machines that run several tasks at a time are full or gone, and not half idle for ever.

use super::{Fleet, drain};
use crate::instance::State;
use crate::policy::{Outlook, Policy, is_dispensable};

pub(super) fn pack(fleet: &mut Fleet<'_>, policy: &dyn Policy, mut outlook: Outlook, why: &mut Vec<String>) {
    // Those that drain for another reason are not there for anybody any more.
    (outlook.running, outlook.busy) = fleet.load();
    while let Some(index) = emptiest(fleet) {
        let (capacity, tasks) = Fleet::load_of(&fleet.seen[index]);
        if !is_dispensable(policy, &outlook, capacity, tasks) {
            return;
        }
        drain(fleet, index, "the others have room for what it does".to_owned(), why);
        outlook.running -= capacity;
        outlook.busy -= tasks;
    }
}

/// The running worker with the smallest share of its capacity in use; of several the youngest, which has proved the least.
fn emptiest(fleet: &Fleet<'_>) -> Option<usize> {
    let running = fleet.iter().filter(|(_, _, state)| *state == State::Running);
    let used = running.map(|(index, seen, _)| {
        let (capacity, tasks) = Fleet::load_of(seen);
        (index, f64::from(tasks) / f64::from(capacity.max(1)), std::cmp::Reverse(seen.instance.created))
    });
    used.min_by(|a, b| a.1.total_cmp(&b.1).then(a.2.cmp(&b.2))).map(|(index, ..)| index)
}
