//! Waiting for tasks and groups, where events come, do not come, come twice, or come too early.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use taskcluster::events::{Bus, MemoryBus, Message};
use taskcluster::queue::TaskState;
use taskcluster::queue::events::{TaskCompleted, TaskFailed, TaskGroupResolved};
use taskcluster::testing::{Answer, ScriptedTransport};
use taskcluster::{RetryPolicy, TaskId, Taskcluster};
use tokio::time::Instant;

const TIME: &str = "2030-01-01T00:00:00.000Z";

fn id() -> TaskId {
    "fN1SbArXTPSVFNUvaOlinQ".parse().unwrap()
}

fn status(state: &str) -> Value {
    json!({
        "taskId": id(), "provisionerId": "a", "workerType": "b", "taskQueueId": "a/b", "schedulerId": "-", "projectId": "none",
        "taskGroupId": id(), "deadline": TIME, "expires": TIME, "retriesLeft": 5, "priority": "lowest", "state": state, "runs": []
    })
}

fn definition() -> Value {
    json!({
        "provisionerId": "a", "workerType": "b", "taskQueueId": "a/b", "schedulerId": "-", "projectId": "none", "taskGroupId": id(),
        "dependencies": [], "requires": "all-completed", "routes": [], "priority": "lowest", "retries": 5, "created": TIME,
        "deadline": TIME, "expires": TIME, "scopes": [], "payload": {}, "tags": {}, "extra": {},
        "metadata": { "name": "n", "description": "d", "owner": "o@example.com", "source": "https://example.com" }
    })
}

fn page(states: &[&str], more: bool) -> Value {
    let tasks: Vec<Value> =
        states.iter().map(|state| json!({ "status": status(state), "task": definition() })).collect();
    let mut page = json!({ "taskGroupId": id(), "schedulerId": "-", "expires": TIME, "sealed": TIME, "tasks": tasks });
    if more {
        page["continuationToken"] = json!("more");
    }
    page
}

/// A queue that says these things about the task, the last one for ever.
fn states(states: &[&str]) -> ScriptedTransport {
    states
        .iter()
        .fold(ScriptedTransport::new(), |script, state| script.on("queue.status", json!({ "status": status(state) })))
}

fn handle(script: &ScriptedTransport, bus: Option<&MemoryBus>) -> Taskcluster {
    let builder =
        Taskcluster::builder("https://tc.example.com").retry(RetryPolicy::never()).transport(script.transport());
    let builder = match bus {
        Some(bus) => builder.events(Arc::new(bus.clone())),
        None => builder,
    };
    builder.build().unwrap()
}

async fn publish_completed(bus: &MemoryBus) {
    let key = TaskCompleted::key(&id(), 0.into(), "group", "worker", "a", "b", "-", &id());
    bus.publish(Message::new(TaskCompleted::EXCHANGE.exchange, key, "what it says does not matter")).await.unwrap();
}

/// Lets everybody do what there is to do before time goes on.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_has_happened_already_is_not_waited_for() {
    for bus in [None, Some(MemoryBus::new())] {
        for end in ["completed", "failed", "exception"] {
            let script = states(&[end]);
            let began = Instant::now();
            let status = handle(&script, bus.as_ref()).queue().wait_for(&id()).await.unwrap();
            assert_eq!((status.state.as_str(), began.elapsed()), (end, Duration::ZERO));
            assert_eq!(script.calls().len(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_events_it_asks_less_and_less_often() {
    let script = states(&["unscheduled", "pending", "running", "running", "running", "completed"]);
    let began = Instant::now();
    let status = handle(&script, None).queue().wait_for(&id()).await.unwrap();
    assert_eq!(status.state, TaskState::Completed);
    assert_eq!(script.calls().len(), 6);
    let waited = began.elapsed();
    assert!((Duration::from_secs(6)..Duration::from_secs(8)).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn an_event_is_a_reason_to_look_at_once_and_no_more_than_that() {
    let (script, bus) = (states(&["running", "running", "running", "completed"]), MemoryBus::new());
    let queue = handle(&script, Some(&bus)).queue();
    let waiting = tokio::spawn(async move { queue.wait_for(&id()).await });
    settle().await;
    let began = Instant::now();
    assert_eq!(script.calls().len(), 1);
    // It comes before the queue says so itself, and twice.
    publish_completed(&bus).await;
    publish_completed(&bus).await;
    settle().await;
    assert_eq!(script.calls().len(), 3);
    assert!(!waiting.is_finished());
    publish_completed(&bus).await;
    assert_eq!(waiting.await.unwrap().unwrap().state, TaskState::Completed);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_happens_between_the_look_and_the_wait_is_heard() {
    // While the queue answers that it runs, it ends.
    let bus = MemoryBus::new();
    let during = bus.clone();
    let script = ScriptedTransport::new()
        .on(
            "queue.status",
            Answer::from_call(move |_| {
                let publishing = publish_completed(&during);
                futures_util::FutureExt::now_or_never(publishing).expect("a bus in memory does not wait");
                json!({ "status": status("running") }).into()
            }),
        )
        .on("queue.status", json!({ "status": status("completed") }));
    let began = Instant::now();
    handle(&script, Some(&bus)).queue().wait_for(&id()).await.unwrap();
    assert_eq!((script.calls().len(), began.elapsed()), (2, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_lost_event_costs_time_and_nothing_else() {
    let (script, bus) = (states(&["running", "completed"]), MemoryBus::new());
    let began = Instant::now();
    handle(&script, Some(&bus)).queue().wait_for(&id()).await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_was_too_slow_looks_again() {
    let (script, bus) = (states(&["running", "completed"]), MemoryBus::with_capacity(1));
    let queue = handle(&script, Some(&bus)).queue();
    let waiting = tokio::spawn(async move { queue.wait_for(&id()).await });
    settle().await;
    let began = Instant::now();
    publish_completed(&bus).await;
    publish_completed(&bus).await;
    waiting.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_is_closed_is_done_without() {
    let (before, during) = (MemoryBus::new(), MemoryBus::new());
    before.close();
    for bus in [&before, &during] {
        let script = states(&["running", "running", "completed"]);
        let queue = handle(&script, Some(bus)).queue();
        let waiting = tokio::spawn(async move { queue.wait_for(&id()).await });
        settle().await;
        bus.close();
        let began = Instant::now();
        waiting.await.unwrap().unwrap();
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_away_is_waited_for_and_one_that_refuses_is_not() {
    let script = ScriptedTransport::new()
        .on("queue.status", Answer::error(500, "InternalServerError", "away"))
        .on("queue.status", json!({ "status": status("failed") }));
    let status = handle(&script, None).queue().wait_for(&id()).await.unwrap();
    assert_eq!(status.state, TaskState::Failed);

    let script = ScriptedTransport::new()
        .on("queue.status", json!({ "status": status_of_a_running_task() }))
        .on("queue.status", Answer::error(404, "ResourceNotFound", "expired"));
    let error = handle(&script, None).queue().wait_for(&id()).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

fn status_of_a_running_task() -> Value {
    status("running")
}

#[tokio::test(start_paused = true)]
async fn a_group_ends_when_no_page_has_a_task_that_has_not() {
    let script = ScriptedTransport::new()
        .on("queue.listTaskGroup", page(&["completed", "unscheduled"], false))
        .on("queue.listTaskGroup", page(&["completed", "failed"], true))
        .on("queue.listTaskGroup", page(&["pending"], false))
        .on("queue.listTaskGroup", page(&["completed", "failed"], true))
        .on("queue.listTaskGroup", page(&["exception"], false));
    let summary = handle(&script, None).queue().wait_for_group(&id()).await.unwrap();
    let counts = [("completed", summary.completed), ("failed", summary.failed), ("exception", summary.exception)];
    assert_eq!(BTreeMap::from(counts).into_values().collect::<Vec<_>>(), [1, 1, 1]);
    assert_eq!((summary.tasks(), summary.all_completed()), (3, false));
    assert!(summary.sealed.is_some());
    assert_eq!(script.calls().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_group_is_heard() {
    let bus = MemoryBus::new();
    let script = ScriptedTransport::new()
        .on("queue.listTaskGroup", page(&["running"], false))
        .on("queue.listTaskGroup", page(&["completed"], false));
    let queue = handle(&script, Some(&bus)).queue();
    let waiting = tokio::spawn(async move { queue.wait_for_group(&id()).await });
    settle().await;
    let began = Instant::now();
    let key = TaskGroupResolved::key(&id(), "-");
    bus.publish(Message::new(TaskGroupResolved::EXCHANGE.exchange, key, "{}")).await.unwrap();
    assert!(waiting.await.unwrap().unwrap().all_completed());
    assert!(began.elapsed() < Duration::from_secs(1));
}

/// Six tasks of a group in these states: `unit` needs `build`, `report` needs `unit`, `notify` takes whatever becomes of `build`.
fn six(states: [&str; 6]) -> (Value, [TaskId; 6]) {
    let ids = [(); 6].map(|()| TaskId::new());
    let [decision, build, lint, unit, _report, notify] = ids;
    let needs: [&[TaskId]; 6] = [&[], &[decision], &[decision], &[build, lint], &[unit], &[build]];
    let tasks = ids.iter().zip(states).zip(needs).map(|((id, state), needs)| {
        let (mut status, mut task) = (status(state), definition());
        status["taskId"] = json!(id);
        task["dependencies"] = json!(needs);
        if *id == notify {
            task["requires"] = json!("all-resolved");
        }
        json!({ "status": status, "task": task })
    });
    let tasks: Vec<Value> = tasks.collect();
    (json!({ "taskGroupId": decision, "schedulerId": "-", "expires": TIME, "tasks": tasks }), ids)
}

#[tokio::test(start_paused = true)]
async fn a_group_ends_when_what_is_left_never_runs() {
    let (listing, _) = six(["completed", "failed", "completed", "unscheduled", "unscheduled", "completed"]);
    let script = ScriptedTransport::new().on("queue.listTaskGroup", listing);
    let summary = handle(&script, None).queue().wait_for_group(&id()).await.unwrap();
    assert_eq!((summary.completed, summary.failed, summary.exception, summary.not_run), (3, 1, 0, 2));
    assert_eq!((summary.tasks(), summary.all_completed()), (6, false));
}

#[tokio::test(start_paused = true)]
async fn what_takes_failures_and_what_waits_for_no_failure_may_still_run() {
    for states in [
        ["completed", "failed", "completed", "unscheduled", "unscheduled", "unscheduled"],
        ["completed", "completed", "completed", "unscheduled", "unscheduled", "completed"],
    ] {
        let script = ScriptedTransport::new()
            .on("queue.listTaskGroup", six(states).0)
            .on("queue.listTaskGroup", six(["completed"; 6]).0);
        let summary = handle(&script, None).queue().wait_for_group(&id()).await.unwrap();
        assert!(summary.all_completed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_is_listed_again_when_the_last_task_that_moved_has_ended() {
    let bus = MemoryBus::new();
    let (running, [_, build, lint, ..]) =
        six(["completed", "running", "running", "unscheduled", "unscheduled", "completed"]);
    let (over, _) = six(["completed", "failed", "completed", "unscheduled", "unscheduled", "completed"]);
    let script = ScriptedTransport::new().on("queue.listTaskGroup", running).on("queue.listTaskGroup", over);
    let queue = handle(&script, Some(&bus)).queue();
    let waiting = tokio::spawn(async move { queue.wait_for_group(&id()).await });
    settle().await;
    let began = Instant::now();
    let key = TaskFailed::key(&build, Some(0.into()), Some("group"), Some("worker"), "a", "b", "-", &id());
    bus.publish(Message::new(TaskFailed::EXCHANGE.exchange, key, "{}")).await.unwrap();
    settle().await;
    assert_eq!((script.calls().len(), waiting.is_finished()), (1, false));
    let key = TaskCompleted::key(&lint, 0.into(), "group", "worker", "a", "b", "-", &id());
    bus.publish(Message::new(TaskCompleted::EXCHANGE.exchange, key, "{}")).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().not_run, 2);
    assert!(began.elapsed() < Duration::from_secs(1));
}
