//! Replacing what is old: workers of a version that is no longer wanted, those that have run for long, and those that stand in the way
//! of a version that shall have a share. A few at a time, so that there is never much less than is wanted.

use taskcluster_core::time::Timestamp;

use super::{Fleet, Sight, drain};
use crate::instance::State;
use crate::life::{Seen, text};
use crate::worker_type::{Version, WorkerType};

/// Of so many running workers one may be on its way out to be replaced; of fewer, one.
const ONE_OF: usize = 4;

pub(super) fn renew(fleet: &mut Fleet<'_>, sight: &Sight<'_>, wanted: &[(&Version, u32)], why: &mut Vec<String>) {
    let going = fleet.iter().filter(|(_, _, state)| *state == State::Draining).count();
    let running = fleet.iter().filter(|(_, _, state)| *state == State::Running).count();
    let at_once = (running + going).div_ceil(ONE_OF).max(1);
    let mut old: Vec<(usize, Timestamp, String)> = fleet
        .iter()
        .filter(|(_, _, state)| *state == State::Running)
        .filter_map(|(index, seen, _)| {
            Some((index, seen.instance.created, reason(seen, sight.worker_type, sight.now)?))
        })
        .collect();
    old.sort_by_key(|(index, created, _)| (*created, *index));
    for (index, _, reason) in old.into_iter().take(at_once.saturating_sub(going)) {
        drain(fleet, index, reason, why);
    }
    make_room(fleet, wanted, at_once, why);
    // What has not begun need not finish anything.
    for index in 0..fleet.seen.len() {
        let seen = &fleet.seen[index];
        if fleet.states[index].is_starting() && sight.worker_type.version(seen.instance.version).is_none() {
            let reason = format!("version {} is no longer wanted", seen.instance.version);
            why.push(format!("{} is withdrawn: {reason}.", seen.instance.id));
            fleet.change(index, seen.to(State::Stopping, reason));
        }
    }
}

/// Why a running worker is to be replaced.
fn reason(seen: &Seen, worker_type: &WorkerType, now: Timestamp) -> Option<String> {
    let Some(version) = worker_type.version(seen.instance.version) else {
        return Some(format!("version {} is no longer wanted", seen.instance.version));
    };
    let max_age = version.definition.lifecycle().max_age;
    (now.since(seen.instance.created) > max_age).then(|| format!("it is older than {}", text(max_age)))
}

/// Where one version has more than its share and another less, workers of the first make room.
fn make_room(fleet: &mut Fleet<'_>, wanted: &[(&Version, u32)], at_once: usize, why: &mut Vec<String>) {
    let too_few = |fleet: &Fleet<'_>| wanted.iter().any(|(version, units)| fleet.of_version(version.number) < *units);
    for (version, units) in wanted {
        let own: Vec<usize> = fleet
            .iter()
            .filter(|(_, seen, state)| *state == State::Running && seen.instance.version == version.number)
            .map(|(index, ..)| index)
            .collect();
        for index in own {
            let going = fleet.iter().filter(|(_, _, state)| *state == State::Draining).count();
            let left = fleet.of_version(version.number).saturating_sub(fleet.seen[index].instance.capacity);
            if going >= at_once || left < *units || !too_few(fleet) {
                break;
            }
            drain(fleet, index, "it makes room for another version".to_owned(), why);
        }
    }
}
