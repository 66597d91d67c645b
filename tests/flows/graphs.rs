//! A task graph whose scheduler is away: what waits for what is the queue's business.

use std::sync::Arc;

use harness::{Backend, Deployment, Options, Tester, soon, task, until};
use service_kit::frame::Frame;
use service_kit::service::Service as _;
use service_kit::store::Database;
use taskcluster::scheduler::{CreateTaskGraphRequest, TaskGraphNode};
use taskcluster::time::minutes;
use taskcluster::{ManualClock, TaskId, Timestamp, transport};
use taskcluster_scheduler::SchedulerService;

/// A scheduler of the test's own, which does nothing but what it is asked to: it is away for as long as nobody asks.
async fn scheduler(deployment: &Deployment, clock: &ManualClock) -> SchedulerService {
    let frame = Frame::new(deployment.root_url(), Arc::new(deployment.bus().clone())).with_clock(clock.shared());
    let authenticator = frame.remote_authenticator().unwrap();
    let caller = deployment.root().caller().clone();
    let options = taskcluster_scheduler::Options::new(frame, Database::Memory, authenticator, caller);
    soon(SchedulerService::open(options.with_scheduler_id("away"))).await.unwrap()
}

/// Claims the next task, which must be this one.
async fn complete(root: &Tester, task_id: TaskId) {
    let claim = until(|| async { root.claim_up_to(1).await.pop() }).await;
    assert_eq!(claim.task_id, task_id);
    claim.completed().await.unwrap();
}

#[tokio::test]
async fn a_scheduler_that_is_away_stops_no_graph() {
    for backend in Backend::available() {
        let clock = ManualClock::at(Timestamp::now());
        let deployment = Deployment::start(Options::on(backend).with_clock(clock.clone())).await.unwrap();
        let root = deployment.root();
        let scheduler = scheduler(&deployment, &clock).await;
        let there = root.caller().to_builder().transport(transport::in_process(scheduler.router()));
        let there = Tester::new(there.build().unwrap());

        let node =
            |requires: &[TaskId]| TaskGraphNode::new(TaskId::new(), task(root.now())).with_requires(requires.to_vec());
        let build = node(&[]);
        let test = node(&[build.task_id]).with_reruns(1);
        let report = node(&[test.task_id]);
        let [build_id, test_id, report_id] = [&build, &test, &report].map(|node| node.task_id);
        let metadata = build.task.metadata.clone();
        let request = CreateTaskGraphRequest::new([build, test, report], metadata).with_scopes(["*"]);
        let graph_id = TaskId::new().to_string();
        soon(there.scheduler().create_task_graph(&graph_id, &request).into_future()).await.unwrap();
        assert!(root.claim_up_to(1).await.is_empty(), "what begins the graph is held until somebody releases it");
        soon(scheduler.catch_up()).await.unwrap();

        let state = async || {
            let status = soon(there.scheduler().status(&graph_id).into_future()).await.unwrap().status;
            status.state.to_string()
        };
        complete(&root, build_id).await;
        let failed = until(|| async { root.claim_up_to(1).await.pop() }).await;
        assert_eq!(failed.task_id, test_id, "it was begun by the queue");
        failed.failed().await.unwrap();
        assert!(root.claim_up_to(1).await.is_empty(), "to run again is for the scheduler");
        // It returns, and asks about what it has not heard of.
        clock.advance(minutes(6));
        soon(scheduler.catch_up()).await.unwrap();
        complete(&root, test_id).await;
        complete(&root, report_id).await;
        assert_eq!(state().await, "running", "it has not heard of that");
        clock.advance(minutes(6));
        soon(scheduler.catch_up()).await.unwrap();
        assert_eq!(state().await, "finished");
        scheduler.store().close().await;
        deployment.stop().await;
    }
}
