//! Submission: in order, whatever breaks, and however often it is tried.

use serde_json::Value;
use taskcluster::graph::{CheckedGraph, Task, TaskGraph};

use crate::queue::Memory;
use crate::{CREATED, decision_task, definition, graph, task};

/// A hundred tasks with many edges.
fn dense() -> CheckedGraph {
    of_size(100)
}

fn of_size(count: usize) -> CheckedGraph {
    let mut graph = TaskGraph::new(decision_task());
    for n in 0..count {
        let needs = (0..n).filter(|m| n % (m + 2) == 0).map(|m| format!("task-{m:03}"));
        graph.add(task(&format!("task-{n:03}")).with_needs(needs));
    }
    graph.check().unwrap()
}

#[tokio::test]
async fn each_task_is_created_after_those_it_needs() {
    let (graph, memory) = (dense(), Memory::default());
    let statuses = graph.submit(&memory.client(CREATED, None)).await.unwrap();
    let ids: Vec<_> = graph.tasks().map(|task| task.task_id).collect();
    assert_eq!(statuses.iter().map(|status| status.task_id).collect::<Vec<_>>(), ids);
    assert_eq!(memory.tasks().len(), 100);
}

#[tokio::test]
async fn what_a_crash_left_unfinished_is_finished_and_nothing_is_there_twice() {
    let whole = Memory::default();
    of_size(12).submit(&whole.client(CREATED, None)).await.unwrap();
    let calls = whole.calls();
    for lost in 0..calls {
        for heard in [false, true] {
            let memory = Memory::default();
            of_size(12).submit(&memory.client(CREATED, Some((lost, heard)))).await.unwrap_err();
            let graph = of_size(12);
            let statuses = graph.submit(&memory.client("2026-01-01T00:01:00.000Z", None)).await.unwrap();
            assert_eq!(statuses.len(), graph.len());
            assert_eq!(memory.tasks(), whole.tasks(), "lost call {lost}, heard: {heard}");
            assert_eq!(memory.order().len(), graph.len(), "once each");
        }
    }
}

#[tokio::test]
async fn a_second_try_after_half_an_hour_finishes_the_first() {
    let memory = Memory::default();
    dense().submit(&memory.client(CREATED, Some((40, true)))).await.unwrap_err();
    let first = memory.tasks();
    assert_eq!(first.len(), 41);
    let statuses = dense().submit(&memory.client("2026-01-01T00:30:00.000Z", None)).await.unwrap();
    assert_eq!(statuses.len(), 100);
    let second = memory.tasks();
    assert_eq!(second.len(), 100);
    for (id, task) in second {
        let created = if first.contains_key(&id) { CREATED } else { "2026-01-01T00:30:00.000Z" };
        assert_eq!(task["created"], created);
        assert_eq!(task["deadline"], "2026-01-01T01:00:00.000Z");
    }
}

#[tokio::test]
async fn a_sealed_group_and_a_passed_deadline_are_no_obstacle_to_what_is_there() {
    let memory = Memory::default();
    dense().submit(&memory.client(CREATED, None)).await.unwrap();
    memory.seal();
    dense().submit(&memory.client(CREATED, None)).await.unwrap();
    dense().submit(&memory.client("2026-01-02T00:00:00.000Z", None)).await.unwrap();
    assert_eq!(memory.order().len(), 100);
}

#[tokio::test]
async fn another_definition_is_refused_by_label() {
    let memory = Memory::default();
    graph(&[("build", &[])]).check().unwrap().submit(&memory.client(CREATED, None)).await.unwrap();
    let mut other = TaskGraph::new(decision_task());
    let mut build = task("build");
    build.definition.payload.insert("command".into(), Value::Null);
    other.add(build);
    let error = other.check().unwrap().submit(&memory.client(CREATED, None)).await.unwrap_err();
    assert_eq!(error.label, "build");
    assert!(error.source.is_conflict());
}

#[test]
fn what_submitting_asks_for_is_known_before() {
    let mut graph = TaskGraph::new(decision_task());
    graph.add(task("build"));
    graph.add(Task::new("ship", definition().with_scopes(["ship:it"]).with_routes(["index.a"])).with_needs(["build"]));
    let needs = graph.check().unwrap().needs(&Memory::default().client(CREATED, None)).unwrap();
    let scopes: Vec<&str> = needs.iter().map(String::as_str).collect();
    assert_eq!(
        scopes,
        [
            "queue:create-task:lowest:local/native",
            "queue:create-task:project:none",
            "queue:route:index.a",
            "queue:scheduler-id:-",
            "ship:it",
        ]
    );
}
