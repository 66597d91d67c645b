//! Taking back what is on its way and no longer needed. What runs is not ended for that: a worker without a task asks, and is told.

use super::Fleet;
use crate::instance::State;
use crate::worker_type::Version;

pub(super) fn withdraw(fleet: &mut Fleet<'_>, wanted: &[(&Version, u32)], why: &mut Vec<String>) {
    for (version, units) in wanted {
        // What was only wished for first, then the youngest.
        let mut starting: Vec<usize> = fleet
            .iter()
            .filter(|(_, seen, state)| state.is_starting() && seen.instance.version == version.number)
            .map(|(index, ..)| index)
            .collect();
        starting.sort_by_key(|index| (fleet.states[*index], std::cmp::Reverse(fleet.seen[*index].instance.created)));
        for index in starting {
            let seen = &fleet.seen[index];
            if fleet.of_version(version.number).saturating_sub(seen.instance.capacity) < *units {
                continue;
            }
            why.push(format!("{} is withdrawn: it is no longer needed.", seen.instance.id));
            fleet.change(index, seen.to(State::Stopping, "it is no longer needed".to_owned()));
        }
    }
}
