//! Tasks that wait for others.

use futures_util::TryStreamExt;
use harness::{Backend, Deployment, Options, Tester, soon, task, until};
use taskcluster::TaskId;
use taskcluster::queue::TaskDefinitionRequest;

async fn becomes(root: &Tester, task_id: &TaskId, state: &str) {
    until(|| async { (root.state(task_id).await == state).then_some(()) }).await;
}

fn after(root: &Tester, group: TaskId, tasks: &[TaskId]) -> TaskDefinitionRequest {
    task(root.now()).with_task_group_id(group).with_dependencies(tasks.to_vec())
}

#[tokio::test]
async fn a_diamond_is_done_from_the_top() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let group = TaskId::new();
        let top = root.create(&task(root.now()).with_task_group_id(group)).await;
        let left = root.create(&after(&root, group, &[top])).await;
        let right = root.create(&after(&root, group, &[top])).await;
        let bottom = root.create(&after(&root, group, &[left, right])).await;
        for waiting in [left, right, bottom] {
            assert_eq!(root.state(&waiting).await, "unscheduled");
        }

        assert_eq!(root.claim().await.task_id, top);
        soon(root.queue().report_completed(&top, 0).into_future()).await.unwrap();
        becomes(&root, &left, "pending").await;
        becomes(&root, &right, "pending").await;
        for claim in root.claim_up_to(4).await {
            assert_eq!(root.state(&bottom).await, "unscheduled");
            claim.completed().await.unwrap();
        }
        becomes(&root, &bottom, "pending").await;
        let claim = root.claim().await;
        assert_eq!(claim.task_id, bottom);
        claim.completed().await.unwrap();

        let members: Vec<_> = soon(root.queue().list_task_group(&group).limit(2).stream().try_collect()).await.unwrap();
        let members: Vec<_> = members;
        assert_eq!(members.len(), 4);
        assert!(members.iter().all(|member| member.status.state.as_str() == "completed"));
        deployment.stop().await;
    }
}

#[tokio::test]
async fn who_asks_for_resolved_tasks_only_does_not_mind_a_failure() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let first = root.create_task().await;
        let strict = root.create(&after(&root, first, &[first])).await;
        let lenient = root.create(&after(&root, first, &[first]).with_requires("all-resolved")).await;
        root.claim().await.failed().await.unwrap();
        becomes(&root, &lenient, "pending").await;
        assert_eq!(root.state(&strict).await, "unscheduled");
        deployment.stop().await;
    }
}
