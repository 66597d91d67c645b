//! Workers: seen, declared, quarantined, listed.

use futures_util::TryStreamExt as _;
use taskcluster::queue::{ClaimWorkRequest, DeclareWorkerRequest, QuarantineWorkerRequest};
use taskcluster_core::time::{days, hours};

use crate::tester::{Tester, refusal, refused, soon};

#[tokio::test]
async fn claiming_makes_a_worker_known() {
    let t = Tester::new().await;
    assert_eq!(refusal(soon(t.queue.get_worker("proj", "ci", "group", "one")).await), refused(404, "ResourceNotFound"));
    let id = t.running().await;
    let worker = soon(t.queue.get_worker("proj", "ci", "group", "one")).await.unwrap();
    assert_eq!((worker.first_claim, worker.last_date_active), (t.now(), Some(t.now())));
    assert_eq!(worker.recent_tasks.len(), 1);
    assert_eq!(worker.recent_tasks[0].task_id, id);
    assert_eq!(worker.task_queue_id.unwrap().to_string(), "proj/ci");
    let seen = t.now();
    // It is written down now and then only.
    t.clock.advance(hours(1));
    t.running().await;
    let worker = soon(t.queue.get_worker("proj", "ci", "group", "one")).await.unwrap();
    assert_eq!((worker.first_claim, worker.last_date_active), (seen, Some(t.now())));
    t.clock.advance(days(2));
    assert_eq!(refusal(soon(t.queue.get_worker("proj", "ci", "group", "one")).await).0, 404);
}

#[tokio::test]
async fn workers_are_listed_in_pages_and_by_quarantine() {
    let t = Tester::new().await;
    for id in ["one", "two", "three"] {
        t.create().await;
        soon(t.queue.claim_work("proj/ci", &ClaimWorkRequest::new("group", id, 1))).await.unwrap();
    }
    let all = soon(async { t.queue.list_workers("proj", "ci").limit(2).stream().try_collect::<Vec<_>>().await })
        .await
        .unwrap();
    let names: Vec<&str> = all.iter().map(|worker| worker.worker_id.as_str()).collect();
    assert_eq!(names, ["one", "three", "two"]);
    assert!(all.iter().all(|worker| worker.latest_task.is_some() && worker.quarantine_until.is_none()));
    let until = t.now() + days(1);
    soon(t.queue.quarantine_worker("proj", "ci", "group", "two", &QuarantineWorkerRequest::new(until))).await.unwrap();
    let quarantined = soon(t.queue.list_workers("proj", "ci").quarantined(true)).await.unwrap().workers;
    assert_eq!((quarantined.len(), quarantined[0].quarantine_until), (1, Some(until)));
    assert_eq!(soon(t.queue.list_workers("proj", "ci").quarantined(false)).await.unwrap().workers.len(), 2);
    assert_eq!(refusal(soon(t.anonymous().list_workers("proj", "ci")).await).0, 403);
}

#[tokio::test]
async fn quarantine_is_kept_with_its_history() {
    let t = Tester::new().await;
    let until = t.now() + days(3);
    let request = QuarantineWorkerRequest::new(until);
    assert_eq!(refusal(soon(t.queue.quarantine_worker("proj", "ci", "group", "one", &request)).await).0, 404);
    t.running().await;
    let answer = soon(t.queue.quarantine_worker("proj", "ci", "group", "one", &request)).await.unwrap();
    assert_eq!((answer.quarantine_until, answer.quarantine_details), (Some(until), None));
    let worker = soon(t.queue.get_worker("proj", "ci", "group", "one")).await.unwrap();
    let history = worker.quarantine_details.unwrap();
    assert_eq!((history[0].client_id.as_str(), history[0].quarantine_info.as_str()), ("tester", "[unspecified]"));
}

#[tokio::test]
async fn workers_can_be_declared() {
    let t = Tester::new().await;
    let request = DeclareWorkerRequest::new(t.now() + days(9));
    let scope = "queue:declare-worker:proj/ci/group/new#expires";
    assert_eq!(
        refusal(soon(t.with_scopes(["nothing"]).declare_worker("proj", "ci", "group", "new", &request)).await).0,
        403
    );
    let declared = soon(t.with_scopes([scope]).declare_worker("proj", "ci", "group", "new", &request)).await.unwrap();
    assert_eq!((declared.expires, declared.last_date_active), (t.now() + days(9), None));
    assert_eq!(soon(t.queue.get_task_queue("proj/ci")).await.unwrap().task_queue_id.to_string(), "proj/ci");
}
