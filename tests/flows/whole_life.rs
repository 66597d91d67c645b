//! A task from creation to resolution, and what the world hears of it.

use harness::{Backend, Deployment, Options, soon, task};
use taskcluster::TaskId;
use taskcluster::events::{Listener, listen};
use taskcluster::operation::Event;
use taskcluster::queue::events::{TaskCompleted, TaskDefined, TaskFailed, TaskGroupResolved, TaskPending, TaskRunning};

async fn heard<E: Event>(listener: &mut Listener<E>) -> E::Message {
    soon(listener.next()).await.expect("the bus is open").expect("the message can be read").message
}

#[tokio::test]
async fn each_step_of_a_task_is_told_in_its_order() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let (root, bus) = (deployment.root(), deployment.bus());
        let mut defined = listen::<TaskDefined>(bus, TaskDefined::binding()).await.unwrap();
        let mut pending = listen::<TaskPending>(bus, TaskPending::binding()).await.unwrap();
        let mut running = listen::<TaskRunning>(bus, TaskRunning::binding()).await.unwrap();
        let mut completed = listen::<TaskCompleted>(bus, TaskCompleted::binding()).await.unwrap();
        let mut resolved = listen::<TaskGroupResolved>(bus, TaskGroupResolved::binding()).await.unwrap();

        let task_id = root.create(&task(root.now()).with_routes(["index.e2e.latest"])).await;
        assert_eq!(heard(&mut defined).await.status.task_id, task_id);
        let received = soon(pending.next()).await.unwrap().unwrap();
        assert_eq!((received.message.status.task_id, received.message.run_id), (task_id, 0.into()));
        assert_eq!(received.cc, ["route.index.e2e.latest"]);

        let claim = root.claim().await;
        let told = heard(&mut running).await;
        assert_eq!((told.status.task_id, told.taken_until), (task_id, claim.taken_until));
        assert_eq!(root.state(&task_id).await, "running");

        claim.completed().await.unwrap();
        assert_eq!(heard(&mut completed).await.status.state.as_str(), "completed");
        assert_eq!(heard(&mut resolved).await.task_group_id, task_id);
        let run = root.status(&task_id).await.runs.pop().unwrap();
        assert_eq!(run.reason_resolved.unwrap().as_str(), "completed");
        deployment.stop().await;
    }
}

#[tokio::test]
async fn a_failed_task_can_be_run_again() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let task_id = root.create_task().await;
        let pattern = TaskFailed::binding().task_id(&task_id);
        let mut failed = listen::<TaskFailed>(deployment.bus(), pattern).await.unwrap();
        assert_eq!(root.claim().await.failed().await.unwrap().state.as_str(), "failed");
        assert_eq!(heard(&mut failed).await.run_id, 0.into());

        let again = soon(root.queue().rerun_task(&task_id).into_future()).await.unwrap().status;
        assert_eq!((again.state.as_str(), again.runs.len()), ("pending", 2));
        let claim = root.claim().await;
        assert_eq!((claim.task_id, claim.run_id), (task_id, 1.into()));
        assert_eq!(claim.completed().await.unwrap().state.as_str(), "completed");
        deployment.stop().await;
    }
}

#[tokio::test]
async fn a_cancelled_task_is_nobodys_to_complete() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let task_id = root.create_task().await;
        let claim = root.claim().await;
        let cancelled = soon(root.queue().cancel_task(&task_id).into_future()).await.unwrap().status;
        assert_eq!(cancelled.state.as_str(), "exception");
        assert!(claim.completed().await.unwrap_err().is_conflict());
        let reclaim = soon(claim.queue().reclaim_task(&task_id, claim.run_id).into_future()).await.unwrap_err();
        assert!(reclaim.is_conflict(), "{reclaim}");
        assert!(soon(root.queue().status(&TaskId::new()).into_future()).await.unwrap_err().is_not_found());
        deployment.stop().await;
    }
}
