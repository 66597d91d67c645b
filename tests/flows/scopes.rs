//! What a call is said to ask for before it is made is what the services ask for, no more and no less.

use harness::{Backend, Deployment, Options, soon, task};
use serde_json::{Value, json};
use taskcluster::queue::{ClaimWorkRequest, TaskClaimRequest, TaskIdsRequest, TaskPriorityRequest};
use taskcluster::request::Call;
use taskcluster::time::{hours, minutes};
use taskcluster::{Credentials, Error, Needs, Params, Priority, ScopeSet, TaskId, Taskcluster};

/// A deployment, and someone there who may do everything.
struct Scene {
    deployment: Deployment,
    root: Credentials,
    faults: Vec<String>,
}

impl Scene {
    async fn start() -> Self {
        let deployment = Deployment::start(Options::on(Backend::available().remove(0))).await.unwrap();
        let root = deployment.root().queue().caller().credentials().unwrap();
        Self { deployment, root, faults: Vec::new() }
    }

    fn caller(&self, credentials: Credentials) -> Taskcluster {
        self.deployment.with(credentials).queue().caller().clone().into()
    }

    /// Makes a call with no scopes, and then with those that it is said to need.
    async fn holds<C, O>(&mut self, known: &Value, call: impl Fn(&Taskcluster) -> C)
    where
        C: Call + IntoFuture<Output = Result<O, Error>>,
    {
        let without = self.caller(self.root.for_calls([], minutes(15)).unwrap());
        let operation = call(&without).outline().operation;
        let needs = call(&without).needs_with(Params::of(known)).unwrap();
        let refused = soon(call(&without).into_future()).await;
        let missing = refused.err().and_then(|error| error.api()?.missing_scopes.clone());
        let sorted = |scopes: Vec<&str>| {
            let mut scopes: Vec<String> = scopes.into_iter().map(str::to_owned).collect();
            scopes.sort();
            scopes
        };
        let expected = needs.remainder(&ScopeSet::new()).map(|needs| sorted(needs.scopes()));
        let missing = missing.map(|missing| sorted(missing.scopes()));
        if missing != expected {
            self.faults.push(format!("{operation}: the service asks for {missing:?}, not {expected:?}"));
        }
        let with = self.caller(self.root.for_calls([needs], minutes(15)).unwrap());
        if let Err(error) = soon(call(&with).into_future()).await
            && (error.is_forbidden() || error.is_unauthorized())
        {
            self.faults.push(format!("{operation}: {error}"));
        }
    }
}

#[tokio::test]
async fn services_ask_for_what_the_call_said() {
    let mut scene = Scene::start().await;
    let root = scene.deployment.root();
    let now = root.now();
    let nothing = json!({});

    let task_id = TaskId::new();
    let definition = task(now)
        .with_task_group_id(task_id)
        .with_scheduler_id("some-scheduler")
        .with_project_id("some-project")
        .with_routes(["some.route".to_owned()])
        .with_scopes(["some:scope".to_owned(), "other:*".to_owned()])
        .with_priority(Priority::Medium);
    scene.holds(&nothing, |tc| tc.queue().create_task(&task_id, &definition)).await;
    let status = serde_json::to_value(root.status(&task_id).await).unwrap();

    let plain = task(now);
    scene.holds(&nothing, |tc| tc.queue().create_task(&TaskId::new(), &plain)).await;
    scene.holds(&nothing, |tc| tc.queue().task(&task_id)).await;
    scene.holds(&nothing, |tc| tc.queue().status(&task_id)).await;
    let ids = TaskIdsRequest::new().with_task_ids([task_id]);
    scene.holds(&nothing, |tc| tc.queue().statuses(&ids)).await;
    scene.holds(&status, |tc| tc.queue().schedule_task(&task_id)).await;
    let claim = TaskClaimRequest::new("group", "worker");
    #[allow(deprecated)]
    let claim = |tc: &Taskcluster| tc.queue().claim_task(&task_id, 0, &claim);
    scene.holds(&status, claim).await;
    let work = ClaimWorkRequest::new("group", "worker", 1);
    scene.holds(&nothing, |tc| tc.queue().claim_work("some/where", &work)).await;
    scene
        .holds(&status, |tc| tc.queue().change_task_priority(&task_id, &TaskPriorityRequest::new(Priority::High)))
        .await;
    scene.holds(&status, |tc| tc.queue().seal_task_group(&task_id)).await;
    scene.holds(&status, |tc| tc.queue().cancel_task(&task_id)).await;
    scene.holds(&status, |tc| tc.queue().rerun_task(&task_id)).await;
    scene.holds(&nothing, |tc| tc.queue().get_latest_artifact(&task_id, "private/log")).await;

    let client = serde_json::from_value(json!({
        "description": "", "expires": now + hours(1), "scopes": ["some:scope", "other:*"],
    }));
    let client = client.unwrap();
    scene.holds(&nothing, |tc| tc.auth().create_client("some/client", &client)).await;
    scene.holds(&nothing, |tc| tc.auth().reset_access_token("some/client")).await;
    let role = serde_json::from_value(json!({ "description": "", "scopes": ["some:scope"] })).unwrap();
    scene.holds(&nothing, |tc| tc.auth().create_role("some-role", &role)).await;
    for level in ["read-only", "read-write"] {
        scene.holds(&nothing, |tc| tc.auth().aws_s3_credentials(level, "bucket", "some/prefix")).await;
    }
    let token =
        serde_json::from_value(json!({ "repositories": ["Some"], "permissions": { "actions": "read" } })).unwrap();
    scene.holds(&nothing, |tc| tc.auth().github_repo_token("app", "owner", &token)).await;

    assert!(scene.faults.is_empty(), "{}", scene.faults.join("\n"));
    scene.deployment.stop().await;
}
