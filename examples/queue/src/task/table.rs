//! The transition table as a drawing, and the tests of the transition function.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use taskcluster_core::ids::{Priority, RunId, TaskId};
use taskcluster_core::time::{Timestamp, hours, minutes};

use super::*;

fn start() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

fn worker() -> Worker {
    Worker { group: "group".to_owned(), id: "one".to_owned() }
}

fn unscheduled() -> Task {
    Task {
        task_id: TaskId::new(),
        task_queue_id: "proj/ci".to_owned(),
        scheduler_id: "-".to_owned(),
        project_id: "none".to_owned(),
        task_group_id: TaskId::new(),
        priority: Priority::Lowest,
        deadline: start() + hours(2),
        expires: start() + hours(48),
        retries: 1,
        retries_left: 1,
        requires: Requires::AllCompleted,
        unsatisfied: 0,
        ever_resolved: false,
        runs: Vec::new(),
        routes: Vec::new(),
        tags: "{}".to_owned(),
    }
}

fn until() -> Timestamp {
    start() + minutes(20)
}

fn claim(run: u32) -> Event {
    Event::Claim { run: RunId::from(run), worker: worker(), taken_until: until() }
}

fn after(task: &Task, events: impl IntoIterator<Item = Event>) -> Task {
    events.into_iter().fold(task.clone(), |task, event| task.apply(event, start()).expect("the event is allowed").task)
}

fn running() -> Task {
    after(&unscheduled(), [Event::Schedule, claim(0)])
}

fn in_state(state: State) -> Task {
    match state {
        State::Unscheduled => unscheduled(),
        State::Pending => after(&unscheduled(), [Event::Schedule]),
        State::Running => running(),
        State::Completed => after(&running(), [Event::Complete { run: 0.into() }]),
        State::Failed => after(&running(), [Event::Fail { run: 0.into() }]),
        State::Exception => {
            after(&running(), [Event::Except { run: 0.into(), reason: ExceptionReason::MalformedPayload }])
        }
    }
}

/// Every event with the name of its arrow and the time at which it happens.
fn arrows() -> Vec<(&'static str, Event, Timestamp)> {
    let run = RunId::from(0_u32);
    let late = start() + hours(3);
    vec![
        ("schedule", Event::Schedule, start()),
        ("claim", claim(0), start()),
        ("reclaim", Event::Reclaim { run, taken_until: until() + minutes(20) }, start()),
        ("report completed", Event::Complete { run }, start()),
        ("report failed", Event::Fail { run }, start()),
        ("report worker-shutdown", Event::Except { run, reason: ExceptionReason::WorkerShutdown }, start()),
        ("report intermittent-task", Event::Except { run, reason: ExceptionReason::IntermittentTask }, start()),
        ("report malformed-payload", Event::Except { run, reason: ExceptionReason::MalformedPayload }, start()),
        ("report resource-unavailable", Event::Except { run, reason: ExceptionReason::ResourceUnavailable }, start()),
        ("report internal-error", Event::Except { run, reason: ExceptionReason::InternalError }, start()),
        ("claim expired", Event::ClaimExpired { run, taken_until: until() }, until()),
        ("deadline passed", Event::DeadlinePassed, late),
        ("cancel", Event::Cancel, start()),
        ("rerun", Event::Rerun, start()),
        ("change priority", Event::ChangePriority { priority: Priority::High, announce: true }, start()),
    ]
}

fn drawing() -> String {
    let mut text = String::from("stateDiagram-v2\n    [*] --> unscheduled: create\n");
    for state in State::ALL {
        for (name, event, now) in arrows() {
            for (retries, suffix) in [(1, ""), (0, ", no retries left")] {
                let task = Task { retries_left: retries, ..in_state(state) };
                let with_retries = Task { retries_left: 1, ..in_state(state) };
                let (Ok(outcome), Ok(usual)) = (task.apply(event.clone(), now), with_retries.apply(event.clone(), now))
                else {
                    continue;
                };
                if retries == 0 && outcome.task.state() == usual.task.state() {
                    continue;
                }
                if outcome.task == task && outcome.effects.is_empty() {
                    continue;
                }
                let _ = writeln!(text, "    {} --> {}: {name}{suffix}", state, outcome.task.state());
            }
        }
    }
    text
}

#[test]
fn the_drawing_shows_the_transitions() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/task/transitions.mmd");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, drawing()).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(kept, drawing(), "the life cycle has changed; review it and run the test once more with BLESS=1");
}

#[test]
fn every_state_can_be_reached_and_runs_that_are_resolved_never_change() {
    let reached: BTreeSet<State> = State::ALL.into_iter().map(|state| in_state(state).state()).collect();
    assert_eq!(reached.len(), State::ALL.len());
    for state in State::ALL {
        let task = in_state(state);
        for (name, event, now) in arrows() {
            let Ok(outcome) = task.apply(event, now) else { continue };
            for (before, after) in task.runs.iter().zip(&outcome.task.runs) {
                if let RunState::Resolved { .. } = before.state {
                    assert_eq!(before, after, "{name} rewrites a resolved run");
                }
            }
            let unresolved = outcome
                .task
                .runs
                .iter()
                .rev()
                .skip(1)
                .filter(|run| !matches!(run.state, RunState::Resolved { .. }))
                .count();
            assert_eq!(unresolved, 0, "{name} leaves an unresolved run behind");
        }
    }
}

#[test]
fn runs_survive_storage() {
    for state in State::ALL {
        let task = in_state(state);
        assert_eq!(run::from_json(&run::to_json(&task.runs)).unwrap(), task.runs);
    }
}

#[test]
fn claim_is_repeated_by_the_same_worker_only() {
    let task = running();
    let again = task.apply(claim(0), start()).unwrap();
    assert_eq!(again, Outcome { task: task.clone(), effects: Vec::new() });
    let other = Worker { group: "group".to_owned(), id: "two".to_owned() };
    let refused = task.apply(Event::Claim { run: 0.into(), worker: other, taken_until: until() }, start());
    assert_eq!(refused, Err(Refusal::ClaimedByAnother { run: 0.into() }));
    assert_eq!(
        task.apply(claim(0), until()),
        Err(Refusal::ClaimEnded { run: 0.into() }),
        "nobody has taken it back yet"
    );
}

#[test]
fn exception_is_repeated_with_the_same_reason_only() {
    let shutdown = Event::Except { run: 0.into(), reason: ExceptionReason::WorkerShutdown };
    let retried = after(&running(), [shutdown.clone()]);
    assert_eq!(retried.state(), State::Pending);
    assert_eq!(retried.retries_left, 0);
    assert_eq!(after(&retried, [shutdown.clone()]), retried);
    let other = Event::Except { run: 0.into(), reason: ExceptionReason::InternalError };
    assert!(matches!(retried.apply(other, start()), Err(Refusal::WrongState { .. })));
    let twice = after(&retried, [claim(1), Event::Complete { run: 1.into() }, Event::Rerun]);
    assert!(matches!(twice.apply(shutdown, start()), Err(Refusal::WrongState { .. })));
}

#[test]
fn rerun_resets_retries_and_stops_at_the_limit_of_runs() {
    let mut task = unscheduled();
    task.retries = 49;
    for count in 1..=MAX_RUNS {
        task = after(&task, [Event::Rerun]);
        assert_eq!(task.retries_left, MAX_RUNS - count);
        task = after(&task, [Event::Cancel]);
    }
    assert_eq!(task.apply(Event::Rerun, start()), Err(Refusal::TooManyRuns));
}

#[test]
fn expired_claim_is_ignored_when_it_was_renewed() {
    let task = after(&running(), [Event::Reclaim { run: 0.into(), taken_until: until() + minutes(20) }]);
    let outcome = task.apply(Event::ClaimExpired { run: 0.into(), taken_until: until() }, until()).unwrap();
    assert_eq!(outcome.task, task);
    assert_eq!(outcome.effects, Vec::new());
}

#[test]
fn cancelled_unscheduled_task_gets_one_resolved_run() {
    let outcome = unscheduled().apply(Event::Cancel, start()).unwrap();
    assert_eq!(outcome.task.runs.len(), 1);
    assert_eq!(outcome.task.runs[0].reason_created, ReasonCreated::Exception);
    let canceled = Resolution::Exception(ReasonResolved::Canceled);
    assert_eq!(
        outcome.effects,
        [Effect::Publish(Announcement::Exception { run: 0.into(), with_worker: false }), Effect::Resolved(canceled)]
    );
}
