//! Task queues: what is known of them, and what waits in them.
#![allow(deprecated, reason = "deprecated methods have to work as long as they exist")]

use futures_util::TryStreamExt as _;
use taskcluster::queue::{ClaimWorkRequest, DeclareWorkerRequest};
use taskcluster_core::time::days;

use crate::tester::{Tester, refusal, refused, soon};

#[tokio::test]
async fn counts_follow_the_tasks() {
    let t = Tester::new().await;
    t.create().await;
    t.create().await;
    t.claim().await;
    let counts = soon(t.queue.task_queue_counts("proj/ci")).await.unwrap();
    assert_eq!((counts.pending_tasks, counts.claimed_tasks, counts.provisioner_id.as_str()), (1, 1, "proj"));
    assert_eq!(soon(t.queue.pending_tasks("proj/ci")).await.unwrap().pending_tasks, 1);
    assert_eq!(soon(t.queue.pending_tasks("no/body")).await.unwrap().pending_tasks, 0);
    assert_eq!(refusal(soon(t.with_scopes(["queue:pending-count:proj/ci"]).task_queue_counts("proj/ci")).await).0, 403);
    assert_eq!(refusal(soon(t.queue.pending_tasks("nonsense")).await), refused(400, "InvalidRequestArguments"));
}

#[tokio::test]
async fn pending_and_claimed_tasks_are_listed() {
    let t = Tester::new().await;
    let mut created = Vec::new();
    for _ in 0..3 {
        created.push(t.create().await);
    }
    let pending = soon(t.queue.list_pending_tasks("proj/ci").limit(2).stream().try_collect::<Vec<_>>()).await.unwrap();
    let ids: Vec<_> = pending.iter().map(|run| run.task_id).collect();
    assert_eq!(ids, created);
    assert_eq!((pending[0].inserted, pending[0].task.metadata.name.as_str()), (t.now(), "name"));
    t.claim_many(2).await;
    let claimed = soon(t.queue.list_claimed_tasks("proj/ci").limit(1).stream().try_collect::<Vec<_>>()).await.unwrap();
    assert_eq!(claimed.len(), 2);
    assert!(claimed.iter().all(|run| run.worker_id == "one" && run.claimed == t.now()));
    assert_eq!(soon(t.queue.list_pending_tasks("no/body")).await.unwrap().tasks, []);
}

#[tokio::test]
async fn queues_are_known_once_a_worker_came() {
    let t = Tester::new().await;
    assert_eq!(refusal(soon(t.queue.get_task_queue("proj/ci")).await), refused(404, "ResourceNotFound"));
    assert_eq!(refusal(soon(t.queue.get_provisioner("proj")).await).0, 404);
    assert_eq!(refusal(soon(t.queue.get_worker_type("proj", "ci")).await).0, 404);
    for queue in ["proj/ci", "proj/other", "else/ci"] {
        t.create_with(|task| task.task_queue_id = Some(queue.parse().unwrap())).await;
        soon(t.queue.claim_work(queue, &ClaimWorkRequest::new("group", "one", 1))).await.unwrap();
    }
    assert_eq!(soon(t.queue.get_task_queue("proj/ci")).await.unwrap().last_date_active, t.now());
    let queues = soon(t.queue.list_task_queues().limit(2).stream().try_collect::<Vec<_>>()).await.unwrap();
    assert_eq!(queues.len(), 3);
    assert_eq!(soon(t.queue.list_provisioners()).await.unwrap().provisioners.len(), 2);
    assert_eq!(soon(t.queue.list_worker_types("proj")).await.unwrap().worker_types.len(), 2);
    assert_eq!(soon(t.queue.get_provisioner("proj")).await.unwrap().provisioner_id, "proj");
    assert_eq!(soon(t.queue.get_worker_type("proj", "ci")).await.unwrap().worker_type, "ci");
}

#[tokio::test]
async fn queues_that_no_task_can_be_in_are_refused() {
    let t = Tester::new().await;
    let wanted = ClaimWorkRequest::new("group", "one", 1);
    let invalid = refused(400, "InvalidRequestArguments");
    for queue in ["proj/CI", "proj/c_i", "proj/0", "proj/-", "proj/c-"] {
        assert_eq!(refusal(soon(t.queue.claim_work(queue, &wanted)).await), invalid, "{queue}");
        assert_eq!(refusal(soon(t.queue.pending_tasks(queue)).await), invalid, "{queue}");
    }
    let declared = DeclareWorkerRequest::new(t.now() + days(1));
    let result = soon(t.queue.declare_worker("proj", "CI", "group", "one", &declared)).await;
    assert_eq!(refusal(result), refused(400, "InputError"));
    assert_eq!(soon(t.queue.list_task_queues()).await.unwrap().task_queues, []);
}
