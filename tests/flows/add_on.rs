//! The example of an add-on service does what it says, over the events of a real queue.

use std::sync::Arc;

use harness::{Backend, Deployment, Options, soon, task};
use serde_json::json;
use taskcluster::Taskcluster;
use taskcluster::queue::TaskState;
use tokio::sync::oneshot;

#[allow(dead_code, unreachable_pub, reason = "it is a program of its own, too")]
#[path = "../../taskcluster/examples/add_on.rs"]
mod program;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_asks_for_it_is_run_again_as_often_as_it_says() {
    let deployment = Deployment::start(Options::on(Backend::Sqlite)).await.unwrap();
    let root = deployment.root();
    let tc = Taskcluster::from(root.queue().caller().clone());
    let tc = tc.to_builder().events(Arc::new(deployment.bus().clone())).build().unwrap();
    let (ready, is_ready) = oneshot::channel();
    let adding_on = tokio::spawn({
        let tc = tc.clone();
        async move { program::serve(&tc, || ready.send(()).expect("the test waits")).await }
    });
    soon(is_ready).await.unwrap();

    let mut definition = task(root.now());
    let plain = root.create(&definition).await;
    soon(root.claim()).await.failed().await.unwrap();
    definition.extra = serde_json::from_value(json!({ "rerun": { "times": 1 }, "other": [] })).unwrap();
    let asking = root.create(&definition).await;
    // It fails once, is pending again without anybody else's doing, and fails for good.
    for _ in 0..2 {
        let claimed = soon(async {
            loop {
                if let Some(claimed) = root.claim_up_to(1).await.pop() {
                    break claimed;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        });
        claimed.await.failed().await.unwrap();
    }
    let status = soon(tc.queue().wait_for(&asking)).await.unwrap();
    assert_eq!((status.state, status.runs.len()), (TaskState::Failed, 2));
    assert_eq!(root.status(&plain).await.runs.len(), 1);

    deployment.bus().close();
    soon(adding_on).await.unwrap().unwrap();
    deployment.stop().await;
}
