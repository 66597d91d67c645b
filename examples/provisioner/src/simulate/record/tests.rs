use serde_json::{Value, json};

use super::*;

/// So many seconds after the beginning.
fn time(second: i64) -> Timestamp {
    Timestamp::from_millis(1_772_600_767_008 + second * 1000)
}

fn recording() -> Recording {
    Recording::new(time(0))
}

/// A run that came, was begun and ended at these seconds.
fn run(number: usize, came: i64, begun: Option<i64>, ended: Option<i64>) -> Value {
    let state = if ended.is_some() { "completed" } else { "pending" };
    let mut run = json!({"runId": number, "state": state, "reasonCreated": "scheduled", "scheduled": time(came)});
    for (name, second) in [("started", begun), ("resolved", ended)] {
        if let Some(second) = second {
            run[name] = json!(time(second));
        }
    }
    run
}

fn status(task: u8, runs: &[Value]) -> TaskStatus {
    let id = TaskId::from_bytes([task, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]);
    serde_json::from_value(json!({
        "taskId": id, "provisionerId": "p", "workerType": "w", "taskQueueId": "p/w", "schedulerId": "-", "projectId": "none",
        "taskGroupId": id, "deadline": time(9000), "expires": time(9000), "retriesLeft": 5, "state": "pending",
        "priority": "normal", "runs": runs,
    }))
    .unwrap()
}

fn ended(task: u8, came: i64, begun: i64, ended: i64) -> TaskStatus {
    status(task, &[run(0, came, Some(begun), Some(ended))])
}

#[test]
fn a_task_is_a_line_once_it_has_ended() {
    let mut recording = recording();
    assert_eq!(recording.see(&status(1, &[run(0, 2, None, None)])), []);
    assert_eq!(recording.open().len(), 1);
    assert_eq!(recording.see(&status(1, &[run(0, 2, Some(5), None)])), []);
    assert_eq!(recording.see(&ended(1, 2, 5, 9)), [Arrival(2000, 4000)]);
    assert_eq!(recording.see(&ended(1, 2, 5, 9)), [], "it is told again");
    assert_eq!(recording.see(&status(1, &[run(0, 2, Some(5), None)])), [], "and that it began, late");
    assert_eq!((recording.open(), recording.given()), (Vec::new(), 1));
}

#[test]
fn lines_are_in_the_order_in_which_tasks_came() {
    let mut recording = recording();
    for (task, came) in [(1, 1), (2, 2), (3, 3)] {
        recording.see(&status(task, &[run(0, came, None, None)]));
    }
    assert_eq!(recording.see(&ended(3, 3, 4, 5)), []);
    assert_eq!(recording.see(&ended(1, 1, 4, 6)), [Arrival(1000, 2000)]);
    assert_eq!(recording.see(&ended(2, 2, 4, 7)), [Arrival(2000, 3000), Arrival(3000, 1000)]);
}

#[test]
fn at_the_end_what_is_open_is_left_out_and_nothing_else() {
    let mut recording = recording();
    recording.see(&status(1, &[run(0, 1, Some(2), None)]));
    assert_eq!(recording.see(&ended(2, 2, 3, 4)), []);
    assert_eq!(recording.end(), [Arrival(2000, 1000)]);
    assert_eq!((recording.open(), recording.given()), (vec![status(1, &[]).task_id], 1));
}

#[test]
fn a_retry_is_work_of_its_own_and_what_nobody_has_begun_is_none() {
    let mut recording = recording();
    let first = run(0, 1, Some(2), Some(10));
    // The end of the first run is told with the second.
    assert_eq!(recording.see(&status(1, &[first.clone(), run(1, 10, None, None)])), [Arrival(1000, 8000)]);
    let both = status(1, &[first, run(1, 10, Some(20), Some(25))]);
    assert_eq!(recording.see(&both), [Arrival(10_000, 5000)]);
    assert_eq!(recording.see(&status(2, &[run(0, 12, None, Some(13))])), [], "it was cancelled while it waited");
    assert_eq!((recording.end(), recording.open(), recording.given()), (Vec::new(), Vec::new(), 2));
}

#[test]
fn what_came_before_the_beginning_is_left_out() {
    let mut recording = recording();
    let again = status(1, &[run(0, -100, Some(-90), Some(-80)), run(1, 5, Some(6), Some(7))]);
    assert_eq!(recording.see(&again), [Arrival(5000, 1000)]);
    assert_eq!(recording.see(&ended(2, -1, 3, 4)), []);
}

#[test]
fn what_is_heard_of_late_keeps_the_order() {
    let mut recording = recording();
    assert_eq!(recording.see(&ended(2, 9, 10, 11)), [Arrival(9000, 1000)]);
    assert_eq!(recording.see(&ended(1, 4, 5, 7)), [Arrival(9000, 2000)]);
}
