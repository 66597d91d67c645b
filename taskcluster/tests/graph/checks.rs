//! What is found before anything is submitted.

use serde_json::json;
use taskcluster::TaskId;
use taskcluster::graph::{Cached, DEPENDENCIES_AT_MOST, Digest, Payloads, Problem, Task, TaskGraph};
use taskcluster::time::days;

use crate::{decision_task, definition, graph, labels, task};

fn problems(graph: TaskGraph) -> Vec<Problem> {
    graph.check().unwrap_err().problems
}

#[test]
fn tasks_come_after_what_they_need_and_by_label_otherwise() {
    let checked = graph(&[("a", &["z"]), ("b", &[]), ("z", &["b"]), ("c", &["b", "b"])]).check().unwrap();
    assert_eq!(labels(&checked), ["b", "c", "z", "a"]);
    assert!(graph(&[]).check().unwrap().is_empty());
}

#[test]
fn an_edge_to_nowhere_is_named_by_both_labels() {
    let error = graph(&[("test", &["biuld"]), ("build", &[])]).check().unwrap_err();
    assert_eq!(error.problems, [Problem::Dangling { label: "test".into(), needs: "biuld".into() }]);
    assert_eq!(error.to_string(), "task `test` needs `biuld`, which does not exist");
    let mut graph = graph(&[("build", &[])]);
    graph.add(Task::new("note", definition()).with_after(["biuld"]));
    let error = graph.check().unwrap_err();
    assert_eq!(error.to_string(), "task `note` comes after `biuld`, which does not exist");
}

#[test]
fn a_circle_is_told_without_what_only_leads_to_it() {
    let edges: &[(&str, &[&str])] =
        &[("0-before", &["a"]), ("a", &["b"]), ("b", &["c"]), ("c", &["a"]), ("d", &[]), ("self", &["self"])];
    assert_eq!(
        graph(edges).check().unwrap_err().to_string(),
        "tasks need each other in a circle: a -> b -> c -> a\ntasks need each other in a circle: self -> self"
    );
}

#[test]
fn everything_is_told_at_once() {
    let mut graph = graph(&[("build", &["nowhere"]), ("build", &[]), ("round", &["round"])]);
    let mut late = definition();
    (late.created, late.deadline) = (late.deadline, late.created);
    graph.add(Task::new("late", late));
    let mut forgotten = definition();
    forgotten.expires = Some(forgotten.created);
    graph.add(Task::new("forgotten", forgotten));
    graph.add(task("forgetful").with_needs(["forgotten"]));
    let mut nowhere = definition();
    nowhere.task_queue_id = None;
    graph.add(Task::new("no-queue", nowhere));
    graph.add(Task::new("ours", definition().with_scheduler_id("ours")));
    graph.add(Task::new("theirs", definition().with_scheduler_id("theirs")));
    let many: Vec<TaskId> = (0..DEPENDENCIES_AT_MOST).map(|_| TaskId::new()).collect();
    graph.add(Task::new("many", definition().with_dependencies(many)));
    graph.add(task("made").with_needs(["ours"]).with_cached(Cached::new("acme", Digest::new())));

    let label = |label: &str| label.to_owned();
    let told = problems(graph);
    for problem in [
        Problem::Duplicate(label("build")),
        Problem::Dangling { label: label("build"), needs: label("nowhere") },
        Problem::Cycle(vec![label("round"), label("round")]),
        Problem::DeadlineBeforeCreated(label("late")),
        Problem::ExpiresBeforeDeadline(label("forgotten")),
        Problem::ExpiresBeforeUse { label: label("forgetful"), needs: label("forgotten") },
        Problem::NoTaskQueue(label("no-queue")),
        Problem::Scheduler { label: label("theirs"), scheduler_id: label("theirs"), expected: label("ours") },
        Problem::TooManyDependencies { label: label("many"), count: DEPENDENCIES_AT_MOST + 1 },
        Problem::NotCached { label: label("made"), needs: label("ours") },
    ] {
        assert!(told.contains(&problem), "{problem:?} in {told:?}");
    }
    assert_eq!(told.len(), 10, "{told:?}");
}

#[test]
fn a_deployment_may_allow_other_deadlines() {
    let far = |within: Option<std::time::Duration>| {
        let mut definition = definition();
        definition.deadline = definition.created + days(20);
        let mut graph = graph(&[]);
        graph.add(Task::new("slow", definition));
        within.map_or(graph.clone(), |within| graph.with_deadline_within(within)).check()
    };
    let error = far(None).unwrap_err().to_string();
    assert_eq!(error, "task `slow` would be refused: deadline is more than 120 hours after the task is created");
    assert!(far(Some(days(20))).is_ok());
    assert!(far(Some(days(19))).is_err());
}

#[test]
fn what_the_graph_fills_in_is_checked_as_well() {
    let graph = graph(&[("build", &[])]).with_scheduler_id("not ours");
    let told = problems(graph);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        told[0].to_string(),
        "task `build` would be refused: schedulerId is not 1 to 38 letters, digits, - and _"
    );
}

#[test]
fn every_rule_that_a_task_breaks_is_told() {
    let mut definition = definition();
    definition.retries = Some(50);
    definition.scopes = Some(vec!["a".into(), "b**".into(), "\u{e4}".into()]);
    let mut graph = graph(&[]);
    graph.add(Task::new("odd", definition));
    assert_eq!(
        graph.check().unwrap_err().to_string(),
        "task `odd` would be refused: retries is 50; at most 49 are allowed\n\
         task `odd` would be refused: scopes[1] ends in **\n\
         task `odd` would be refused: scopes[2] is not printable ASCII"
    );
}

#[test]
fn as_many_dependencies_as_the_queue_takes_are_taken() {
    let many: Vec<TaskId> = (1..DEPENDENCIES_AT_MOST).map(|_| TaskId::new()).collect();
    let mut graph = graph(&[]);
    graph.add(Task::new("many", definition().with_dependencies(many)));
    let graph = graph.check().unwrap();
    let dependencies = graph.tasks().next().unwrap().definition.dependencies.as_ref().unwrap();
    assert_eq!(dependencies.len(), DEPENDENCIES_AT_MOST);
}

#[test]
fn payloads_are_checked_by_task_queue() {
    let mut graph = graph(&[("native", &[])]);
    let elsewhere: taskcluster::TaskQueueId = "local/docker".parse().unwrap();
    graph.add(Task::new("docker", definition().with_task_queue_id(elsewhere.clone())));
    let payloads = Payloads::new().with("local/docker", |payload| {
        ["image", "command"]
            .into_iter()
            .filter(|name| !payload.contains_key(*name))
            .map(|name| format!("no {name}"))
            .collect()
    });
    let told = graph.check_with(&payloads).unwrap_err().problems;
    let problem = |reason: &str| Problem::Payload {
        label: "docker".into(),
        task_queue_id: elsewhere.clone(),
        reason: reason.into(),
    };
    assert_eq!(told, [problem("no image"), problem("no command")]);
}

#[test]
fn a_task_depends_on_the_decision_task_on_what_it_needs_and_on_what_it_said() {
    let elsewhere: TaskId = "bdpB1YKSQXqNoRtY3oqCrg".parse().unwrap();
    let mut graph = graph(&[("build", &[])]);
    graph.add(Task::new("test", definition().with_dependencies([elsewhere])).with_needs(["build"]));
    let build = graph.task_id("build");
    let checked = graph.check().unwrap();
    let test = checked.tasks().nth(1).unwrap();
    assert_eq!(test.definition.dependencies.as_deref(), Some(&[decision_task(), build, elsewhere][..]));
    assert_eq!(test.definition.task_group_id, Some(decision_task()));
    let json = checked.to_json();
    let entry = &json[test.task_id.to_string()];
    assert_eq!(entry["dependencies"], json!({"build": build}));
    assert_eq!(entry["task"]["dependencies"], json!([decision_task(), build, elsewhere]));
}

#[test]
fn tasks_are_added_to_a_group_that_runs_already() {
    let (group, build) = (TaskId::new(), TaskId::new());
    let mut graph = TaskGraph::new(decision_task())
        .with_task_group_id(group)
        .with_scheduler_id("ours")
        .with_existing([("build".to_owned(), build)]);
    assert_eq!(graph.task_id("build"), build);
    graph.add(task("test").with_needs(["build"]));
    let mut twice = graph.clone();
    twice.add(task("build"));
    assert_eq!(problems(twice), [Problem::Duplicate("build".into())]);
    let graph = graph.check().unwrap();
    let test = graph.tasks().next().unwrap();
    assert_eq!(test.definition.task_group_id, Some(group));
    assert_eq!(test.definition.scheduler_id.as_deref(), Some("ours"));
    assert_eq!(test.definition.dependencies.as_deref(), Some(&[decision_task(), build][..]));
    assert_eq!(graph.label_to_task_id()["build"], build);
}
