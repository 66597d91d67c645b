//! The SDK's `wait_for` and `wait_for_group` against the real queue.

use std::sync::Arc;
use std::time::Duration;

use service_kit::outbox::Outbox as _;
use taskcluster::events::MemoryBus;
use taskcluster::queue::{Queue, TaskState};
use taskcluster_core::ids::TaskId;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::tester::{Tester, soon};

/// A client that hears events.
fn hearing(t: &Tester) -> Queue {
    let tc = taskcluster::Taskcluster::from(t.queue.caller().clone());
    tc.to_builder().events(Arc::clone(&t.bus) as _).build().unwrap().queue()
}

async fn publish(t: &Tester) {
    t.service().store().publish(&*t.bus, 1000).await.unwrap();
}

fn wait(queue: &Queue, id: TaskId) -> JoinHandle<TaskState> {
    let queue = queue.clone();
    TaskTracker::new().spawn(async move { soon(queue.wait_for(&id)).await.unwrap().state })
}

/// Ends the run that is claimed.
async fn complete(t: &Tester, id: TaskId) {
    let claim = t.claim().await;
    assert_eq!(claim.status.task_id, id);
    soon(t.as_task(&claim).report_completed(&id, claim.run_id)).await.unwrap();
}

#[tokio::test]
async fn the_end_of_a_task_is_noticed_with_events_and_without() {
    let t = Tester::new().await;
    for queue in [hearing(&t), t.queue.clone()] {
        let id = t.create().await;
        let waiting = wait(&queue, id);
        complete(&t, id).await;
        publish(&t).await;
        assert_eq!(soon(waiting).await.unwrap(), TaskState::Completed);
        // And once more, now that it is over.
        assert_eq!(soon(wait(&queue, id)).await.unwrap(), TaskState::Completed);
    }
}

#[tokio::test]
async fn a_run_that_the_queue_repeats_is_not_the_end() {
    let t = Tester::new().await;
    let queue = hearing(&t);
    let id = t.running().await;
    let waiting = wait(&queue, id);
    t.clock.advance(Duration::from_secs(60 * 60));
    t.expire_claims().await;
    publish(&t).await;
    assert_eq!(t.state(&id).await, "pending");
    complete(&t, id).await;
    publish(&t).await;
    assert_eq!(soon(waiting).await.unwrap(), TaskState::Completed);
}

#[tokio::test]
async fn a_group_ends_with_its_last_task() {
    let t = Tester::new().await;
    let group = t.create().await;
    let other = t.create_with(|task| task.task_group_id = Some(group)).await;
    let queue = hearing(&t);
    let waiting = TaskTracker::new().spawn(async move { soon(queue.wait_for_group(&group)).await.unwrap() });
    complete(&t, group).await;
    publish(&t).await;
    soon(t.queue.cancel_task(&other)).await.unwrap();
    publish(&t).await;
    let summary = soon(waiting).await.unwrap();
    assert_eq!((summary.completed, summary.exception, summary.tasks(), summary.sealed), (1, 1, 2, None));
    let unknown = soon(hearing(&t).wait_for_group(&TaskId::new())).await.unwrap_err();
    assert!(unknown.is_not_found(), "{unknown}");
}

#[tokio::test]
async fn a_group_ends_when_what_is_left_in_it_never_runs() {
    for with_events in [true, false] {
        let t = Tester::new().await;
        let group = t.create().await;
        let other = t.create_with(|task| task.task_group_id = Some(group)).await;
        let needy = t
            .create_with(|task| {
                task.task_group_id = Some(group);
                task.dependencies = Some(vec![group, other]);
            })
            .await;
        let queue = if with_events { hearing(&t) } else { t.queue.clone() };
        let waiting = TaskTracker::new().spawn(async move { soon(queue.wait_for_group(&group)).await.unwrap() });
        soon(t.queue.cancel_task(&other)).await.unwrap();
        publish(&t).await;
        complete(&t, group).await;
        publish(&t).await;
        let summary = soon(waiting).await.unwrap();
        assert_eq!((summary.completed, summary.exception, summary.not_run), (1, 1, 1));
        assert_eq!(t.state(&needy).await, "unscheduled");
    }
}

#[tokio::test]
async fn a_bus_that_nobody_publishes_to_is_made_up_for() {
    let t = Tester::new().await;
    let silent = MemoryBus::new();
    let tc = taskcluster::Taskcluster::from(t.queue.caller().clone());
    let queue = tc.to_builder().events(Arc::new(silent.clone())).build().unwrap().queue();
    let id = t.create().await;
    let waiting = wait(&queue, id);
    complete(&t, id).await;
    silent.close();
    assert_eq!(soon(waiting).await.unwrap(), TaskState::Completed);
}
