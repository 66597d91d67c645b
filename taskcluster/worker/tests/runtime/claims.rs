//! How a worker comes to its runs, keeps them, and lets go of them.

use std::time::Duration;

use serde_json::json;
use taskcluster_core::{Clock, SystemClock};
use taskcluster_worker::testing::{FakeQueue, task_with_payload};
use taskcluster_worker::{Event, Outcome, Settings, Shutdown, WhyDone, WorkerError};

use crate::bench::{Bench, TIMEOUT, Trouble, object};

#[tokio::test]
async fn a_worker_at_fault_waits_before_it_claims_again() {
    let bench = Bench::new().await;
    bench.queue.fail_claims(400, 1);
    let first = bench.add(json!({"mock": []}));
    let second = bench.add(json!({"mock": []}));
    let began = SystemClock.now();
    let settings = |settings: &mut Settings| {
        settings.task_limit = Some(2);
        settings.backoff = Duration::from_millis(300);
    };
    bench.run_with(settings, Some(Trouble::At("build"))).await;
    assert_eq!(bench.queue.state(&first), "exception worker-shutdown");
    assert_eq!(bench.queue.state(&second), "exception worker-shutdown");
    // Once after the claim that failed, once after the run that did.
    assert!(SystemClock.now().since(began) >= Duration::from_millis(600));
    let trouble = |event: &Event| matches!(event, Event::Trouble { .. });
    assert!(bench.events.lock().unwrap().iter().any(trouble));
}

#[tokio::test]
async fn credentials_that_never_worked_end_the_worker() {
    for (status, advice) in [(401, "check its client id and access token"), (403, "the scopes that it lacks")] {
        let bench = Bench::new().await;
        // A claim that fails otherwise lets nobody in.
        bench.queue.fail_claims(400, 1);
        let worker = bench.worker(|settings| settings.task_limit = None, None).await;
        let refuse = async {
            bench.queue.request("claim-work").await;
            bench.queue.fail_claims(status, u32::MAX);
        };
        let (end, ()) = tokio::join!(tokio::time::timeout(TIMEOUT, worker.run(bench.shutdown.clone())), refuse);
        let error = end.expect("the worker ends").unwrap_err();
        let expected = match error {
            WorkerError::Unauthorized(_) => 401,
            WorkerError::Forbidden(_) => 403,
            other => panic!("{other:?}"),
        };
        assert_eq!(status, expected);
        let told = taskcluster_core::chain(&error).to_string();
        assert!(told.contains(advice) && told.contains(&status.to_string()), "{told}");
    }
}

#[tokio::test]
async fn credentials_that_have_worked_are_tried_again() {
    for status in [401, 403] {
        let bench = Bench::new().await;
        let first = bench.add(json!({"mock": [{"forever": "running"}]}));
        // Nothing is claimed while the only task that fits runs.
        let refuse = async {
            bench.live(&first).await;
            bench.queue.fail_claims(status, 2);
            let second = bench.add(json!({"mock": []}));
            bench.queue.cancel(&first);
            second
        };
        let (done, second) = tokio::join!(bench.run_with(|settings| settings.task_limit = Some(2), None), refuse);
        assert_eq!((done.runs, done.why), (2, WhyDone::TaskLimit));
        assert_eq!(bench.queue.state(&second), "completed");
        let claims = bench.queue.received().iter().filter(|request| request.line.contains("claim-work")).count();
        assert_eq!(claims, 4);
    }
}

#[tokio::test]
async fn a_claim_is_renewed_with_fresh_credentials_and_a_conflict_stops_the_run() {
    let bench = Bench::new().await;
    bench.queue.claim_for(Duration::from_secs(2));
    let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
    let lose = async {
        let reclaim =
            |queue: &FakeQueue| queue.received().iter().filter(|request| request.line.ends_with("/reclaim")).count();
        // The second is signed with what the first has brought.
        bench.queue.until(|queue| reclaim(queue) >= 2).await;
        bench.queue.fail_reclaims(409);
    };
    tokio::join!(
        async { bench.run_with(|settings| settings.cancel_poll = Duration::from_secs(3600), None).await },
        lose
    );
    assert_eq!(bench.queue.state(&task_id), "running", "nothing was reported");
    assert!(bench.log(&task_id).contains("the run is stopped"));
}

#[tokio::test]
async fn a_claim_that_cannot_be_renewed_is_given_up_when_it_ends() {
    let bench = Bench::new().await;
    bench.queue.claim_for(Duration::from_secs(6));
    bench.queue.fail_reclaims(500);
    let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
    bench.run().await;
    assert_eq!(bench.queue.state(&task_id), "running", "nothing was reported");
    let resolved = Event::Resolved {
        task_id,
        run_id: 0.into(),
        outcome: Outcome::NotOurs(taskcluster_worker::outcome::NotOurs::ClaimLost),
    };
    assert_eq!(format!("{:?}", bench.events.lock().unwrap().last().unwrap()), format!("{resolved:?}"));
    assert!(bench.queue.received().iter().filter(|request| request.line.ends_with("/reclaim")).count() > 1);
}

#[tokio::test]
async fn a_claim_that_the_queue_has_let_expire_is_lost_and_not_cancelled() {
    // Heard from the statuses of tasks, and from a reclaim that is refused.
    for (claim_for, cancel_poll) in [(1200, Duration::from_millis(100)), (2, Duration::from_secs(3600))] {
        let bench = Bench::new().await;
        bench.queue.claim_for(Duration::from_secs(claim_for));
        let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
        let expire = async {
            bench.live(&task_id).await;
            bench.queue.expire_claim(&task_id);
        };
        tokio::join!(async { bench.run_with(|settings| settings.cancel_poll = cancel_poll, None).await }, expire);
        assert_eq!(bench.queue.state(&task_id), "exception claim-expired", "nothing was reported");
        let log = bench.log(&task_id);
        assert!(log.contains("the run is stopped: claim lost\n"), "{log}");
    }
}

#[tokio::test]
async fn a_work_directory_is_one_workers_at_a_time() {
    let bench = Bench::new().await;
    let (first, second) = (bench.worker(|_| {}, None).await, bench.worker(|_| {}, None).await);
    let began = async {
        bench.queue.request("claim-work").await;
        let error = second.run(Shutdown::new()).await.unwrap_err();
        assert!(format!("{error:?}").contains("another worker uses it"), "{error:?}");
        bench.shutdown.drain();
    };
    let (done, ()) = tokio::join!(first.run(bench.shutdown.clone()), began);
    assert_eq!(done.unwrap().why, WhyDone::Shutdown);
}

#[tokio::test]
async fn an_idle_worker_goes() {
    let bench = Bench::new().await;
    let idle = |settings: &mut Settings| settings.idle_timeout = Some(Duration::from_millis(50));
    assert_eq!(bench.run_with(idle, None).await.why, WhyDone::Idle);
}

#[tokio::test]
async fn runs_of_a_former_life_are_given_back() {
    let bench = Bench::new().await;
    let ours = bench.queue.add_running_task(task_with_payload(&object(json!({}))), "group", "worker");
    let other = bench.queue.add_running_task(task_with_payload(&object(json!({}))), "group", "another");
    bench.run_with(|settings| settings.idle_timeout = Some(Duration::from_millis(10)), None).await;
    assert_eq!(bench.queue.state(&ours), "exception worker-shutdown");
    assert_eq!(bench.queue.state(&other), "running");
}

#[tokio::test]
async fn a_run_of_a_former_life_is_found_behind_all_that_the_queue_remembers_of_the_worker() {
    let bench = Bench::new().await;
    let definition = || task_with_payload(&object(json!({})));
    let ours = bench.queue.add_running_task(definition(), "group", "worker");
    let other = bench.queue.add_running_task(definition(), "group", "another");
    for _ in 0..20 {
        let later = bench.queue.add_running_task(definition(), "group", "worker");
        bench.queue.cancel(&later);
    }
    bench.run_with(|settings| settings.idle_timeout = Some(Duration::from_millis(10)), None).await;
    assert_eq!(bench.queue.state(&ours), "exception worker-shutdown");
    assert_eq!(bench.queue.state(&other), "running");
    assert!(bench.position("/claimed") < bench.position("/exception"));
}

#[tokio::test]
async fn claims_whose_answer_was_lost_are_taken_up() {
    let bench = Bench::new().await;
    bench.queue.lose_claims(1);
    let tasks = [bench.add(json!({"mock": []})), bench.add(json!({"mock": []}))];
    let settings = |settings: &mut Settings| (settings.capacity, settings.task_limit) = (2, Some(2));
    let done = bench.run_with(settings, None).await;
    assert_eq!(tasks.map(|task| bench.queue.state(&task)), ["completed", "completed"]);
    assert_eq!((done.runs, done.why), (2, WhyDone::TaskLimit));
    let claims = bench.queue.received().iter().filter(|request| request.line.contains("claim-work")).count();
    assert_eq!(claims, 1);
}

#[tokio::test]
async fn a_claim_that_was_lost_while_the_worker_went_away_is_given_back() {
    let bench = Bench::new().await;
    let told = async {
        bench.queue.request("claim-work").await;
        let unheard = bench.queue.add_running_task(task_with_payload(&object(json!({}))), "group", "worker");
        bench.shutdown.now();
        unheard
    };
    let (done, unheard) = tokio::join!(bench.run_with(|_| {}, None), told);
    assert_eq!(done.why, WhyDone::Shutdown);
    assert_eq!(bench.queue.state(&unheard), "exception worker-shutdown");
}

#[tokio::test]
async fn a_worker_that_is_at_fault_again_and_again_puts_itself_into_quarantine() {
    let bench = Bench::new().await;
    for _ in 0..4 {
        bench.add(json!({"mock": []}));
    }
    let settings = |settings: &mut Settings| {
        settings.task_limit = Some(4);
        settings.quarantine = Some((3, Duration::from_secs(86400)));
    };
    bench.run_with(settings, Some(Trouble::At("build"))).await;
    let told = bench.queue.quarantined().expect("it has asked for it");
    assert!(told["quarantineInfo"].as_str().unwrap().contains("at 3 tasks in a row"), "{told}");
    let quarantined = bench.position("PUT /api/queue/v1/provisioners/test/worker-types/worker/workers/group/worker");
    let claims = |line: &str| line.contains("claim-work");
    let before = bench.queue.received()[..quarantined].iter().filter(|request| claims(&request.line)).count();
    assert_eq!(before, 3);
}

/// Else a mirror that is away for a while would take all workers of a pool out for a day.
#[tokio::test]
async fn what_tasks_name_and_nobody_answers_is_no_reason_for_quarantine() {
    let bench = Bench::new().await;
    let tasks = [(); 3].map(|()| bench.add(json!({"mock": []})));
    let settings = |settings: &mut Settings| {
        settings.task_limit = Some(3);
        settings.quarantine = Some((1, Duration::from_secs(86400)));
    };
    bench.run_with(settings, Some(Trouble::Away)).await;
    for task_id in &tasks {
        assert_eq!(bench.queue.state(task_id), "exception worker-shutdown");
    }
    assert_eq!(bench.queue.quarantined(), None);
}

#[tokio::test]
async fn several_tasks_run_at_once() {
    let bench = Bench::new().await;
    let tasks = [(); 3].map(|()| bench.add(json!({"mock": [{"forever": "running"}]})));
    let see = async {
        for task_id in &tasks {
            bench.live(task_id).await;
        }
        bench.shutdown.now();
    };
    let settings = |settings: &mut Settings| {
        settings.task_limit = None;
        settings.capacity = 3;
    };
    tokio::join!(async { bench.run_with(settings, None).await }, see);
    for task_id in &tasks {
        assert_eq!(bench.queue.state(task_id), "exception worker-shutdown");
    }
}
