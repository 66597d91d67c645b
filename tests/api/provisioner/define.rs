//! Defining worker types.

use taskcluster::events::{Binding, Bus as _};
use taskcluster::object;
use taskcluster::provisioner::events;
use taskcluster::provisioner::{FixedProvider, FixedWorker, RollBackRequest, RollOutRequest};

use super::*;

#[tokio::test]
async fn a_worker_type_is_defined_changed_and_removed() {
    for backend in Backend::available() {
        let setting = Setting::on(backend).await;
        let api = setting.api();
        let exchange = |name: &str| format!("exchange/taskcluster-provisioner/v1/worker-type-{name}");
        let own = events::worker_type_created().worker_type("w").to_string();
        let bindings = ["created", "updated", "removed"].map(|name| Binding::new(exchange(name), own.clone()));
        let mut heard = setting.deployment.bus().subscribe(bindings.to_vec()).await.unwrap();

        refused(soon(api.worker_type("w").into_future()).await, 404, "no such worker type");
        let created = soon(api.create_worker_type("w", &definition(5)).into_future()).await.unwrap();
        assert_eq!((created.version, created.max_capacity, created.min_capacity), (1, 5, 0));
        assert_eq!(
            (&*created.owner, created.last_modified, created.rollout),
            ("me@example.com", setting.root.now(), None)
        );
        let again = soon(api.create_worker_type("w", &definition(5)).into_future()).await.unwrap();
        assert_eq!(again.version, 1);
        refused(soon(api.create_worker_type("w", &definition(6)).into_future()).await, 409, "another definition");
        setting.define("other", &definition(1)).await;

        setting.advance(hours(1)).await;
        let other = definition(6).with_user_data(object! { "color": "red" });
        let updated = soon(api.update_worker_type("w", &other).share(0.25).into_future()).await.unwrap();
        let rollout = updated.rollout.unwrap();
        assert_eq!((updated.version, rollout.share, rollout.settled_version), (2, 0.25, 1));
        let modified = soon(api.worker_type_last_modified("w").into_future()).await.unwrap();
        assert_eq!((modified.last_modified, modified.version), (setting.root.now(), 2));
        for share in ["1.5", "-1", "half", "NaN"] {
            let answer = soon(api.update_worker_type("w", &other).share(share).into_future()).await;
            assert_eq!(refusal(&answer.unwrap_err()).0, 400, "{share}");
        }
        let rolled = soon(api.roll_out("w", &RollOutRequest::new(0.5)).into_future()).await.unwrap();
        assert_eq!(rolled.rollout.unwrap().share, 0.5);
        for _ in 0..2 {
            let back = soon(api.roll_back("w", &RollBackRequest::new(2)).into_future()).await.unwrap();
            assert_eq!((back.version, back.max_capacity, back.rollout), (1, 5, None));
        }
        refused(
            soon(api.roll_back("w", &RollBackRequest::new(1)).into_future()).await,
            409,
            "no version to go back to",
        );
        refused(soon(api.roll_out("w", &RollOutRequest::new(0.5)).into_future()).await, 409, "rolled out");
        assert_eq!(soon(api.worker_type("w").into_future()).await.unwrap().version, 1);

        for _ in 0..2 {
            soon(api.remove_worker_type("w").into_future()).await.unwrap();
        }
        for (name, key) in [("created", 2), ("updated", 3), ("removed", 1)] {
            for _ in 0..key {
                let message = soon(heard.next()).await.unwrap().unwrap();
                assert_eq!((message.exchange, &*message.routing_key), (exchange(name), "primary.w"));
                let body: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
                assert_eq!(body, serde_json::json!({"version": 1, "workerType": "w"}));
            }
        }
        setting.deployment.stop().await;
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    const NONE: &str = "no such worker type";
    let setting = Setting::on(Backend::Sqlite).await;
    let api = setting.api();
    refused(soon(api.worker_type("w").into_future()).await, 404, NONE);
    refused(soon(api.worker_type_last_modified("w").into_future()).await, 404, NONE);
    refused(soon(api.update_worker_type("w", &definition(1)).into_future()).await, 404, NONE);
    refused(soon(api.roll_out("w", &RollOutRequest::new(1.0)).into_future()).await, 404, NONE);
    refused(soon(api.roll_back("w", &RollBackRequest::new(1)).into_future()).await, 404, NONE);
    refused(soon(api.get_launch_specs("w").send()).await, 404, NONE);
    refused(soon(api.state("w").send()).await, 404, NONE);
    refused(soon(api.explain("w").into_future()).await, 404, NONE);
    refused(soon(api.fleet("w").into_future()).await, 404, NONE);
    refused(soon(api.terminate_all_instances_of_worker_type("w").into_future()).await, 404, NONE);
    refused(soon(api.should_terminate("w", "i").into_future()).await, 404, "no such instance");
    let token = TaskId::new().to_string();
    refused(soon(api.get_secret(&token).into_future()).await, 404, "nothing under this token");
    refused(soon(api.instance_started("i", &token).into_future()).await, 404, "nothing under this token");
    soon(api.remove_secret(&token).into_future()).await.unwrap();
    soon(api.remove_worker_type("w").into_future()).await.unwrap();
    setting.deployment.stop().await;
}

#[tokio::test]
async fn all_that_is_wrong_with_a_definition_is_told_and_nothing_is_stored() {
    let setting = Setting::on(Backend::Sqlite).await;
    let api = setting.api();
    let faulty =
        CreateWorkerTypeRequest::new("", "me", 1, 0.0, LocalProcessProvider::new(["fine", "no room", "nowhere"]));
    let error = soon(api.create_worker_type("w", &faulty).into_future()).await.unwrap_err();
    assert_eq!(refusal(&error), (400, "InputError".to_owned()));
    let body: serde_json::Value = serde_json::from_slice(&error.api().unwrap().body).unwrap();
    let reasons = ["shelf no room: there is no no room", "shelf nowhere: there is no nowhere"];
    assert_eq!(body["error"]["reasons"], serde_json::json!(reasons));
    assert!(reasons.iter().all(|reason| error.to_string().contains(reason)), "{error}");
    let upside_down = definition(1).with_min_capacity(2);
    refused(soon(api.create_worker_type("w", &upside_down).into_future()).await, 400, "minCapacity");
    let docker = CreateWorkerTypeRequest::new("", "me", 1, 0.0, taskcluster::provisioner::DockerProvider::new("image"));
    refused(soon(api.create_worker_type("w", &docker).into_future()).await, 400, "no provider \"docker\"");
    let generous = definition(1).with_scopes(["more:than:it:has"]);
    refused(
        soon(api.create_worker_type("w", &generous).into_future()).await,
        400,
        "cannot give scopes that it has not",
    );
    let named = soon(api.create_worker_type("No Name", &definition(1)).into_future()).await;
    assert_eq!(refusal(&named.unwrap_err()).0, 400);
    refused(soon(api.worker_type("w").into_future()).await, 404, "");
    // The same holds for a change.
    setting.define("w", &definition(1)).await;
    refused(soon(api.update_worker_type("w", &faulty).into_future()).await, 400, "there is no nowhere");
    assert_eq!(soon(api.worker_type("w").into_future()).await.unwrap().version, 1);
    setting.deployment.stop().await;
}

#[tokio::test]
async fn lists_come_in_pages() {
    for backend in Backend::available() {
        let setting = Setting::on(backend).await;
        let api = setting.api();
        let names = ["a", "b", "c"];
        for name in names {
            setting.define(name, &definition(3)).await;
        }
        for limit in [0, 1, 2, 1000] {
            let mut found = Vec::new();
            let mut token: Option<String> = None;
            loop {
                let request = api.list_worker_types().limit(limit);
                let request = match &token {
                    Some(token) => request.continuation_token(token),
                    None => request,
                };
                let page = match soon(request.send()).await {
                    Ok(page) => page,
                    // A limit of nothing may be refused, and must not hide anything.
                    Err(error) if limit == 0 => {
                        assert_eq!(refusal(&error).0, 400);
                        found = names.map(str::to_owned).to_vec();
                        break;
                    }
                    Err(error) => panic!("{error}"),
                };
                found.extend(page.worker_types);
                token = page.continuation_token;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(found, names, "limit {limit}");
        }
        setting.tasks("b", 3).await;
        setting.advance(minutes(1)).await;
        let summaries = soon(api.list_worker_type_summaries().limit(2).all()).await.unwrap();
        let requested: Vec<_> = summaries
            .iter()
            .map(|s| (&*s.worker_type, s.max_capacity, s.requested_capacity + s.pending_capacity))
            .collect();
        assert_eq!(requested, [("a", 3, 0), ("b", 3, 3), ("c", 3, 0)]);
        let state = soon(api.state("b").limit(1).all()).await.unwrap();
        let mut ids: Vec<String> = state.iter().map(|instance| instance.instance_id.clone()).collect();
        ids.sort();
        let there: Vec<String> = setting.shelf.all().keys().cloned().collect();
        assert_eq!(ids, there);
        let specified = CreateWorkerTypeRequest::new("", "me", 1, 0.0, LocalProcessProvider::new(["x", "y", "z"]));
        setting.define("d", &specified).await;
        let specs = soon(api.get_launch_specs("d").limit(2).all()).await.unwrap();
        let types: Vec<_> = specs.iter().map(|spec| spec.instance_type.clone().unwrap()).collect();
        assert_eq!(types, ["x", "y", "z"]);
        let bad = soon(api.list_worker_types().continuation_token("nonsense").send()).await;
        assert_eq!(refusal(&bad.unwrap_err()).0, 400);
        setting.deployment.stop().await;
    }
}

#[tokio::test]
async fn fixed_workers_are_only_looked_at() {
    let setting = Setting::on(Backend::Sqlite).await;
    let api = setting.api();
    let workers = ["one", "two"].map(|id| FixedWorker::new("rack", id, 2));
    let fixed = CreateWorkerTypeRequest::new("", "me", 4, 0.0, FixedProvider::new(workers));
    setting.define("metal", &fixed).await;
    setting.tasks("metal", 1).await;
    let request = taskcluster::queue::ClaimWorkRequest::new("rack", "one", 1);
    let queue = format!("{PROVISIONER_ID}/metal");
    assert_eq!(soon(setting.root.queue().claim_work(&queue, &request).into_future()).await.unwrap().tasks.len(), 1);
    setting.advance(minutes(1)).await;
    let state = soon(api.state("metal").send()).await.unwrap();
    let states: Vec<_> = state.instances.iter().map(|i| (&*i.instance_id, i.state.as_str())).collect();
    assert_eq!(states, [("one", "running"), ("two", "requested")]);
    assert_eq!((state.summary.running_capacity, state.summary.requested_capacity), (2, 2));
    let why = soon(api.explain("metal").into_future()).await.unwrap().lines.join("\n");
    assert!(why.contains("rack/two: nothing was ever heard of it"), "{why}");
    setting.deployment.stop().await;
}
