//! Who may do what.

use taskcluster::object;
use taskcluster::provisioner::{CreateSecretRequest, RollBackRequest, RollOutRequest};

use super::*;

/// Each call, with what happens: whether it was let through, whatever came of it.
async fn let_through(by: &Tester) -> Vec<&'static str> {
    let api = by.provisioner();
    let scoped = definition(1).with_scopes([SCOPE]);
    let token = TaskId::new();
    let secrets: taskcluster::SecretObject = object! {}.into();
    let secret = CreateSecretRequest::new("w", secrets, [SCOPE.to_owned()], token, by.now() + hours(1));
    let mut passed = Vec::new();
    macro_rules! call {
        ($name:literal, $call:expr) => {
            match soon($call).await {
                Err(error) if error.is_forbidden() => {}
                Err(error) if [400, 404, 409].contains(&error.status().unwrap().as_u16()) => passed.push($name),
                Err(error) => panic!("{}: {error}", $name),
                Ok(_) => passed.push($name),
            }
        };
    }
    call!("list", api.list_worker_types().send());
    call!("summaries", api.list_worker_type_summaries().send());
    call!("create", api.create_worker_type("w", &scoped).into_future());
    call!("update", api.update_worker_type("w", &scoped).into_future());
    call!("roll-out", api.roll_out("w", &RollOutRequest::new(1.0)).into_future());
    call!("roll-back", api.roll_back("w", &RollBackRequest::new(9)).into_future());
    call!("last-modified", api.worker_type_last_modified("w").into_future());
    call!("worker-type", api.worker_type("w").into_future());
    call!("launch-specs", api.get_launch_specs("w").send());
    call!("state", api.state("w").send());
    call!("explain", api.explain("w").into_future());
    call!("fleet", api.fleet("w").into_future());
    call!("terminate", api.terminate_all_instances_of_worker_type("w").into_future());
    call!("create-secret", api.create_secret(&token.to_string(), &secret).into_future());
    call!("get-secret", api.get_secret(&token.to_string()).into_future());
    call!("started", api.instance_started("i", &token.to_string()).into_future());
    call!("should-terminate", api.should_terminate("w", "i").into_future());
    call!("remove-secret", api.remove_secret(&token.to_string()).into_future());
    call!("backend", api.backend_status().into_future());
    call!("metrics", api.metrics().raw());
    call!("remove", api.remove_worker_type("w").into_future());
    passed
}

#[tokio::test]
async fn each_call_needs_its_scopes() {
    const OPEN: [&str; 7] = ["list", "summaries", "last-modified", "get-secret", "started", "remove-secret", "backend"];
    const LOOK: [&str; 5] = ["worker-type", "launch-specs", "state", "explain", "fleet"];
    let setting = Setting::on(Backend::Sqlite).await;
    let role = format!("assume:worker-type:{PROVISIONER_ID}/w");
    let manage = "provisioner:manage-worker-type:w";
    let manages = [&LOOK[..], &["roll-out", "roll-back", "remove"]].concat();
    let cases: Vec<(Vec<&str>, Vec<&str>)> = vec![
        (vec![], vec![]),
        (vec!["provisioner:view-worker-type:w"], LOOK.to_vec()),
        (vec!["provisioner:view-worker-type:x", "provisioner:manage-worker-type:x", SCOPE], vec![]),
        (vec![manage], manages.clone()),
        (vec![manage, SCOPE], [&manages[..], &["create", "update"]].concat()),
        (vec!["provisioner:terminate-all-worker-type:w"], vec!["terminate"]),
        (vec!["provisioner:create-secret", &role], vec![]),
        // The worker would get the scopes of its type's role.
        (vec!["provisioner:create-secret", SCOPE], vec![]),
        (vec!["provisioner:create-secret", SCOPE, &role], vec!["create-secret"]),
        (vec!["provisioner:should-terminate:w/i"], vec!["should-terminate"]),
        (vec!["provisioner:should-terminate:w/j", "provisioner:should-terminate:x/i"], vec![]),
        (vec!["provisioner:metrics"], vec!["metrics"]),
    ];
    for (scopes, more) in cases {
        let mut expected = [&OPEN[..], &more].concat();
        let mut passed = let_through(&setting.with(&scopes)).await;
        expected.sort_unstable();
        passed.sort_unstable();
        assert_eq!(passed, expected, "{scopes:?}");
    }
    let mut passed = let_through(&setting.deployment.anonymous()).await;
    let mut open = OPEN.to_vec();
    open.sort_unstable();
    passed.sort_unstable();
    assert_eq!(passed, open, "of somebody without credentials");
    setting.deployment.stop().await;
}
