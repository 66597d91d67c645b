//! Actions, from what the decision task offers to what a worker has done.

use futures_util::TryStreamExt;
use harness::{Backend, Deployment, Options, Tester, soon, until};
use serde_json::{Value, json};
use taskcluster::graph::actions::{ActionError, Offer, Rendered};
use taskcluster::queue::{TaskDefinitionAndStatus, TaskDefinitionRequest, TaskStatus};
use taskcluster::{TaskId, Taskcluster};
use taskcluster_native_worker::{Isolation, NativeWorker, Shutdown};
use tokio::task::JoinHandle;

const IN_TREE: &str = include_str!("in_tree.yml");
const QUEUE: &str = "test/actions";

/// A group whose decision task is over, and a worker that goes on.
struct Story {
    deployment: Deployment,
    root: Tester,
    group: TaskId,
    scopes: Vec<String>,
    shutdown: Shutdown,
    working: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Story {
    async fn begin() -> Self {
        let options = Options::on(Backend::Sqlite).with_claim_wait(std::time::Duration::from_secs(5));
        let deployment = soon(Deployment::start(options)).await.unwrap();
        let root = deployment.root();
        let folder = tempfile::tempdir().unwrap();
        let worker = NativeWorker::builder(deployment.root_url(), QUEUE.parse().unwrap())
            .credentials(root.caller().credentials().unwrap())
            .worker_group("e2e")
            .worker_id("actions")
            .work_dir(folder.path().join("work"))
            .isolation(Isolation::None)
            .build();
        let (worker, shutdown) = (soon(worker).await.unwrap(), Shutdown::new());
        let stop = shutdown.clone();
        let working = tokio::spawn(async move { worker.run(stop).await.map(drop).unwrap() });

        let decision = pushed();
        let (group, scopes) = (TaskId::new(), decision.scopes.clone().unwrap());
        soon(root.queue().create_task(&group, &decision).into_future()).await.unwrap();
        let story = Self { deployment, root, group, scopes, shutdown, working, _folder: folder };
        story.completed(&group).await;
        story
    }

    async fn end(self) {
        self.shutdown.now();
        soon(self.working).await.unwrap();
        self.deployment.stop().await;
    }

    /// Somebody with these scopes.
    fn somebody(&self, scopes: impl IntoIterator<Item = String>) -> Taskcluster {
        self.root.to_builder().authorized_scopes(scopes).build().unwrap()
    }

    /// A run of the task that is over; it must be green.
    async fn completed(&self, task_id: &TaskId) -> TaskStatus {
        let status = self.over(task_id).await;
        if status.state.as_str() != "completed" {
            panic!("{status:?}: {}", self.log(task_id).await);
        }
        status
    }

    async fn over(&self, task_id: &TaskId) -> TaskStatus {
        until(|| async {
            let status = self.root.status(task_id).await;
            ["completed", "failed", "exception"].contains(&status.state.as_str()).then_some(status)
        })
        .await
    }

    async fn log(&self, task_id: &TaskId) -> String {
        let log = self.root.artifacts().download_latest(task_id, "public/logs/live_backing.log").to_memory(1_000_000);
        String::from_utf8_lossy(&soon(log).await.unwrap_or_default()).into_owned()
    }

    async fn members(&self, name: &str) -> Vec<TaskDefinitionAndStatus> {
        let members = self.root.queue().list_task_group(&self.group).stream();
        let members: Vec<TaskDefinitionAndStatus> = soon(members.try_collect()).await.unwrap();
        members.into_iter().filter(|member| name.is_empty() || member.task.metadata.name == name).collect()
    }

    /// The one of this name that is none of these.
    async fn new_member(&self, name: &str, old: &[TaskId]) -> TaskDefinitionAndStatus {
        let mut new = self.members(name).await;
        new.retain(|member| !old.contains(&member.status.task_id));
        assert_eq!(new.len(), 1, "{new:?}");
        new.remove(0)
    }

    async fn file(&self, name: &str) -> Value {
        let file = self.root.artifacts().download_latest(&self.group, format!("public/{name}")).to_memory(1_000_000);
        serde_json::from_slice(&soon(file).await.unwrap()).unwrap()
    }
}

/// What a forge's service makes of the file for a push.
fn pushed() -> TaskDefinitionRequest {
    let document: Value = serde_yaml_ng::from_str(IN_TREE).unwrap();
    let event = json!({
        "program": env!("CARGO_BIN_EXE_e2e-act"), "after": "abc",
        "repository": {"clone_url": "https://example.com/tests"},
    });
    let context = json!({"tasks_for": "github-push", "event": event, "taskcluster_root_url": ""});
    let rendered = json_e::render(&document, &context).unwrap();
    serde_json::from_value(rendered["tasks"][0].clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_are_offered_triggered_and_carried_out() {
    let story = Story::begin().await;
    let ids = story.file("label-to-taskid.json").await;
    let id = |label: &str| ids[label].as_str().unwrap().parse::<TaskId>().unwrap();
    let (build, parked) = (id("build"), id("parked"));
    story.completed(&build).await;
    assert_eq!(story.file("full-task-graph.json").await.as_object().unwrap().len(), 3);
    assert_eq!(story.file("task-graph.json").await.as_object().unwrap().len(), 2);
    assert_eq!(story.file("target-tasks.json").await, json!(["build", "parked"]));

    // Somebody who may do what an action's task may, and one thing more, which it does not get.
    let user = story.somebody(story.scopes.iter().cloned().chain(["queue:seal-task-group:*".to_owned()]));
    let offer = soon(Offer::of_group(&user, &story.group)).await.unwrap();
    let names = |actions: Vec<&taskcluster::graph::actions::OfferedAction>| {
        actions.iter().map(|action| action.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(offer.actions(None)), ["cancel-all", "add-new-jobs"]);
    let task = soon(user.queue().task(&build).into_future()).await.unwrap();
    assert_eq!(names(offer.actions(Some(&task))), ["rerun", "retrigger", "create-interactive"]);
    let trigger = async |name: &str, task_id: Option<&TaskId>, input: Value| {
        let made = soon(offer.trigger(&user, name, task_id, input)).await.unwrap().unwrap();
        story.completed(&made).await;
        let task = soon(user.queue().task(&made).into_future()).await.unwrap();
        assert_eq!((&task.scopes, task.task_group_id), (&story.scopes, story.group), "{name}");
        made
    };

    let by = trigger("retrigger", Some(&build), Value::Null).await;
    let again = story.new_member("build", &[build]).await;
    assert_eq!((&again.task.payload, &again.task.scopes), (&task.payload, &task.scopes));
    assert!(again.task.dependencies.contains(&by), "{again:?}");
    story.completed(&again.status.task_id).await;

    trigger("rerun", Some(&build), json!({})).await;
    let status = story.completed(&build).await;
    assert_eq!((status.runs.len(), status.runs[1].reason_created.as_str()), (2, "rerun"));

    trigger("create-interactive", Some(&parked), Value::Null).await;
    let interactive = story.new_member("parked", &[parked]).await;
    assert_eq!(interactive.task.payload["features"]["interactive"], true);

    let by = trigger("add-new-jobs", None, json!({"labels": ["later"]})).await;
    let later = story.new_member("later", &[]).await;
    assert_eq!(later.task.dependencies, [by, build]);
    story.completed(&later.status.task_id).await;

    trigger("cancel-all", None, Value::Null).await;
    for task_id in [parked, interactive.status.task_id] {
        let status = story.root.status(&task_id).await;
        assert_eq!((status.state.as_str(), status.runs.len()), ("exception", 1), "{status:?}");
    }
    assert!(story.members("").await.iter().all(|member| member.status.runs.iter().all(|run| run.resolved.is_some())));
    story.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lacks_a_scope_or_enters_nonsense_changes_nothing() {
    let story = Story::begin().await;
    let before = story.members("").await.len();
    let build = story.members("build").await[0].status.task_id;

    for lacking in &story.scopes {
        // Whoever may not even read the group's files gets no offer.
        if lacking.starts_with("queue:get-") {
            continue;
        }
        let user = story.somebody(story.scopes.iter().filter(|scope| *scope != lacking).cloned());
        let offer = soon(Offer::of_group(&user, &story.group)).await.unwrap();
        let refused = soon(offer.trigger(&user, "rerun", Some(&build), Value::Null)).await.unwrap_err();
        assert!(refused.service_error().is_some_and(taskcluster::Error::is_forbidden), "{lacking}: {refused}");
    }

    let user = story.somebody(story.scopes.iter().cloned());
    let offer = soon(Offer::of_group(&user, &story.group)).await.unwrap();
    let error = offer.trigger(&user, "add-new-jobs", None, json!({"labels": []})).await.unwrap_err();
    assert!(matches!(error, ActionError::Input { .. }), "{error}");
    assert_eq!(story.members("").await.len(), before);

    // Nobody has to ask politely: the program checks the input itself.
    let Rendered::Task { task_id, mut definition } =
        offer.render("add-new-jobs", None, &json!({"labels": ["later"]})).unwrap()
    else {
        panic!("it is no hook")
    };
    definition["payload"]["env"]["ACTION_INPUT"] = json!("{\"labels\": [\"later\", 1]}");
    let definition: TaskDefinitionRequest = serde_json::from_value(Value::Object(definition)).unwrap();
    soon(user.queue().create_task(&task_id, &definition).into_future()).await.unwrap();
    assert_eq!(story.over(&task_id).await.state.as_str(), "failed");
    let log = until(|| async { Some(story.log(&task_id).await).filter(|log| !log.is_empty()) }).await;
    assert!(log.contains("the input of the action `add-new-jobs` is not valid: /labels/1: "), "{log}");
    assert!(story.members("later").await.is_empty());
    story.end().await;
}
