//! `claimWork`, and what a claim's credentials are good for.

use std::time::Duration;

use harness::{Backend, Deployment, Options, soon, task};
use taskcluster::{Priority, TaskId};

#[tokio::test]
async fn work_is_claimed_in_order_of_priority_then_of_age() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let mut expected = Vec::new();
        for priority in [Priority::Low, Priority::Highest, Priority::Lowest, Priority::High, Priority::Highest] {
            let task_id = root.create(&task(root.now()).with_priority(priority.clone())).await;
            expected.push((priority, task_id));
        }
        // Stable: among equals the order of creation.
        expected.sort_by(|(a, _), (b, _)| b.cmp(a));
        let mut claimed = Vec::new();
        for _ in 0..expected.len() {
            claimed.push(root.claim().await.task_id);
        }
        assert_eq!(claimed, expected.iter().map(|(_, task_id)| *task_id).collect::<Vec<_>>());
        assert!(root.claim_up_to(1).await.is_empty());
        deployment.stop().await;
    }
}

#[tokio::test]
async fn each_run_is_given_to_one_of_many_claimers() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let mut created = Vec::new();
        for _ in 0..20 {
            created.push(root.create_task().await);
        }
        let claims = futures_util::future::join_all((0..10).map(|_| root.claim_up_to(3))).await;
        let mut claimed: Vec<TaskId> = claims.into_iter().flatten().map(|claim| claim.task_id).collect();
        claimed.sort();
        created.sort();
        assert_eq!(claimed, created);
        deployment.stop().await;
    }
}

#[tokio::test]
async fn a_waiting_claim_is_answered_when_work_arrives() {
    for backend in Backend::available() {
        let options = Options::on(backend).with_claim_wait(Duration::from_secs(120));
        let deployment = Deployment::start(options).await.unwrap();
        let root = deployment.root();
        let claimer = root.clone();
        let waiting = tokio::spawn(async move { claimer.claim().await.task_id });
        let task_id = root.create_task().await;
        assert_eq!(soon(waiting).await.unwrap(), task_id);
        deployment.stop().await;
    }
}

#[tokio::test]
async fn a_claims_credentials_are_good_for_that_run_only() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let other = root.create_task().await;
        root.create_task().await;
        let (first, second) = (root.claim().await, root.claim().await);
        assert_eq!(first.task_id, other);

        let refused = soon(second.queue().report_completed(&other, 0).into_future()).await.unwrap_err();
        assert!(refused.is_forbidden(), "{refused}");
        let refused = soon(second.queue().create_task(&TaskId::new(), &task(root.now())).into_future()).await;
        assert!(refused.unwrap_err().is_forbidden());

        let reclaimed = soon(second.queue().reclaim_task(&second.task_id, second.run_id).into_future()).await.unwrap();
        assert!(reclaimed.taken_until >= second.taken_until);
        assert_eq!(second.completed().await.unwrap().state.as_str(), "completed");
        deployment.stop().await;
    }
}
