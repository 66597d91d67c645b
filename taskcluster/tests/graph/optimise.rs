//! Earlier tasks in the place of those that would do the same again.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Mutex;

use taskcluster::graph::{Cached, CheckedGraph, Digest, Found, Task, TaskGraph};
use taskcluster::{TaskId, Timestamp};

use crate::queue::Memory;
use crate::{CREATED, definition, labels};

const LATER: &str = "2027-01-01T00:00:00.000Z";

/// An image, a tool that is made in it, and a build with both, which names them by id. Each push is another decision task.
fn push(decision_task: TaskId, revision: &str, dockerfile: &str) -> CheckedGraph {
    let mut graph = TaskGraph::new(decision_task);
    let definition = |payload: String| {
        let mut definition = definition();
        definition.payload.insert("revision".into(), revision.into());
        definition.payload.insert("uses".into(), payload.into());
        definition
    };
    let cached = |name: &str, inputs: &str| {
        Cached::new(format!("acme.cache.{name}"), Digest::new().with_text(inputs)).apart_from(revision)
    };
    let image = graph.add(Task::new("image", definition(String::new())).with_cached(cached("image", dockerfile)));
    let tool = Task::new("tool", definition(format!("task/{image}/public/image.tar")))
        .with_needs(["image"])
        .with_cached(cached("tool", "tool.sh"));
    let tool = graph.add(tool);
    graph.add(Task::new("build", definition(format!("{image} {tool}"))).with_needs(["tool"]).with_after(["image"]));
    graph.check().unwrap()
}

/// An index in memory.
#[derive(Default)]
struct Index {
    tasks: BTreeMap<String, Found>,
    asked: Mutex<Vec<String>>,
}

impl Index {
    /// Takes in what the routes of the tasks say, as the index does once they are completed.
    fn complete(&mut self, graph: &CheckedGraph, expires: &str) {
        let expires: Timestamp = expires.parse().unwrap();
        for task in graph.tasks() {
            for route in task.definition.routes.iter().flatten() {
                let namespace = route.strip_prefix("index.").unwrap().to_owned();
                self.tasks.insert(namespace, Found { task_id: task.task_id, expires });
            }
        }
    }

    fn find(&self, namespace: String) -> Ready<Result<Option<Found>, Infallible>> {
        let found = self.tasks.get(&namespace).copied();
        self.asked.lock().unwrap().push(namespace);
        ready(Ok(found))
    }

    async fn replace(&self, graph: CheckedGraph) -> CheckedGraph {
        graph.replace(&|namespace| self.find(namespace)).await.unwrap()
    }
}

#[tokio::test]
async fn the_next_push_uses_what_was_made_of_the_same() {
    let mut index = Index::default();
    let first = index.replace(push(TaskId::new(), "aaaa", "FROM debian")).await;
    assert_eq!(labels(&first), ["image", "tool", "build"]);
    index.complete(&first, LATER);

    let second = index.replace(push(TaskId::new(), "bbbb", "FROM debian")).await;
    assert_eq!(labels(&second), ["build"]);
    let (before, now) = (first.label_to_task_id(), second.label_to_task_id());
    assert_eq!((now["image"], now["tool"]), (before["image"], before["tool"]));
    let build = &second.tasks().next().unwrap().definition;
    assert_eq!(build.payload["uses"], format!("{} {}", before["image"], before["tool"]));
    assert_eq!(build.dependencies.as_ref().unwrap()[1..], [before["tool"], before["image"]]);
}

#[tokio::test]
async fn what_is_made_with_something_new_is_made_anew() {
    let mut index = Index::default();
    let first = index.replace(push(TaskId::new(), "aaaa", "FROM debian")).await;
    index.complete(&first, LATER);
    let second = index.replace(push(TaskId::new(), "bbbb", "FROM fedora")).await;
    assert_eq!(labels(&second), ["image", "tool", "build"], "the tool is made in the image");
    index.complete(&second, LATER);
    let back = index.replace(push(TaskId::new(), "cccc", "FROM debian")).await;
    assert_eq!(back.label_to_task_id()["tool"], first.label_to_task_id()["tool"]);
}

#[tokio::test]
async fn an_earlier_task_has_to_outlive_those_that_need_it() {
    let mut index = Index::default();
    let first = index.replace(push(TaskId::new(), "aaaa", "FROM debian")).await;
    index.complete(&first, "2026-01-01T00:30:00.000Z");
    let second = index.replace(push(TaskId::new(), "bbbb", "FROM debian")).await;
    assert_eq!(labels(&second), ["image", "tool", "build"]);
}

#[tokio::test]
async fn a_second_decision_asks_and_says_the_same() {
    let (index, decision_task) = (Index::default(), TaskId::new());
    let one = index.replace(push(decision_task, "aaaa", "FROM debian")).await;
    let other = index.replace(push(decision_task, "aaaa", "FROM debian")).await;
    assert_eq!(one.to_json(), other.to_json());
    let asked = index.asked.lock().unwrap();
    assert_eq!(asked[..2], asked[2..]);
}

#[tokio::test]
async fn a_second_try_that_finds_more_finishes_the_first() {
    let (memory, decision_task) = (Memory::default(), TaskId::new());
    let decide = || push(decision_task, "aaaa", "FROM debian");
    let mut index = Index::default();
    let first = index.replace(decide()).await;
    first.submit(&memory.client(CREATED, None)).await.unwrap();
    let created = memory.tasks();

    // Its own tasks are completed by now: nothing changes.
    index.complete(&first, LATER);
    let second = index.replace(decide()).await;
    assert_eq!(second.to_json(), first.to_json());
    second.submit(&memory.client(CREATED, None)).await.unwrap();

    // Another push was faster.
    let other = Index::default().replace(push(TaskId::new(), "bbbb", "FROM debian")).await;
    for task in other.tasks() {
        memory.put(&task.task_id.to_string(), serde_json::to_value(&task.definition).unwrap());
    }
    index.complete(&other, LATER);
    let third = index.replace(decide()).await;
    assert_eq!(labels(&third), ["build"]);
    third.submit(&memory.client(CREATED, None)).await.unwrap();
    let now = memory.tasks();
    assert!(created.iter().all(|(id, task)| now[id] == *task), "what was there is untouched");
}

#[test]
fn images_and_tools_are_cached_by_their_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("image")).unwrap();
    std::fs::write(folder.path().join("image/Dockerfile"), "FROM debian").unwrap();
    let push = crate::parameters::shown();
    let definition = || push.definition("image", "Builds it.", taskcluster::time::hours(1), taskcluster::object! {});
    let image = taskcluster::graph::docker_image(&push, "acme", "ci", folder.path(), "image", definition()).unwrap();
    assert_eq!((image.label.as_str(), image.kind.as_str()), ("docker-image-ci", "docker-image"));
    assert_eq!(image.cached.unwrap().namespace, "acme.docker-image.ci");
    assert!(taskcluster::graph::Changes::from_git("image/Dockerfile\0").touch_any(&image.files));
    let paths = ["image/Dockerfile", "absent"];
    assert!(taskcluster::graph::toolchain(&push, "acme", "rust", folder.path(), &paths, definition()).is_err());
}
