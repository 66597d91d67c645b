use taskcluster_core::time::{hours, minutes};

use super::*;
use crate::instance::Place;

fn now() -> Timestamp {
    "2026-03-04T05:06:07.008Z".parse().unwrap()
}

/// One that was wished for an hour ago and came into its state ten minutes ago.
fn seen(state: State) -> Seen {
    let instance = Instance {
        id: "an-instance".to_owned(),
        worker_type: "w".to_owned(),
        version: 1,
        provider: "docker".to_owned(),
        worker_group: "local".to_owned(),
        place: Place::default(),
        capacity: 1,
        price: 0.0,
        provider_id: (state > State::Requested).then(|| "p-1".to_owned()),
        state,
        created: now() - minutes(10),
        since: now() - minutes(10),
        started: (state > State::Pending).then(|| now() - minutes(10)),
        reason: None,
    };
    Seen { instance, sighting: Some(sighted(Phase::Alive)), activity: None }
}

fn sighted(phase: Phase) -> Sighting {
    Sighting { provider_id: "p-1".to_owned(), instance_id: "an-instance".to_owned(), phase, place: None, says: None }
}

fn active(before: Duration, claims: u32) -> Option<Activity> {
    Some(Activity { last_active: now() - before, quarantined_until: None, claims })
}

fn next(seen: &Seen) -> Option<State> {
    seen.next(&Lifecycle::default(), now()).map(|change| {
        assert_eq!((change.from, &*change.instance_id), (seen.instance.state, "an-instance"));
        change.to
    })
}

#[test]
fn it_is_pending_when_its_provider_has_it_and_running_when_its_worker_is_heard_of() {
    assert_eq!(next(&seen(State::Requested)), Some(State::Pending));
    assert_eq!(next(&Seen { sighting: Some(sighted(Phase::Requested)), ..seen(State::Requested) }), None);
    assert_eq!(next(&Seen { sighting: None, ..seen(State::Requested) }), None);
    assert_eq!(next(&seen(State::Pending)), None);
    for state in [State::Requested, State::Pending] {
        assert_eq!(next(&Seen { activity: active(minutes(1), 0), ..seen(state) }), Some(State::Running));
    }
}

#[test]
fn one_that_does_not_begin_is_given_up() {
    let late = |state| {
        let mut late = seen(state);
        late.instance.created = now() - minutes(21);
        late
    };
    assert_eq!(next(&late(State::Requested)), Some(State::Stopping));
    assert_eq!(next(&late(State::Pending)), Some(State::Stopping));
    assert_eq!(next(&Seen { sighting: None, ..late(State::Requested) }), Some(State::Stopping));
    assert_eq!(next(&late(State::Running)), None);
    assert!(late(State::Pending).next(&Lifecycle::default(), now()).unwrap().failed);
}

#[test]
fn what_its_provider_does_not_know_any_more_has_ended() {
    for state in [State::Pending, State::Running, State::Draining, State::Stopping] {
        for sighting in [None, Some(sighted(Phase::Gone))] {
            assert_eq!(next(&Seen { sighting, ..seen(state) }), Some(State::Ended), "{state}");
        }
    }
    let gone = Seen { sighting: Some(sighted(Phase::Gone)), ..seen(State::Requested) };
    assert_eq!(next(&gone), Some(State::Ended));
    assert_eq!(next(&Seen { sighting: None, ..seen(State::Ended) }), None);
    let failed = |state, activity| {
        Seen { sighting: None, activity, ..seen(state) }.next(&Lifecycle::default(), now()).unwrap().failed
    };
    assert!(failed(State::Pending, None) && !failed(State::Stopping, None));
    assert!(failed(State::Running, None), "its worker began, and never asked for a task");
    assert!(!failed(State::Running, active(minutes(1), 0)));
}

#[test]
fn a_worker_that_is_quicker_than_the_list_is_not_taken_for_gone() {
    for state in [State::Running, State::Draining] {
        let mut quick = Seen { sighting: None, ..seen(state) };
        quick.instance.started = Some(now() - Duration::from_secs(20));
        assert_eq!(next(&quick), None, "{state}");
        quick.sighting = Some(sighted(Phase::Gone));
        assert_eq!(next(&quick), Some(State::Ended), "{state}");
    }
}

#[test]
fn a_wish_that_is_withdrawn_before_it_is_launched_is_over() {
    let mut withdrawn = Seen { sighting: None, ..seen(State::Stopping) };
    withdrawn.instance.provider_id = None;
    withdrawn.instance.reason = Some("not needed".to_owned());
    let change = withdrawn.next(&Lifecycle::default(), now()).unwrap();
    assert_eq!((change.to, change.reason.as_deref()), (State::Ended, Some("not needed")));
}

#[test]
fn what_its_provider_takes_away_counts_no_more() {
    for state in [State::Pending, State::Running, State::Draining] {
        assert_eq!(next(&Seen { sighting: Some(sighted(Phase::Ending)), ..seen(state) }), Some(State::Stopping));
    }
    assert_eq!(next(&Seen { sighting: Some(sighted(Phase::Ending)), ..seen(State::Stopping) }), None);
}

#[test]
fn a_worker_that_is_quarantined_is_let_finish_and_one_that_is_silent_is_not() {
    let quarantined = |until| {
        let activity = Activity { last_active: now(), quarantined_until: Some(until), claims: 1 };
        next(&Seen { activity: Some(activity), ..seen(State::Running) })
    };
    assert_eq!(quarantined(now() + hours(1)), Some(State::Draining));
    assert_eq!(quarantined(now() - hours(1)), None);
    let mut old = seen(State::Running);
    old.instance.started = Some(now() - hours(2));
    assert_eq!(next(&old), Some(State::Stopping), "nobody ever heard of it");
    assert_eq!(next(&Seen { activity: active(minutes(16), 0), ..old.clone() }), Some(State::Stopping));
    assert_eq!(next(&Seen { activity: active(minutes(14), 0), ..old.clone() }), None);
    assert_eq!(next(&Seen { activity: active(hours(1), 1), ..old }), None, "a long task");
}

#[test]
fn one_that_drains_may_finish_and_no_more() {
    let draining = |minutes_ago: u64, activity| {
        let mut draining = Seen { activity, ..seen(State::Draining) };
        draining.instance.since = now() - minutes(minutes_ago);
        draining.instance.started = Some(now() - hours(48));
        next(&draining)
    };
    assert_eq!(draining(60, active(hours(1), 1)), None);
    assert_eq!(draining(60 * 24 + 1, active(hours(1), 1)), Some(State::Stopping));
    assert_eq!(draining(16, active(minutes(20), 0)), Some(State::Stopping));
    assert_eq!(draining(14, active(minutes(20), 0)), None);
}

#[test]
fn times_are_said_as_people_do() {
    let said = |seconds| text(Duration::from_secs(seconds));
    assert_eq!(
        [said(59), said(60), said(61), said(3600), said(5400)],
        ["59 s", "1 min", "1 min 1 s", "1 h", "1 h 30 min"]
    );
}
