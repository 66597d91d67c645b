//! Tasks get into the index by their routes.

use harness::{Backend, Deployment, Options, soon, task, until};
use taskcluster::object;

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_task_is_found_by_its_routes_and_a_failed_one_is_not() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let failing = task(root.now()).with_routes(["index.failed"]);
        root.create(&failing).await;
        soon(root.claim()).await.failed().await.unwrap();

        let extra = object! { "index": { "rank": 7, "data": { "colour": "green" } } };
        let definition = task(root.now()).with_routes(["index.p.q.r", "other.route", "index.s"]).with_extra(extra);
        let task_id = root.create(&definition).await;
        soon(root.claim()).await.completed().await.unwrap();
        for path in ["p.q.r", "s"] {
            // The index hears of it when it has happened.
            let found = until(|| async { root.index().find_task(path).await.ok() }).await;
            assert_eq!((found.task_id, found.rank, found.data["colour"].as_str()), (task_id, 7.0, Some("green")));
            assert_eq!(Some(found.expires), definition.expires);
        }
        // The failed one was first: by now it would be there.
        assert!(soon(root.index().find_task("failed").into_future()).await.unwrap_err().is_not_found());
        deployment.stop().await;
    }
}
