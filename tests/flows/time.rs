//! What happens when nobody does anything.

use harness::{Backend, Deployment, Options, task, until};
use taskcluster::time::{hours, minutes};
use taskcluster::{ManualClock, Timestamp};

#[tokio::test]
async fn an_expired_claim_gives_the_task_to_another_worker() {
    for backend in Backend::available() {
        let clock = ManualClock::at(Timestamp::now());
        let deployment = Deployment::start(Options::on(backend).with_clock(clock.clone())).await.unwrap();
        let root = deployment.root();
        let task_id = root.create_task().await;
        let lost = root.claim().await;
        clock.advance(minutes(25));
        until(|| async { (root.state(&task_id).await == "pending").then_some(()) }).await;

        let status = root.status(&task_id).await;
        assert_eq!(status.runs[0].reason_resolved.as_ref().unwrap().as_str(), "claim-expired");
        assert_eq!(status.runs[1].reason_created.as_str(), "retry");
        let found = root.claim().await;
        assert_eq!((found.task_id, found.run_id), (task_id, 1.into()));
        let too_late = lost.completed().await.unwrap_err();
        assert!(too_late.is_conflict() || too_late.status().unwrap() == 401, "{too_late}");
        found.completed().await.unwrap();
        deployment.stop().await;
    }
}

#[tokio::test]
async fn a_task_that_is_not_done_by_its_deadline_is_an_exception() {
    for backend in Backend::available() {
        let clock = ManualClock::at(Timestamp::now());
        let deployment = Deployment::start(Options::on(backend).with_clock(clock.clone())).await.unwrap();
        let root = deployment.root();
        let waiting = root.create_task().await;
        let unscheduled = root.create(&task(root.now()).with_dependencies([waiting])).await;
        clock.advance(hours(1) + minutes(5));
        for task_id in [waiting, unscheduled] {
            until(|| async { (root.state(&task_id).await == "exception").then_some(()) }).await;
            let run = root.status(&task_id).await.runs.pop().unwrap();
            assert_eq!(run.reason_resolved.unwrap().as_str(), "deadline-exceeded");
        }
        assert!(root.claim_up_to(5).await.is_empty());
        deployment.stop().await;
    }
}
