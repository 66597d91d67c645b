//! The files that a decision task leaves.

use serde_json::{Value, json};
use taskcluster::graph::{DecisionFiles, Parameters};

use crate::{graph, task};

#[test]
fn what_was_meant_is_written_under_the_names_that_people_expect() {
    let push = Parameters::for_show("local/native".parse().unwrap(), "https://example.com/git", "abc");
    let mut all = graph(&[("build", &[]), ("test", &["build"]), ("docs", &[])]);
    all.add(task("release").with_needs(["test"]));
    let all = all.check().unwrap();
    let files = DecisionFiles::new(&push).with_full_graph(&all);
    let target = all.only(|task| task.label == "test" || task.label == "docs");
    let files = files.with_target_tasks(&target);
    let graph = target.skip(|task| task.label == "docs");
    let files = files.with_graph(&graph).with_actions(&json!({"version": 1, "actions": [], "variables": {}}));

    let folder = tempfile::tempdir().unwrap();
    let public = folder.path().join("deep/public");
    files.write_to(&public).unwrap();
    files.write_to(&public).unwrap();
    let read = |name: &str| std::fs::read_to_string(public.join(name)).unwrap();
    let json = |name: &str| serde_json::from_str::<Value>(&read(name)).unwrap();
    let mut names: Vec<String> =
        std::fs::read_dir(&public).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let expected = [
        "actions.json",
        "full-task-graph.json",
        "label-to-taskid.json",
        "parameters.yml",
        "target-tasks.json",
        "task-graph.json",
    ];
    assert_eq!(names, expected);
    assert_eq!(read("parameters.yml"), push.to_yaml());
    assert_eq!(json("full-task-graph.json").as_object().unwrap().len(), 4);
    assert_eq!(json("target-tasks.json"), json!(["build", "docs", "test"]));
    assert_eq!(json("task-graph.json"), graph.to_json());
    assert_eq!(json("label-to-taskid.json"), json!(graph.label_to_task_id()));
    assert_eq!(json("actions.json")["version"], 1);
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let push = Parameters::for_show("local/native".parse().unwrap(), "https://example.com/git", "abc");
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = DecisionFiles::new(&push).write_to(file.path().join("public")).unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot write {}/public: ", file.path().display())), "{error}");
}
