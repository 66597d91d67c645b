//! What is wanted for a push.

use taskcluster::graph::{Changes, CheckedGraph, Task};

use crate::{graph, labels, task};

/// A tool, two builds with it, a test of each, and a page about all that comes after them.
fn project() -> CheckedGraph {
    let mut graph = graph(&[]);
    graph.add(task("tool").with_kind("toolchain").with_files(["tools/**"]));
    for platform in ["linux", "macos"] {
        let of = |kind: &str| task(&format!("{kind}-{platform}")).with_attribute("platform", platform);
        graph.add_kind("build", [of("build").with_needs(["tool"]).with_files(["src/**"])]);
        let files = [format!("tests/{platform}/**")];
        graph.add_kind("test", [of("test").with_needs([format!("build-{platform}")]).with_files(files)]);
    }
    let all: Vec<String> = graph.tasks().map(|task: &Task| task.label.clone()).collect();
    graph.add(task("report").with_after(all));
    graph.check().unwrap()
}

fn changed(file: &str) -> Vec<String> {
    let graph = project().changed_by(&Changes::Files(vec![file.to_owned()]));
    labels(&graph).into_iter().map(str::to_owned).collect()
}

#[test]
fn changes_ask_for_what_looks_at_them_what_needs_it_and_what_that_needs() {
    assert_eq!(changed("tests/linux/a.rs"), ["tool", "build-linux", "test-linux", "report"]);
    assert_eq!(changed("README.md"), ["report"]);
    assert_eq!(changed("src/a.rs").len(), 6);
    assert_eq!(changed("tools/a.sh").len(), 6);
    assert_eq!(project().changed_by(&Changes::Everything).len(), 6);
}

#[test]
fn what_comes_after_others_draws_none_of_them_in_and_keeps_its_edges_to_those_that_are_there() {
    let graph = project().only(|task| task.label == "report" || task.label == "build-macos");
    assert_eq!(labels(&graph), ["tool", "build-macos", "report"]);
    let report = graph.tasks().last().unwrap();
    assert_eq!(report.after, ["tool", "build-macos"]);
    let ids = graph.label_to_task_id();
    let dependencies = report.definition.dependencies.as_ref().unwrap();
    assert_eq!(dependencies[1..], [ids["tool"], ids["build-macos"]]);
}

#[test]
fn tasks_are_selected_by_kind_and_attribute() {
    let graph = project().only(|task| task.kind == "test" && task.attributes["platform"] == "linux");
    assert_eq!(labels(&graph), ["tool", "build-linux", "test-linux"]);
    assert!(project().only(|_| false).is_empty());
}

#[test]
fn a_task_is_skipped_once_nothing_needs_it() {
    let skip = |skipped: &[&str]| {
        let graph = project().skip(|task| skipped.contains(&task.label.as_str()));
        labels(&graph).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(skip(&["tool", "build-linux"]).len(), 6, "tests need them");
    assert_eq!(skip(&["build-linux", "test-linux"]), ["tool", "build-macos", "test-macos", "report"]);
    assert_eq!(skip(&["tool", "build-linux", "test-linux", "build-macos", "test-macos"]), ["report"]);
}
