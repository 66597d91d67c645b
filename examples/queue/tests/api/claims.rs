//! claimWork, claimTask, reclaimTask.
#![allow(deprecated, reason = "deprecated methods have to work as long as they exist")]

use taskcluster::queue::{ClaimWorkRequest, QuarantineWorkerRequest, TaskClaimRequest};
use taskcluster_core::ids::{Priority, TaskId};
use taskcluster_core::time::{days, hours, minutes};
use tokio::task::JoinSet;

use crate::tester::{Tester, refusal, refused, soon};

#[tokio::test]
async fn claimed_task_comes_with_its_definition_and_credentials() {
    let t = Tester::new().await;
    let id = t.create_with(|task| task.scopes = Some(vec!["some:scope".to_owned()])).await;
    let claim = t.claim().await;
    let until = t.now() + minutes(20);
    assert_eq!((claim.status.task_id, claim.run_id.get(), claim.taken_until), (id, 0, until));
    assert_eq!(claim.task, soon(t.queue.task(&id)).await.unwrap());
    assert_eq!(claim.status.state.to_string(), "running");
    let name = format!("task-client/{id}/0/on/group/one/until/{}", until.as_millis() / 1000);
    assert_eq!(claim.credentials.client_id, name);
    let certificate = taskcluster_core::Certificate::from_json(claim.credentials.certificate.expose()).unwrap();
    let of_run = ["reclaim-task", "resolve-task", "create-artifact"].map(|what| format!("queue:{what}:{id}/0"));
    assert_eq!(certificate.scopes, [&of_run[..], &["some:scope".to_owned()]].concat());
    assert_eq!((certificate.issuer.as_deref(), certificate.expires()), (Some("static/queue"), until));
    // They are good for this run.
    let own = t.as_task(&claim);
    soon(own.reclaim_task(&id, 0)).await.unwrap();
    assert_eq!(refusal(soon(own.cancel_task(&id)).await).0, 403);
    soon(own.report_completed(&id, 0)).await.unwrap();
}

#[tokio::test]
async fn credentials_with_as_many_scopes_as_a_task_may_have_fit_into_a_request() {
    use taskcluster_core::credentials::{Certificate, Credentials};
    use taskcluster_core::hawk::{self, RequestFacts};
    let t = Tester::new().await;
    let scopes: Vec<String> = (0..1920).map(|n| format!("project:{n:04}:{}", "x".repeat(52))).collect();
    assert!(serde_json::to_string(&scopes).unwrap().len() > taskcluster_queue::definition::MAX_SCOPES - 1024);
    t.create_with(|task| task.scopes = Some(scopes.clone())).await;
    let claim = t.claim().await;
    let issued = &claim.credentials;
    let certificate = Certificate::from_json(issued.certificate.expose()).unwrap();
    // As the worker's proxy signs the task's requests.
    let credentials = Credentials::new(issued.client_id.as_str(), issued.access_token.clone())
        .with_certificate(certificate)
        .with_authorized_scopes(scopes);
    let facts = RequestFacts { method: "get", resource: "/x", host: "tc.example", port: 80 };
    let header = hawk::sign(&credentials, facts, None, t.now()).unwrap();
    assert!(header.len() + 64 * 1024 < service_kit::service::MAX_HEAD, "{}", header.len());
    soon(t.as_task(&claim).reclaim_task(&claim.status.task_id, 0)).await.unwrap();
    let too_many = t.try_create(&TaskId::new(), |task| task.scopes = Some(vec!["x".repeat(130); 1000])).await;
    assert_eq!(refusal(too_many), refused(400, "InputError"));
}

#[tokio::test]
async fn claiming_needs_scopes_for_queue_and_worker() {
    let t = Tester::new().await;
    let request = ClaimWorkRequest::new("group", "one", 1);
    for scope in ["queue:claim-work:proj/ci", "queue:worker-id:group/one"] {
        let some = t.with_scopes([scope]);
        assert_eq!(refusal(soon(some.claim_work("proj/ci", &request)).await), refused(403, "InsufficientScopes"));
    }
    t.create().await;
    let both = t.with_scopes(["queue:claim-work:proj/ci", "queue:worker-id:group/*"]);
    assert_eq!(soon(both.claim_work("proj/ci", &request)).await.unwrap().tasks.len(), 1);
}

#[tokio::test]
async fn high_priority_is_claimed_before_low() {
    let t = Tester::new().await;
    let low = t.create().await;
    let high = t.create_with(|task| task.priority = Some(Priority::High)).await;
    let claimed: Vec<TaskId> = t.claim_many(5).await.iter().map(|claim| claim.status.task_id).collect();
    assert_eq!(claimed, [high, low]);
}

/// Waits until somebody waits at the task queue.
async fn until_somebody_waits(t: &Tester, sleepers: usize) {
    soon(async {
        while t.clock.sleepers() < sleepers || t.service().store().waiters().queues().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn waiting_claim_is_answered_by_a_new_task() {
    let t = Tester::new().await;
    let queue = t.queue.clone();
    let mut waiting = JoinSet::new();
    waiting.spawn(async move {
        queue.claim_work("proj/ci", &ClaimWorkRequest::new("group", "one", 4)).await.unwrap().tasks
    });
    until_somebody_waits(&t, 1).await;
    // The clock does not move: it is the creation that wakes the claim.
    let id = t.create().await;
    let tasks = soon(waiting.join_next()).await.unwrap().unwrap();
    assert_eq!(tasks.iter().map(|claim| claim.status.task_id).collect::<Vec<_>>(), [id]);
}

#[tokio::test]
async fn waiting_claim_is_answered_by_a_released_dependent() {
    let t = Tester::new().await;
    let first = t.running().await;
    let id = t.create_with(|task| task.dependencies = Some(vec![first])).await;
    let queue = t.queue.clone();
    let mut waiting = JoinSet::new();
    waiting.spawn(async move {
        queue.claim_work("proj/ci", &ClaimWorkRequest::new("group", "two", 1)).await.unwrap().tasks
    });
    until_somebody_waits(&t, 1).await;
    soon(t.queue.report_completed(&first, 0)).await.unwrap();
    assert_eq!(soon(waiting.join_next()).await.unwrap().unwrap()[0].status.task_id, id);
}

#[tokio::test]
async fn claim_without_work_ends_after_twenty_seconds() {
    let t = Tester::new().await;
    let queue = t.queue.clone();
    let mut waiting = JoinSet::new();
    waiting.spawn(async move {
        queue.claim_work("proj/ci", &ClaimWorkRequest::new("group", "one", 1)).await.unwrap().tasks
    });
    until_somebody_waits(&t, 1).await;
    t.clock.advance(std::time::Duration::from_secs(20));
    assert_eq!(soon(waiting.join_next()).await.unwrap().unwrap(), []);
}

#[tokio::test]
async fn claims_that_went_away_take_no_task_with_them() {
    let t = Tester::new().await;
    let queue = t.queue.clone();
    let mut gone = JoinSet::new();
    gone.spawn(
        async move { queue.claim_work("proj/ci", &ClaimWorkRequest::new("group", "gone", 1)).await.unwrap().tasks },
    );
    until_somebody_waits(&t, 1).await;
    gone.shutdown().await;
    let id = t.create().await;
    assert_eq!(t.claim().await.status.task_id, id);
}

#[tokio::test]
async fn many_waiting_claims_get_each_task_once() {
    let t = Tester::new().await;
    let mut waiting = JoinSet::new();
    for number in 0..20 {
        let queue = t.queue.clone();
        let request = ClaimWorkRequest::new("group", format!("w{number}"), 1);
        waiting.spawn(async move { queue.claim_work("proj/ci", &request).await.unwrap().tasks });
    }
    until_somebody_waits(&t, 20).await;
    let mut created = Vec::new();
    for _ in 0..20 {
        created.push(t.create().await);
    }
    let mut claimed = Vec::new();
    while let Some(tasks) = soon(waiting.join_next()).await {
        claimed.extend(tasks.unwrap().iter().map(|claim| claim.status.task_id));
    }
    created.sort();
    claimed.sort();
    assert_eq!(claimed, created);
}

#[tokio::test]
async fn quarantined_worker_gets_nothing() {
    let t = Tester::new().await;
    t.running().await;
    let until = QuarantineWorkerRequest::new(t.now() + days(1));
    soon(t.queue.quarantine_worker("proj", "ci", "group", "one", &until)).await.unwrap();
    let id = t.create().await;
    let queue = t.queue.clone();
    let mut waiting = JoinSet::new();
    waiting.spawn(async move {
        queue.claim_work("proj/ci", &ClaimWorkRequest::new("group", "one", 1)).await.unwrap().tasks
    });
    soon(async {
        while t.clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    t.clock.advance(std::time::Duration::from_secs(20));
    assert_eq!(soon(waiting.join_next()).await.unwrap().unwrap(), []);
    let claim = TaskClaimRequest::new("group", "one");
    assert_eq!(refusal(soon(t.queue.claim_task(&id, 0, &claim)).await).0, 409);
    // A date in the past lifts it.
    let lifted = QuarantineWorkerRequest::new(t.now() - days(1));
    soon(t.queue.quarantine_worker("proj", "ci", "group", "one", &lifted)).await.unwrap();
    assert_eq!(t.claim().await.status.task_id, id);
}

#[tokio::test]
async fn task_is_claimed_by_name() {
    let t = Tester::new().await;
    let id = t.create().await;
    let one = TaskClaimRequest::new("group", "one");
    let claim = soon(t.queue.claim_task(&id, 0, &one)).await.unwrap();
    // Again by the same worker, with the same end and fresh credentials.
    t.clock.advance(minutes(1));
    let again = soon(t.queue.claim_task(&id, 0, &one)).await.unwrap();
    assert_eq!(again.taken_until, claim.taken_until);
    assert_ne!(again.credentials.access_token.expose(), claim.credentials.access_token.expose());
    let other = TaskClaimRequest::new("group", "two");
    assert_eq!(refusal(soon(t.queue.claim_task(&id, 0, &other)).await), refused(409, "RequestConflict"));
    assert_eq!(refusal(soon(t.queue.claim_task(&id, 1, &one)).await), refused(404, "ResourceNotFound"));
    assert_eq!(refusal(soon(t.queue.claim_task(&TaskId::new(), 0, &one)).await), refused(404, "ResourceNotFound"));
    assert_eq!(soon(t.queue.pending_tasks("proj/ci")).await.unwrap().pending_tasks, 0);
    let late = t.create().await;
    t.clock.advance(hours(4));
    assert_eq!(refusal(soon(t.queue.claim_task(&late, 0, &one)).await), refused(409, "RequestConflict"));
}

#[tokio::test]
async fn reclaiming_moves_the_end_of_the_claim() {
    let t = Tester::new().await;
    let id = t.running().await;
    t.events().await;
    t.clock.advance(minutes(10));
    let renewed = soon(t.queue.reclaim_task(&id, 0)).await.unwrap();
    assert_eq!(renewed.taken_until, t.now() + minutes(20));
    assert_eq!(renewed.status.runs[0].taken_until, Some(renewed.taken_until));
    assert_eq!(t.event_names().await, Vec::<String>::new());
    assert_eq!(refusal(soon(t.queue.reclaim_task(&id, 1)).await), refused(404, "ResourceNotFound"));
    // Scopes that the path alone decides come before everything else.
    assert_eq!(
        refusal(soon(t.with_scopes(["nothing"]).reclaim_task(&TaskId::new(), 0)).await),
        refused(403, "InsufficientScopes")
    );
    soon(t.queue.report_completed(&id, 0)).await.unwrap();
    assert_eq!(refusal(soon(t.queue.reclaim_task(&id, 0)).await), refused(409, "RequestConflict"));
}

#[tokio::test]
async fn a_shutdown_ends_the_waiting() {
    let t = Tester::new().await;
    let request = ClaimWorkRequest::new("group", "one", 1);
    let stop = async {
        until_somebody_waits(&t, 1).await;
        t.shutdown.cancel();
    };
    let (claimed, ()) = tokio::join!(soon(t.queue.claim_work("proj/ci", &request)), stop);
    assert_eq!(claimed.unwrap().tasks, []);
}
