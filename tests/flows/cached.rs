//! Two pushes: the second does not do again what the first has done.

use harness::{Backend, Deployment, Options, Tester, soon, task, until};
use taskcluster::graph::{Cached, Digest, Task, TaskGraph};
use taskcluster::{TaskId, object};

/// What one push wants: a tool, and a test that needs it. Gives the ids of both.
async fn push(root: &Tester, inputs: &str, revision: &str) -> (TaskId, TaskId) {
    let decision = root.create(&task(root.now())).await;
    root.claim().await.completed().await.unwrap();
    let mut graph = TaskGraph::new(decision);
    let definition = |payload| {
        let mut definition = task(root.now());
        definition.payload = payload;
        definition
    };
    let cached = Cached::new("e2e.cache.tool", Digest::new().with_text(inputs)).apart_from(revision);
    graph.add(Task::new("tool", definition(object! { "build": "tool", "at": revision })).with_cached(cached));
    let tool = graph.task_id("tool");
    graph.add(Task::new("test", definition(object! { "uses": tool })).with_needs(["tool"]));
    let graph = graph.check().unwrap().replace(&root.index()).await.unwrap();
    soon(graph.submit(&root.queue())).await.unwrap();
    let ids = graph.label_to_task_id();
    (ids["tool"], ids["test"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_was_made_of_the_same_is_used_again() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let (tool, _) = push(&root, "debian", "aaaa").await;
        let routes = soon(root.queue().task(&tool).into_future()).await.unwrap().routes;
        let path = routes.iter().find_map(|route| route.strip_prefix("index.")).expect("a route to the index");
        for _ in ["tool", "test"] {
            soon(root.claim()).await.completed().await.unwrap();
        }
        until(|| async { root.index().find_task(path).await.ok() }).await;

        let (again, test) = push(&root, "debian", "bbbb").await;
        assert_eq!(again, tool, "it stands for the one that is not made again");
        let test = soon(root.queue().task(&test).into_future()).await.unwrap();
        assert!(test.dependencies.contains(&tool));
        assert_eq!(test.payload["uses"].as_str(), Some(tool.to_string().as_str()));
        assert_eq!(root.claim_up_to(5).await.len(), 1, "the test alone waits to be done");

        let (other, _) = push(&root, "fedora", "bbbb").await;
        assert_ne!(other, tool);
        deployment.stop().await;
    }
}
