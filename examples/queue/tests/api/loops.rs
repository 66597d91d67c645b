//! What the queue does by itself, one step at a time.

use service_kit::service::{Loops, Service as _};
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{days, hours, minutes};

use tokio_util::sync::CancellationToken;

use crate::tester::{Tester, refusal, soon};

#[tokio::test]
async fn expired_claim_returns_the_task_until_retries_are_used_up() {
    let t = Tester::new().await;
    let id = t.create_with(|task| task.retries = Some(1)).await;
    t.claim().await;
    t.expire_claims().await;
    assert_eq!(t.state(&id).await, "running");
    t.clock.advance(minutes(20));
    t.events().await;
    t.expire_claims().await;
    assert_eq!(t.event_names().await, ["task-exception", "task-pending"]);
    let status = t.status(&id).await;
    assert_eq!((status.runs.len(), status.retries_left), (2, 0));
    assert_eq!(status.runs[0].reason_resolved.as_ref().unwrap().to_string(), "claim-expired");
    t.claim().await;
    t.clock.advance(minutes(20));
    t.expire_claims().await;
    assert_eq!(t.state(&id).await, "exception");
}

#[tokio::test]
async fn running_loops_follow_the_clock_and_end_with_the_service() {
    let t = Tester::new().await;
    let shutdown = CancellationToken::new();
    let loops = Loops::start(t.service().background(), &shutdown);
    let id = t.running().await;
    t.clock.advance(minutes(20));
    soon(async {
        while t.state(&id).await != "pending" {
            tokio::task::yield_now().await;
        }
    })
    .await;
    t.clock.advance(hours(4));
    soon(async {
        while t.state(&id).await != "exception" {
            tokio::task::yield_now().await;
        }
    })
    .await;
    soon(loops.stop()).await.unwrap();
}

#[tokio::test]
async fn renewed_claim_does_not_expire() {
    let t = Tester::new().await;
    let id = t.running().await;
    t.clock.advance(minutes(15));
    soon(t.queue.reclaim_task(&id, 0)).await.unwrap();
    t.clock.advance(minutes(10));
    t.expire_claims().await;
    assert_eq!(t.state(&id).await, "running");
}

#[tokio::test]
async fn deadline_ends_tasks_in_every_state() {
    let t = Tester::new().await;
    let done = t.running().await;
    soon(t.queue.report_completed(&done, 0)).await.unwrap();
    let running = t.running().await;
    let pending = t.create().await;
    let unscheduled = t.create_with(|task| task.dependencies = Some(vec![pending])).await;
    t.clock.advance(hours(3) + minutes(1));
    t.resolve_deadlines().await;
    assert_eq!(t.state(&running).await, "running", "the deadline has a delay");
    t.clock.advance(minutes(1));
    t.events().await;
    t.resolve_deadlines().await;
    for id in [running, pending, unscheduled] {
        let status = t.status(&id).await;
        assert_eq!(status.state.to_string(), "exception");
        assert_eq!(status.runs.last().unwrap().reason_resolved.as_ref().unwrap().to_string(), "deadline-exceeded");
    }
    assert_eq!(t.state(&done).await, "completed");
    let events = t.events().await;
    let exceptions: Vec<_> = events.iter().filter(|(name, _)| name == "task-exception").collect();
    assert_eq!(exceptions.len(), 3);
    assert!(exceptions.iter().all(|(_, body)| body.get("workerId").is_none()));
    assert_eq!(refusal(soon(t.queue.report_completed(&running, 0)).await).0, 409);
}

#[tokio::test]
async fn expired_tasks_and_groups_are_forgotten() {
    let t = Tester::new().await;
    let id = t.create_with(|task| task.expires = Some(task.created + days(1))).await;
    t.claim().await;
    soon(t.queue.report_completed(&id, 0)).await.unwrap();
    t.expire().await;
    t.status(&id).await;
    t.clock.advance(days(1) + hours(2));
    // Expired, and still there until the sweep.
    t.status(&id).await;
    t.expire().await;
    assert_eq!(refusal(soon(t.queue.status(&id)).await).0, 404);
    assert_eq!(refusal(soon(t.queue.get_task_group(&id)).await).0, 404);
    assert_eq!(refusal(soon(t.queue.status(&TaskId::new())).await).0, 404);
}
