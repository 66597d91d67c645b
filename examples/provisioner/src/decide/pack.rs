//! Emptying workers that the others can do without: they finish what they do, take nothing new, and end. The emptiest go first, so that
//! machines that run several tasks at a time are full or gone, and not half idle for ever.

use super::{Fleet, drain};
use crate::instance::State;
use crate::life::Seen;
use crate::policy::{Outlook, Policy, is_dispensable};
use crate::worker_type::Version;

pub(super) fn pack(
    fleet: &mut Fleet<'_>,
    policy: &dyn Policy,
    mut outlook: Outlook,
    wanted: &[(&Version, u32)],
    why: &mut Vec<String>,
) {
    // Those that drain for another reason are not there for anybody any more.
    (outlook.running, outlook.busy) = fleet.load();
    while let Some(index) = emptiest(fleet, wanted) {
        let (capacity, tasks) = Fleet::load_of(&fleet.seen[index]);
        if !is_dispensable(policy, &outlook, capacity, tasks) {
            return;
        }
        drain(fleet, index, "the others have room for what it does".to_owned(), why);
        outlook.running -= capacity;
        outlook.busy -= tasks;
    }
}

/// The running worker with the smallest share of its capacity in use; of several the youngest, which has proved the least. None without
/// which there would be less of its version than is wanted: that would only be launched again.
fn emptiest(fleet: &Fleet<'_>, wanted: &[(&Version, u32)]) -> Option<usize> {
    let is_too_much = |seen: &Seen| {
        let units =
            wanted.iter().find(|(version, _)| version.number == seen.instance.version).map_or(0, |(_, units)| *units);
        fleet.of_version(seen.instance.version).saturating_sub(seen.instance.capacity) >= units
    };
    let running = fleet.iter().filter(|(_, seen, state)| *state == State::Running && is_too_much(seen));
    let used = running.map(|(index, seen, _)| {
        let (capacity, tasks) = Fleet::load_of(seen);
        (index, f64::from(tasks) / f64::from(capacity.max(1)), std::cmp::Reverse(seen.instance.created))
    });
    used.min_by(|a, b| a.1.total_cmp(&b.1).then(a.2.cmp(&b.2))).map(|(index, ..)| index)
}
