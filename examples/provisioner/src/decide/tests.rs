use taskcluster::provisioner::{CreateWorkerTypeRequest, FixedProvider, FixedWorker};
use taskcluster_core::time::{hours, minutes};

use super::*;
use crate::instance::{Instance, Place};
use crate::life::Activity;
use crate::policy::Steady;
use crate::provider::{Phase, Sighting};
use crate::worker_type::{Candidate, Definition};

fn now() -> Timestamp {
    "2026-03-04T05:06:07.008Z".parse().unwrap()
}

fn version(number: u32, min: u32, max: u32) -> Version {
    let sent = CreateWorkerTypeRequest::new("", "", max, 0.0, FixedProvider::new(Vec::<FixedWorker>::new()))
        .with_min_capacity(min);
    Version { number, definition: Definition::new(sent) }
}

fn worker_type(min: u32, max: u32) -> WorkerType {
    WorkerType { name: "w".to_owned(), settled: version(1, min, max), candidate: None, last_modified: now() }
}

fn with_candidate(worker_type: WorkerType, number: u32, share: f64) -> WorkerType {
    let version = Version { number, ..worker_type.settled.clone() };
    WorkerType { candidate: Some(Candidate { version, share }), ..worker_type }
}

/// The `n`th instance: of a healthy worker, if it runs.
fn instance(n: usize, state: State, version: u32, claims: u32) -> Seen {
    let id = format!("i-{n}");
    let provider_id = (state > State::Requested).then(|| format!("p-{n}"));
    let begun = now() - minutes(10) + Duration::from_secs(n as u64);
    let sighting = provider_id.clone().map(|provider_id| Sighting {
        provider_id,
        instance_id: id.clone(),
        phase: Phase::Alive,
        place: None,
        says: None,
    });
    let activity =
        (state >= State::Running).then_some(Activity { last_active: now(), quarantined_until: None, claims });
    let instance = Instance {
        id,
        worker_type: "w".to_owned(),
        version,
        provider: "docker".to_owned(),
        worker_group: "local".to_owned(),
        place: Place::default(),
        capacity: 1,
        price: 0.0,
        provider_id,
        state,
        created: begun,
        since: begun,
        started: (state >= State::Running).then_some(begun),
        reason: None,
    };
    Seen { instance, sighting, activity }
}

fn fleet(parts: &[(usize, State, u32, u32)]) -> Vec<Seen> {
    let all = parts.iter().flat_map(|part| std::iter::repeat_n(part, part.0));
    all.enumerate().map(|(n, (_, state, version, claims))| instance(n, *state, *version, *claims)).collect()
}

fn waiting(pending: u32) -> Demand {
    Demand { pending, oldest: minutes(1), claimed: 0 }
}

fn decided(worker_type: &WorkerType, demand: Demand, seen: &[Seen]) -> Decision {
    let failures = Failures::default();
    decide(&Sight { worker_type, demand, seen, failures: &failures, now: now() }, &Steady)
}

/// How many come into which state.
fn changed(decision: &Decision) -> Vec<(State, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for change in &decision.changes {
        *counts.entry(change.to).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}

#[test]
fn what_waits_gets_capacity_that_is_not_on_its_way_already() {
    let seen = fleet(&[(2, State::Running, 1, 1), (1, State::Requested, 1, 0), (1, State::Pending, 1, 0)]);
    let decision = decided(&worker_type(0, 10), waiting(5), &seen);
    assert_eq!((decision.desired, decision.missing, decision.room), (7, vec![(1, 3)], 6));
    assert!(decision.changes.is_empty());
}

#[test]
fn the_emptiest_workers_take_no_more_where_the_others_have_room() {
    // Of capacity 4 each: two full, one with a task, two idle.
    let mut seen = fleet(&[(2, State::Running, 1, 4), (1, State::Running, 1, 1), (2, State::Running, 1, 0)]);
    seen.iter_mut().for_each(|seen| seen.instance.capacity = 4);
    let ids = |decision: &Decision| -> Vec<String> {
        decision.changes.iter().map(|change| change.instance_id.clone()).collect()
    };
    let decision = decided(&worker_type(0, 100), waiting(0), &seen);
    assert_eq!(ids(&decision), Vec::<String>::new(), "11 are idle, as many as may be");
    seen.push(seen[4].clone());
    seen[5].instance.id = "i-5".to_owned();
    seen[5].instance.created = now();
    let decision = decided(&worker_type(0, 100), waiting(0), &seen);
    assert_eq!((ids(&decision), changed(&decision)), (vec!["i-5".to_owned()], vec![(State::Draining, 1)]));
    assert!(decision.why.iter().any(|line| line.contains("i-5 finishes what it does and ends: the others have room")));
    assert!(decided(&worker_type(0, 100), waiting(1), &seen).changes.is_empty(), "a task waits");
    assert!(decided(&worker_type(24, 100), waiting(0), &seen).changes.is_empty(), "it is the minimum");
}

#[test]
fn a_version_that_shall_have_a_share_is_not_emptied_for_another() {
    // 20 are wanted of the old version and 5 of the new one, which are the youngest; 16 are idle.
    let parts =
        [(20, State::Running, 1, 1), (11, State::Running, 1, 0), (5, State::Running, 2, 1), (5, State::Running, 2, 0)];
    let rolled = with_candidate(worker_type(0, 100), 2, 0.2);
    let changes = |idle: usize| {
        let mut parts = parts;
        parts[3].0 = idle;
        let decision = decided(&rolled, waiting(0), &fleet(&parts));
        assert_eq!(decision.missing, [], "nothing is launched in the place of what is emptied");
        decision.changes.into_iter().map(|change| change.instance_id).collect::<Vec<_>>()
    };
    assert_eq!(changes(5), ["i-40", "i-39", "i-38", "i-37"], "of the new one there is more than its share");
    assert_eq!(changes(0), Vec::<String>::new(), "11 are idle, and 11.5 may be");
    let all_of_the_old_one = [(30, State::Running, 1, 1), (20, State::Running, 1, 0), (3, State::Running, 2, 0)];
    let decision = decided(&with_candidate(worker_type(0, 100), 2, 0.1), waiting(0), &fleet(&all_of_the_old_one));
    let kept = ["i-50", "i-51", "i-52"];
    assert!(decision.changes.len() > 5 && decision.changes.iter().all(|change| !kept.contains(&&*change.instance_id)));
    assert_eq!(decision.missing, []);
}

#[test]
fn what_is_idle_is_used_before_anything_is_launched_and_left_alone_otherwise() {
    let seen = fleet(&[(4, State::Running, 1, 0)]);
    assert_eq!(decided(&worker_type(0, 10), waiting(3), &seen).missing, []);
    let decision = decided(&worker_type(0, 10), waiting(0), &seen);
    assert_eq!((decision.desired, decision.changes.len()), (0, 0), "it asks by itself");
}

#[test]
fn there_is_never_more_than_the_maximum_nor_less_than_the_minimum() {
    let decision = decided(&worker_type(2, 4), waiting(100), &fleet(&[(1, State::Running, 1, 1)]));
    assert_eq!((decision.desired, decision.missing, decision.room), (4, vec![(1, 3)], 3));
    assert_eq!(decided(&worker_type(2, 4), waiting(0), &[]).missing, [(1, 2)]);
    assert_eq!(decided(&worker_type(0, 0), waiting(9), &[]).missing, []);
}

#[test]
fn what_is_no_longer_needed_is_taken_back_unless_it_runs_wishes_first() {
    let seen = fleet(&[(1, State::Pending, 1, 0), (1, State::Requested, 1, 0), (1, State::Running, 1, 1)]);
    let ids = |pending| -> Vec<String> {
        let decision = decided(&worker_type(0, 10), waiting(pending), &seen);
        decision.changes.into_iter().map(|change| change.instance_id).collect()
    };
    assert_eq!(ids(1), ["i-1"]);
    assert_eq!(ids(0), ["i-1", "i-0"]);
    assert!(ids(2).is_empty());
}

#[test]
fn workers_of_an_old_version_are_replaced_a_few_at_a_time_the_oldest_first() {
    let mut renewed = worker_type(8, 20);
    renewed.settled.number = 2;
    let decision = decided(&renewed, waiting(0), &fleet(&[(8, State::Running, 1, 0)]));
    assert_eq!(changed(&decision), [(State::Draining, 2)]);
    assert_eq!(decision.changes[0].instance_id, "i-0");
    assert_eq!(decision.missing, [(2, 2)], "no more than what goes");
    let seen = fleet(&[(2, State::Draining, 1, 1), (6, State::Running, 1, 1), (2, State::Pending, 2, 0)]);
    let decision = decided(&renewed, waiting(0), &seen);
    assert!(decision.changes.is_empty() && decision.missing.is_empty(), "{decision:?}");
}

#[test]
fn what_has_not_begun_is_withdrawn_when_its_version_is() {
    let mut renewed = worker_type(0, 20);
    renewed.settled.number = 2;
    let decision = decided(&renewed, waiting(3), &fleet(&[(3, State::Requested, 1, 0)]));
    assert_eq!((changed(&decision), decision.missing), (vec![(State::Stopping, 3)], vec![(2, 3)]));
}

#[test]
fn a_share_of_the_capacity_becomes_the_new_version_and_is_taken_back() {
    let rolled = with_candidate(worker_type(0, 20), 2, 0.25);
    assert_eq!(decided(&rolled, waiting(8), &[]).missing, [(1, 6), (2, 2)]);
    let busy = fleet(&[(8, State::Running, 1, 1)]);
    let decision = decided(&rolled, waiting(0), &busy);
    assert_eq!((changed(&decision), decision.missing), (vec![(State::Draining, 2)], vec![(2, 2)]));
    let there = fleet(&[(6, State::Running, 1, 1), (2, State::Running, 2, 1)]);
    assert!(decided(&rolled, waiting(0), &there).changes.is_empty());
    // Taken back.
    let decision = decided(&worker_type(0, 20), waiting(0), &there);
    assert_eq!((changed(&decision), decision.missing), (vec![(State::Draining, 2)], vec![(1, 2)]));
}

#[test]
fn what_is_old_is_replaced() {
    let mut seen = fleet(&[(4, State::Running, 1, 1)]);
    seen[2].instance.created = now() - hours(73);
    let decision = decided(&worker_type(0, 20), waiting(0), &seen);
    assert_eq!((changed(&decision), decision.missing), (vec![(State::Draining, 1)], vec![(1, 1)]));
    assert_eq!(decision.changes[0].instance_id, "i-2");
}

#[test]
fn what_is_quarantined_is_no_capacity() {
    let mut seen = fleet(&[(2, State::Running, 1, 0)]);
    let quarantined_until = Some(now() + hours(1));
    seen[0].activity = Some(Activity { last_active: now(), quarantined_until, claims: 0 });
    let decision = decided(&worker_type(2, 20), waiting(0), &seen);
    assert_eq!((changed(&decision), decision.missing), (vec![(State::Draining, 1)], vec![(1, 1)]));
    assert!(decision.why.iter().any(|line| line.contains("i-0") && line.contains("quarantined")), "{:?}", decision.why);
}

#[test]
fn after_failures_nothing_is_started_for_a_while() {
    let worker_type = worker_type(0, 10);
    let failures = Failures { times: vec![now()], reason: "exit status 1".to_owned() };
    let sight = Sight { worker_type: &worker_type, demand: waiting(3), seen: &[], failures: &failures, now: now() };
    let decision = decide(&sight, &Steady);
    assert_eq!((decision.desired, decision.missing), (3, vec![]));
    assert!(decision.why.iter().any(|line| line.contains("exit status 1")), "{:?}", decision.why);
}

#[test]
fn the_same_sight_gives_the_same_decision_and_says_why() {
    let seen = fleet(&[(2, State::Running, 1, 1), (1, State::Draining, 1, 1)]);
    let demand = Demand { pending: 1, oldest: minutes(2), claimed: 3 };
    let decision = decided(&worker_type(0, 10), demand, &seen);
    assert_eq!(decision, decided(&worker_type(0, 10), demand, &seen));
    assert_eq!(
        decision.why,
        [
            "A task has waited for 2 min; 3 are being done.",
            "Capacity of 2 runs, 2 of it busy, and 0 is starting.",
            "The policy \"steady\" wants 3.",
        ]
    );
}

#[test]
fn nothing_takes_the_place_at_once_of_what_is_seen_to_have_come_to_nothing() {
    let mut seen = fleet(&[(1, State::Pending, 1, 0)]);
    seen[0].sighting = None;
    let decision = decided(&worker_type(0, 20), waiting(3), &seen);
    assert_eq!((changed(&decision), decision.missing), (vec![(State::Ended, 1)], vec![]));
    assert!(decision.why.iter().any(|line| line.starts_with("Nothing is started before")), "{:?}", decision.why);
}
