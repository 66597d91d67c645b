//! The tasks themselves: what is checked, in which order, and what passes from one to the next.
//!
//! Each check is a shell script in `checks/`, which reads like a page of a manual and can be run by hand. A task is the
//! script, the files it is handed from other tasks, and the files it leaves.

use serde_json::{Map, Value, json};
use taskcluster::Priority;
use taskcluster::graph::{Changes, CheckedGraph, GraphError, Parameters, Task, TaskGraph};
use taskcluster::queue::{Requires, TaskDefinitionRequest};
use taskcluster_core::object;
use taskcluster_core::time::{days, hours};

/// The start of every script: the commit, in a cache whose unchanged files keep their times.
const CHECKOUT: &str = include_str!("../checks/checkout.sh");

/// A check, as this file writes it down.
struct Check {
    label: &'static str,
    description: &'static str,
    script: &'static str,
    /// Checks that build keep what they built; checks that follow each other share it.
    cache: &'static str,
    /// Checks that use a cache at the same time would have one each and build everything twice: they come one after another.
    after: &'static [&'static str],
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

const CHECKS: &[Check] = &[
    Check {
        label: "generator",
        description: "Build the code generator",
        script: include_str!("../checks/generator.sh"),
        cache: "codegen",
        after: &[],
        takes: &[],
        leaves: &[GENERATOR],
    },
    Check {
        label: "references",
        description: "Check all API references",
        script: include_str!("../checks/references.sh"),
        cache: "references",
        after: &[],
        takes: &[GENERATOR],
        leaves: &[File { of: "references", name: "references.txt" }],
    },
    Check {
        label: "generate",
        description: "Generate code from the references",
        script: include_str!("../checks/generate.sh"),
        cache: "generate",
        after: &[],
        takes: &[GENERATOR],
        leaves: &[GENERATED],
    },
    Check {
        label: "generate-again",
        description: "Generate it a second time, elsewhere",
        script: include_str!("../checks/generate.sh"),
        cache: "generate-again",
        after: &[],
        takes: &[GENERATOR],
        leaves: &[GENERATED_AGAIN],
    },
    Check {
        label: "compare",
        description: "Both times, the same bytes",
        script: include_str!("../checks/compare.sh"),
        cache: "compare",
        after: &[],
        takes: &[GENERATED, GENERATED_AGAIN],
        leaves: &[File { of: "compare", name: "compare.txt" }],
    },
    Check {
        label: "build",
        description: "Build a crate from the generated code",
        script: include_str!("../checks/build.sh"),
        cache: "sdk",
        after: &["sdk"],
        takes: &[GENERATED],
        leaves: &[File { of: "build", name: "build.txt" }],
    },
    Check {
        label: "test",
        description: "Run the generator's tests",
        script: include_str!("../checks/test.sh"),
        cache: "codegen",
        after: &["generator"],
        takes: &[],
        leaves: &[File { of: "test", name: "test.txt" }],
    },
    // Always: where this does not build, an older program has made the decision (see `.taskcluster.yml`).
    Check {
        label: "sdk",
        description: "Build the SDK and the decision task",
        script: include_str!("../checks/sdk.sh"),
        cache: "sdk",
        after: &[],
        takes: &[],
        leaves: &[],
    },
];

/// Of the tasks that may begin this one begins first: nothing else takes as long, and little waits for it.
const LONGEST: &str = "test";

/// Only where a document changed.
const LINKS: Check = Check {
    label: "links",
    description: "Links between documents lead somewhere",
    script: include_str!("../checks/links.sh"),
    cache: "links",
    after: &[],
    takes: &[],
    leaves: &[],
};

/// Only where something else changed than documents.
const SERVICES: Check = Check {
    label: "services",
    description: "Check the services, the worker and the command line",
    script: include_str!("../checks/services.sh"),
    cache: "services",
    after: &[],
    takes: &[],
    leaves: &[],
};

/// The last task: it runs however the others ended, and tells.
const REPORT: &str = "report";

/// The graph for a commit.
pub(crate) fn graph(parameters: &Parameters, changes: &Changes) -> Result<CheckedGraph, GraphError> {
    let mut graph = parameters.graph();
    let links = changes.touch(is_document).then_some(&LINKS);
    let services = changes.touch(|file| !is_document(file)).then_some(&SERVICES);
    for check in CHECKS.iter().chain(links).chain(services) {
        let needs = check.takes.iter().map(|file| file.of).chain(check.after.iter().copied());
        let definition = definition(check, &graph, parameters);
        graph.add(Task::new(check.label, definition).with_needs(needs));
    }
    let others: Vec<String> = graph.tasks().map(|task| task.label.clone()).collect();
    graph.add(Task::new(REPORT, report(parameters)).with_needs(others));
    graph.check()
}

fn is_document(file: &str) -> bool {
    file.ends_with(".md")
}

fn definition(check: &Check, graph: &TaskGraph, parameters: &Parameters) -> TaskDefinitionRequest {
    let priority = if check.label == LONGEST { Priority::Low } else { Priority::Lowest };
    task(check.label, check.description, payload(check, graph, parameters), parameters)
        .with_scopes([cache_scope(check)])
        .with_priority(priority)
}

/// This program once more, with another question.
fn report(parameters: &Parameters) -> TaskDefinitionRequest {
    let program = json!({"taskId": parameters.decision_task, "artifact": "public/decision-task"});
    let payload = object! {
        "features": {"taskclusterProxy": true},
        "command": [["sh", "-euc", "chmod +x decision-task && ./decision-task --report report.md"]],
        "maxRunTime": 600,
        "mounts": [{"file": "decision-task", "content": program}],
        "artifacts": [{"type": "file", "path": "report.md", "name": "public/report.md"}],
    };
    task(REPORT, "Tell in one page how the others ended and what they made", payload, parameters)
        .with_requires(Requires::AllResolved)
}

fn task(name: &str, description: &str, payload: Map<String, Value>, parameters: &Parameters) -> TaskDefinitionRequest {
    parameters.definition(name, description, hours(2), payload).with_expires(parameters.created + days(7))
}

fn payload(check: &Check, graph: &TaskGraph, parameters: &Parameters) -> Map<String, Value> {
    let mut mounts = vec![json!({"directory": "cache", "cacheName": cache_name(check)})];
    for file in check.takes {
        let content = json!({"taskId": graph.task_id(file.of), "artifact": artifact(file)});
        mounts.push(json!({"file": format!("in/{}", file.name), "content": content}));
    }
    let leaves = check.leaves.iter();
    let artifacts: Vec<Value> = leaves
        .map(|file| {
            // Programs, for the most part, which take longer to compress than to hand over.
            let (path, name) = (format!("out/{}", file.name), artifact(file));
            json!({"type": "file", "path": path, "name": name, "contentEncoding": "identity"})
        })
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
        let task_queue_id = TaskQueueId::from_parts("local", "native").unwrap();
        Parameters::for_show(task_queue_id, "http://127.0.0.1/git", "abc")
    }

    fn labels(changes: &Changes) -> Vec<String> {
        graph(&parameters(), changes).unwrap().tasks().map(|task| task.label.clone()).collect()
    }

    #[test]
    fn what_is_checked_depends_on_what_changed() {
        let everything = labels(&Changes::Everything);
        let documents = labels(&Changes::Files(vec!["README.md".into()]));
        let code = labels(&Changes::Files(vec!["codegen/src/lib.rs".into()]));
        let lacks = |some: &[String]| -> Vec<String> {
            everything.iter().filter(|label| !some.contains(label)).cloned().collect()
        };
        assert_eq!(lacks(&documents), ["services"]);
        assert_eq!(lacks(&code), ["links"]);
    }

    #[test]
    fn the_report_comes_after_all_others_however_they_end() {
        let graph = graph(&parameters(), &Changes::Everything).unwrap();
        let report = graph.tasks().last().unwrap();
        assert_eq!((report.label.as_str(), report.needs.len()), (REPORT, graph.len() - 1));
        assert_eq!(report.definition.requires, Some(Requires::AllResolved));
    }

    #[test]
    fn a_second_decision_gives_equal_definitions() {
        let first = graph(&parameters(), &Changes::Everything).unwrap().to_json();
        assert_eq!(graph(&parameters(), &Changes::Everything).unwrap().to_json(), first);
    }

    #[test]
    fn no_two_checks_use_a_cache_at_the_same_time() {
        let all: Vec<&Check> = CHECKS.iter().chain([&LINKS, &SERVICES]).collect();
        let needs = |check: &Check| -> Vec<&str> {
            check.takes.iter().map(|file| file.of).chain(check.after.iter().copied()).collect()
        };
        for (at, one) in all.iter().enumerate() {
            for other in &all[at + 1..] {
                let ordered = needs(one).contains(&other.label) || needs(other).contains(&one.label);
                assert!(one.cache != other.cache || ordered, "{} and {}", one.label, other.label);
            }
        }
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
