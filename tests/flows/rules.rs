//! What the queue refuses is known before anything is sent.

use std::collections::BTreeSet;

use harness::soon;
use serde_json::{Value, json};
use taskcluster::graph::{Task, TaskGraph};
use taskcluster::queue::TaskDefinitionRequest;
use taskcluster::time::{days, minutes};
use taskcluster::{Priority, TaskId, TaskQueueId};
use taskcluster_fake::Fake;

type Change = fn(&mut TaskDefinitionRequest);

/// Each is refused, for one reason.
const BAD: &[(&str, Change)] = &[
    ("scheduler: odd", |task| task.scheduler_id = Some("a b".into())),
    ("scheduler: long", |task| task.scheduler_id = Some("s".repeat(39))),
    ("scheduler: empty", |task| task.scheduler_id = Some(String::new())),
    ("project: odd", |task| task.project_id = Some("a b".into())),
    ("project: long", |task| task.project_id = Some("p".repeat(501))),
    ("project: empty", |task| task.project_id = Some(String::new())),
    ("queue: none", |task| task.task_queue_id = None),
    ("queue: no worker can have that name", |task| task.task_queue_id = TaskQueueId::from_parts("test", "E2E").ok()),
    ("queue: ends in -", |task| task.task_queue_id = TaskQueueId::from_parts("test", "e2e-").ok()),
    ("queue: the other half differs", |task| pair(task, "test", "other")),
    ("queue: odd provisioner", |task| {
        task.task_queue_id = None;
        pair(task, "te st", "e2e");
    }),
    ("queue: odd worker type", |task| {
        task.task_queue_id = None;
        pair(task, "test", "2e2");
    }),
    ("queue: half a pair that is odd", |task| task.worker_type = Some("E2E".into())),
    ("queue: half a pair", |task| {
        task.task_queue_id = None;
        task.provisioner_id = Some("test".into());
    }),
    ("requires", |task| task.requires = Some("some-completed".into())),
    ("priority", |task| task.priority = Some(Priority::from("urgent"))),
    ("retries", |task| task.retries = Some(50)),
    ("deadline: before it is created", |task| task.deadline = task.created - minutes(1)),
    ("deadline: far off", |task| set_deadline(task, days(5) + minutes(16))),
    ("expires", |task| task.expires = Some(task.deadline - minutes(1))),
    ("routes: many", |task| task.routes = Some((0..65).map(|n| format!("route.{n}")).collect())),
    ("routes: twice", |task| task.routes = Some(vec!["a".into(), "b".into(), "a".into()])),
    ("routes: empty", |task| task.routes = Some(vec![String::new()])),
    ("routes: long", |task| task.routes = Some(vec!["r".repeat(250)])),
    ("routes: long in bytes", |task| task.routes = Some(vec!["ü".repeat(125)])),
    ("scopes: no ASCII", |task| task.scopes = Some(vec!["grüße".into()])),
    ("scopes: not printable", |task| task.scopes = Some(vec!["a\nb".into()])),
    ("scopes: two stars", |task| task.scopes = Some(vec!["queue:**".into()])),
    ("scopes: long together", |task| task.scopes = Some(vec!["s".repeat(1021); 129])),
    ("metadata: name", |task| task.metadata.name = "n".repeat(256)),
    ("metadata: description", |task| task.metadata.description = "d".repeat(32_769)),
    ("metadata: owner", |task| task.metadata.owner = "o".repeat(256)),
    ("metadata: source", |task| task.metadata.source = "ftp://example.com".into()),
    ("metadata: long source", |task| task.metadata.source = format!("https://{}", "s".repeat(4096))),
    ("tags", |task| task.tags = Some([("kind".to_owned(), "k".repeat(4097))].into())),
    ("payload: deep", |task| drop(task.payload.insert("deep".into(), deep(126)))),
    ("extra: deep", |task| task.extra = json!({"deep": deep(126)}).as_object().cloned()),
    ("payload: large", |task| drop(task.payload.insert("large".into(), "x".repeat(10 << 20).into()))),
];

/// Each just passes.
const GOOD: &[(&str, Change)] = &[
    ("plain", |_| {}),
    ("scheduler", |task| task.scheduler_id = Some("-".into())),
    ("project", |task| task.project_id = Some("p/._-".repeat(100))),
    ("queue: both", |task| pair(task, "test", "e2e")),
    ("queue: pair", |task| {
        task.task_queue_id = None;
        pair(task, "te-s_T", "e");
    }),
    ("queue: long", |task| task.task_queue_id = TaskQueueId::from_parts(&"p".repeat(38), &"w".repeat(38)).ok()),
    ("retries", |task| task.retries = Some(49)),
    ("deadline: now", |task| set_deadline(task, minutes(0))),
    ("deadline: far off", |task| set_deadline(task, days(5) + minutes(15))),
    ("expires", |task| task.expires = Some(task.deadline)),
    ("routes", |task| {
        let routes = (0..63).map(|n| format!("route.{n}")).chain([format!("ü{}", "r".repeat(247))]);
        task.routes = Some(routes.collect());
    }),
    ("scopes", |task| task.scopes = Some(vec!["queue:* ~".into(), String::new(), "*".into(), "*".into()])),
    ("scopes: together", |task| task.scopes = Some(vec!["s".repeat(1021); 127])),
    ("metadata: name", |task| task.metadata.name = "ü".repeat(255)),
    ("metadata: description", |task| task.metadata.description = "ü".repeat(32_768)),
    ("metadata: source", |task| task.metadata.source = "git@example.com:a/b".into()),
    ("metadata: nothing", |task| (task.metadata.name, task.metadata.owner) = (String::new(), String::new())),
    ("tags", |task| task.tags = Some([(String::new(), "ü".repeat(4096))].into())),
    ("payload: deep", |task| drop(task.payload.insert("deep".into(), deep(125)))),
    ("extra: deep", |task| task.extra = json!({"deep": deep(125)}).as_object().cloned()),
    ("payload: large", |task| drop(task.payload.insert("large".into(), "x".repeat((10 << 20) - 2000).into()))),
];

fn pair(task: &mut TaskDefinitionRequest, provisioner: &str, worker_type: &str) {
    (task.provisioner_id, task.worker_type) = (Some(provisioner.into()), Some(worker_type.into()));
}

fn set_deadline(task: &mut TaskDefinitionRequest, after: std::time::Duration) {
    task.deadline = task.created + after;
    task.expires = None;
}

/// So many lists within each other.
fn deep(levels: usize) -> Value {
    (0..levels).fold(Value::Null, |inner, _| json!([inner]))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_of_a_graph_and_the_queue_refuse_the_same_tasks() {
    let fake = soon(Fake::start()).await.unwrap();
    let tc = fake.handle();
    let mut refused = BTreeSet::new();
    // Of the scheduler that tasks have who name none.
    let mut graph = TaskGraph::new(TaskId::new()).with_scheduler_id("-");
    for (kind, cases) in [("bad", BAD), ("good", GOOD)] {
        for (name, change) in cases {
            let label = format!("{kind}: {name}");
            let mut definition = harness::task(fake.now());
            change(&mut definition);
            match soon(tc.queue().create_task(&TaskId::new(), &definition).into_future()).await {
                Ok(_) => {}
                Err(error) if error.status().is_some_and(|status| status.is_client_error()) => {
                    refused.insert(label.clone());
                }
                Err(error) => panic!("{label}: {}", taskcluster::chain(&error)),
            }
            graph.add(Task::new(label, definition));
        }
    }
    let error = graph.check().unwrap_err().to_string();
    let told: BTreeSet<String> =
        error.lines().map(|problem| problem.split('`').nth(1).unwrap_or(problem).to_owned()).collect();
    assert_eq!(told, refused, "{error}");
    let bad: BTreeSet<String> = BAD.iter().map(|(name, _)| format!("bad: {name}")).collect();
    assert_eq!(refused, bad);
    soon(fake.stop()).await.unwrap();
}
