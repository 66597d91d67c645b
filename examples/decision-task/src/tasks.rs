//! The tasks themselves: what is checked, in which order, and what passes from one to the next.
//!
//! Each check is a shell script in `checks/`, which reads like a page of a manual and can be run by hand. A task is the
//! script, the files it is handed from other tasks, and the files it leaves.

use anyhow::Result;
use serde_json::{Map, Value, json};
use taskcluster::graph::{CheckedGraph, TaskGraph};
use taskcluster::queue::{TaskDefinitionRequest, TaskMetadata};
use taskcluster_core::object;
use taskcluster_core::time::{days, hours};

use crate::changes::Changes;
use crate::parameters::Parameters;

/// The start of every script: the commit, in a cache whose unchanged files keep their times.
const CHECKOUT: &str = include_str!("../checks/checkout.sh");

/// A check, as this file writes it down.
struct Check {
    label: &'static str,
    description: &'static str,
    script: &'static str,
    /// Checks that build keep what they built; checks that follow each other share it.
    cache: &'static str,
    takes: &'static [File],
    leaves: &'static [File],
}

/// A file that passes between tasks: the artifact's name ends in the file's name.
#[derive(Clone, Copy)]
struct File {
    of: &'static str,
    name: &'static str,
}

const GENERATOR: File = File { of: "generator", name: "taskcluster-codegen" };
const GENERATED: File = File { of: "generate", name: "generated.tar" };
const GENERATED_AGAIN: File = File { of: "generate-again", name: "generated-again.tar" };

/// The labels of tasks that need no other: if any task was ever created, one of these was.
pub(crate) const ROOTS: [&str; 2] = ["generator", "links"];

const CHECKS: &[Check] = &[
    Check {
        label: "generator",
        description: "Build the code generator",
        script: include_str!("../checks/generator.sh"),
        cache: "codegen",
        takes: &[],
        leaves: &[GENERATOR],
    },
    Check {
        label: "references",
        description: "Check all API references",
        script: include_str!("../checks/references.sh"),
        cache: "references",
        takes: &[GENERATOR],
        leaves: &[File { of: "references", name: "references.txt" }],
    },
    Check {
        label: "generate",
        description: "Generate code from the references",
        script: include_str!("../checks/generate.sh"),
        cache: "generate",
        takes: &[GENERATOR],
        leaves: &[GENERATED],
    },
    Check {
        label: "generate-again",
        description: "Generate it a second time, elsewhere",
        script: include_str!("../checks/generate.sh"),
        cache: "generate-again",
        takes: &[GENERATOR],
        leaves: &[GENERATED_AGAIN],
    },
    Check {
        label: "compare",
        description: "Both times, the same bytes",
        script: include_str!("../checks/compare.sh"),
        cache: "compare",
        takes: &[GENERATED, GENERATED_AGAIN],
        leaves: &[],
    },
    Check {
        label: "build",
        description: "Build a crate from the generated code",
        script: include_str!("../checks/build.sh"),
        cache: "sdk",
        takes: &[GENERATED],
        leaves: &[File { of: "build", name: "build.txt" }],
    },
    Check {
        label: "test",
        description: "Run the generator's tests",
        script: include_str!("../checks/test.sh"),
        cache: "codegen",
        takes: &[],
        leaves: &[File { of: "test", name: "test.txt" }],
    },
    Check {
        label: "report",
        description: "Tell in one page what was made",
        script: include_str!("../checks/report.sh"),
        cache: "report",
        takes: &[
            GENERATED,
            File { of: "references", name: "references.txt" },
            File { of: "build", name: "build.txt" },
            File { of: "test", name: "test.txt" },
        ],
        leaves: &[File { of: "report", name: "report.md" }],
    },
];

/// Only where a document changed.
const LINKS: Check = Check {
    label: "links",
    description: "Links between documents lead somewhere",
    script: include_str!("../checks/links.sh"),
    cache: "links",
    takes: &[],
    leaves: &[],
};

/// The graph for a commit.
pub(crate) fn graph(parameters: &Parameters, changes: &Changes) -> Result<CheckedGraph> {
    let mut graph = TaskGraph::new(parameters.decision_task);
    let links = changes.touch(|file| file.ends_with(".md")).then_some(&LINKS);
    for check in CHECKS.iter().chain(links) {
        let mut needs: Vec<&str> = check.takes.iter().map(|file| file.of).collect();
        if check.label == "test" {
            // They share what the generator's build left.
            needs.push("generator");
        }
        let definition = definition(check, &graph, parameters);
        graph.add(check.label, needs, definition)?;
    }
    Ok(graph.check()?)
}

fn definition(check: &Check, graph: &TaskGraph, parameters: &Parameters) -> TaskDefinitionRequest {
    let Parameters { created, owner, source, .. } = parameters;
    let metadata = TaskMetadata::new(check.label, check.description, owner.as_str(), source.as_str());
    TaskDefinitionRequest::new(*created, *created + hours(2), payload(check, graph, parameters), metadata)
        .with_task_queue_id(parameters.task_queue_id.clone())
        .with_scheduler_id(parameters.scheduler_id.as_str())
        .with_expires(*created + days(7))
        .with_scopes([cache_scope(check)])
}

fn payload(check: &Check, graph: &TaskGraph, parameters: &Parameters) -> Map<String, Value> {
    let mut mounts = vec![json!({"directory": "cache", "cacheName": cache_name(check)})];
    for file in check.takes {
        let content = json!({"taskId": graph.task_id(file.of), "artifact": artifact(file)});
        mounts.push(json!({"file": format!("in/{}", file.name), "content": content}));
    }
    let leaves = check.leaves.iter();
    let artifacts: Vec<Value> = leaves
        .map(|file| json!({"type": "file", "path": format!("out/{}", file.name), "name": artifact(file)}))
        .collect();
    object! {
        "command": [["sh", "-euc", format!("{CHECKOUT}\n{}", check.script)]],
        "env": {
            "HEAD_REPOSITORY": parameters.repository,
            "HEAD_REVISION": parameters.head_revision,
            // One script may serve several checks that leave their file under different names.
            "LEAVES": check.leaves.first().map_or("", |file| file.name),
        },
        "maxRunTime": 1800,
        "mounts": mounts,
        "artifacts": artifacts,
    }
}

fn artifact(file: &File) -> String {
    format!("public/{}", file.name)
}

fn cache_name(check: &Check) -> String {
    format!("taskcluster-{}", check.cache)
}

fn cache_scope(check: &Check) -> String {
    format!("generic-worker:cache:{}", cache_name(check))
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskcluster_core::ids::TaskQueueId;

    fn parameters() -> Parameters {
        Parameters {
            decision_task: "fN1SbArXTPSVFNUvaOlinQ".parse().unwrap(),
            task_queue_id: TaskQueueId::from_parts("local", "native").unwrap(),
            scheduler_id: "local".into(),
            created: "2026-11-28T00:00:00.000Z".parse().unwrap(),
            owner: "me@example.com".into(),
            source: "https://example.com".into(),
            repository: "http://127.0.0.1/git".into(),
            head_revision: "abc".into(),
            base_revision: None,
        }
    }

    fn labels(changes: &Changes) -> Vec<String> {
        graph(&parameters(), changes).unwrap().tasks().map(|task| task.label.clone()).collect()
    }

    #[test]
    fn the_links_are_checked_only_where_a_document_changed() {
        let with = labels(&Changes::Files(vec!["README.md".into()]));
        let without = labels(&Changes::Files(vec!["codegen/src/lib.rs".into()]));
        assert_eq!(with.len(), without.len() + 1);
        assert!(!without.contains(&"links".to_owned()));
        assert_eq!(labels(&Changes::Everything), with);
    }

    #[test]
    fn a_second_decision_gives_equal_definitions() {
        let first = graph(&parameters(), &Changes::Everything).unwrap().to_json();
        assert_eq!(graph(&parameters(), &Changes::Everything).unwrap().to_json(), first);
    }

    #[test]
    fn the_roots_are_the_tasks_that_need_no_other() {
        let graph = graph(&parameters(), &Changes::Everything).unwrap();
        let roots: Vec<&str> =
            graph.tasks().filter(|task| task.needs.is_empty()).map(|task| task.label.as_str()).collect();
        assert_eq!(roots, ROOTS);
    }

    #[test]
    fn what_a_task_takes_another_leaves() {
        for check in CHECKS {
            for taken in check.takes {
                let maker = CHECKS.iter().find(|check| check.label == taken.of);
                assert!(
                    maker.is_some_and(|maker| maker.leaves.iter().any(|left| left.name == taken.name)),
                    "{}",
                    taken.name
                );
            }
        }
    }
}
