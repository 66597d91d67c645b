//! What workers ask.

use taskcluster::provisioner::{CreateSecretRequest, WorkerCredentials};
use taskcluster::queue::ClaimWorkRequest;
use taskcluster::{Certificate, Credentials, object};

use super::*;

fn credentials(sent: &WorkerCredentials) -> Credentials {
    let certificate = Certificate::from_json(sent.certificate.expose()).unwrap();
    Credentials::new(&sent.client_id, sent.access_token.expose()).with_certificate(certificate)
}

/// Claims in the name of a worker. How many tasks it got.
async fn claim(by: &Tester, worker_type: &str, worker: &str) -> Result<usize, Error> {
    let request = ClaimWorkRequest::new("shelf", worker, 1);
    let queue = format!("{PROVISIONER_ID}/{worker_type}");
    Ok(soon(by.queue().claim_work(&queue, &request).into_future()).await?.tasks.len())
}

#[tokio::test]
async fn a_token_becomes_credentials_for_its_own_queue_and_nothing_else() {
    for backend in Backend::available() {
        let setting = Setting::on(backend).await;
        let special = definition(2)
            .with_scopes([SCOPE])
            .with_user_data(object! { "color": "blue" })
            .with_secrets(object! { "password": "secret" });
        setting.define("w", &special).await;
        setting.define("x", &definition(2)).await;
        setting.tasks("w", 2).await;
        setting.tasks("x", 1).await;
        setting.advance(minutes(1)).await;
        let of_type = |name: &str| -> Vec<(String, String)> {
            let all = setting.shelf.all();
            let own = all.iter().filter(|(_, told)| told["workerType"] == name);
            own.map(|(id, told)| (id.clone(), told["securityToken"].as_str().unwrap().to_owned())).collect()
        };
        let (id, token) = of_type("w")[0].clone();
        let told = setting.shelf.all()[&id].clone();
        assert_eq!(told["rootUrl"], setting.deployment.root_url());
        assert_eq!((&told["provisionerId"], &told["workerId"]), (&PROVISIONER_ID.into(), &id.as_str().into()));
        assert_eq!(
            (&told["workerGroup"], &told["capacity"], &told["version"]),
            (&"shelf".into(), &1.into(), &1.into())
        );
        assert_eq!(told["data"], serde_json::json!({"color": "blue"}));
        assert!(!serde_json::to_string(&told).unwrap().contains("password"), "no secret is in the image");

        let anonymous = setting.deployment.anonymous();
        let secret = soon(anonymous.provisioner().get_secret(&token).into_future()).await.unwrap();
        assert_eq!(serde_json::to_value(&secret.data).unwrap(), serde_json::json!({"password": "secret"}));
        let role = format!("assume:worker-type:{PROVISIONER_ID}/w");
        assert!(secret.scopes.contains(&role) && secret.scopes.contains(&SCOPE.to_owned()));
        soon(anonymous.provisioner().instance_started(&id, &token).into_future()).await.unwrap();
        let state = soon(setting.api().state("w").send()).await.unwrap();
        assert_eq!(state.summary.running_capacity, 1);
        let credentials = credentials(&secret.credentials);
        let expiry = credentials.certificate.as_ref().unwrap().expiry;
        assert_eq!(expiry, (setting.root.now() + hours(96)).as_millis());

        let worker = setting.deployment.with(credentials);
        assert_eq!(claim(&worker, "w", &id).await.unwrap(), 1);
        let other = &of_type("w")[1].0;
        assert!(claim(&worker, "w", other).await.unwrap_err().is_forbidden(), "in the name of another");
        assert!(claim(&worker, "x", &id).await.unwrap_err().is_forbidden(), "for another queue");
        let create = soon(worker.queue().create_task(&TaskId::new(), &task(worker.now())).into_future()).await;
        assert!(create.unwrap_err().is_forbidden());
        assert!(soon(worker.provisioner().worker_type("w").into_future()).await.unwrap_err().is_forbidden());
        let hint = async |id: &str| soon(worker.provisioner().should_terminate("w", id).into_future()).await;
        assert!(!hint(&id).await.unwrap().terminate);
        assert!(hint(other).await.unwrap_err().is_forbidden());
        let x = &of_type("x")[0].0;
        let of_x = soon(worker.provisioner().should_terminate("x", x).into_future()).await;
        assert!(of_x.unwrap_err().is_forbidden());

        // Nobody finds anything under the token any more; the credentials go on.
        soon(anonymous.provisioner().remove_secret(&token).into_future()).await.unwrap();
        refused(soon(anonymous.provisioner().get_secret(&token).into_future()).await, 404, "nothing under");
        refused(soon(anonymous.provisioner().instance_started(&id, &token).into_future()).await, 404, "nothing under");
        assert_eq!(claim(&worker, "w", &id).await.unwrap(), 1);
        setting.advance(hours(95)).await;
        claim(&worker, "w", &id).await.unwrap();
        setting.advance(hours(2)).await;
        assert_eq!(claim(&worker, "w", &id).await.unwrap_err().status().unwrap().as_u16(), 401);
        setting.deployment.stop().await;
    }
}

#[tokio::test]
async fn a_worker_that_is_idle_and_not_needed_is_told_to_go() {
    for backend in Backend::available() {
        let setting = Setting::on(backend).await;
        setting.define("w", &definition(4)).await;
        setting.tasks("w", 2).await;
        setting.advance(minutes(1)).await;
        let mut workers = Vec::new();
        for (id, token) in setting.shelf.tokens() {
            let anonymous = setting.deployment.anonymous();
            let secret = soon(anonymous.provisioner().get_secret(&token).into_future()).await.unwrap();
            soon(anonymous.provisioner().instance_started(&id, &token).into_future()).await.unwrap();
            let worker = setting.deployment.with(credentials(&secret.credentials));
            let request = ClaimWorkRequest::new("shelf", &*id, 1);
            let claims = soon(worker.queue().claim_work(&format!("{PROVISIONER_ID}/w"), &request).into_future()).await;
            let claim = claims.unwrap().tasks.pop().unwrap();
            workers.push((id, worker, claim));
        }
        setting.advance(minutes(1)).await;
        let asks = async |worker: &Tester, id: &str, idle: bool| {
            let hint = worker.provisioner().should_terminate("w", id).idle(idle);
            soon(hint.into_future()).await.unwrap()
        };
        let (id, worker, claim) = &workers[0];
        let kept = asks(worker, id, true).await;
        assert!(!kept.terminate && kept.reason.contains("capacity of 2"), "{}", kept.reason);
        let root = setting.root.queue();
        soon(root.report_completed(&claim.status.task_id, claim.run_id).into_future()).await.unwrap();
        setting.advance(minutes(1)).await;
        assert!(!asks(worker, id, false).await.terminate, "it has something to do, as it says");
        let told = asks(worker, id, true).await;
        assert!(told.terminate, "{}", told.reason);
        assert!(asks(worker, id, false).await.terminate, "that is final");
        let (other_id, other, _) = &workers[1];
        assert!(!asks(other, other_id, true).await.terminate, "one is needed");
        let bad = soon(worker.provisioner().should_terminate("w", id).idle("maybe").into_future()).await;
        assert_eq!(refusal(&bad.unwrap_err()).0, 400);
        // It ends.
        setting.shelf.all().remove(id);
        setting.advance(minutes(2)).await;
        let state = soon(setting.api().state("w").send()).await.unwrap();
        let left: Vec<_> = state.instances.iter().map(|instance| &instance.instance_id).collect();
        assert_eq!(left, [other_id]);
        setting.deployment.stop().await;
    }
}

#[tokio::test]
async fn who_is_to_end_finds_nothing_under_its_token() {
    for backend in Backend::available() {
        let setting = Setting::on(backend).await;
        setting.define("w", &definition(4)).await;
        setting.tasks("w", 2).await;
        setting.advance(minutes(1)).await;
        let tokens = setting.shelf.tokens();
        let stopped = soon(setting.api().terminate_all_instances_of_worker_type("w").into_future()).await.unwrap();
        assert_eq!(stopped.instances, 2);
        for (id, token) in &tokens {
            refused(soon(setting.api().get_secret(token).into_future()).await, 404, "nothing under");
            refused(soon(setting.api().instance_started(id, token).into_future()).await, 404, "nothing under");
        }
        let gone =
            || async { setting.shelf.all().keys().all(|id| tokens.iter().all(|(old, _)| old != id)).then_some(()) };
        setting.advance(minutes(1)).await;
        until(gone).await;
        assert_eq!(setting.shelf.all().len(), 2, "others came in their place: the definition stays");
        setting.deployment.stop().await;
    }
}

#[tokio::test]
async fn a_secret_is_stored_for_a_worker_that_starts_in_another_way() {
    for backend in Backend::available() {
        let setting = Setting::on(backend).await;
        let api = setting.api();
        let token = TaskId::new();
        let secret = |expires| {
            let secrets: taskcluster::SecretObject = object! { "a": 1 }.into();
            CreateSecretRequest::new("w", secrets, [SCOPE.to_owned()], token, expires)
        };
        let put = async |token: &str, secret: &CreateSecretRequest| {
            soon(api.create_secret(token, secret).into_future()).await
        };
        let fine = secret(setting.root.now() + hours(1));
        refused(put(&TaskId::new().to_string(), &fine).await, 400, "`token` is not the one in the path");
        refused(put(&token.to_string(), &secret(setting.root.now() + hours(97))).await, 400, "four days");
        for _ in 0..2 {
            put(&token.to_string(), &fine).await.unwrap();
        }
        let mut generous = fine.clone();
        generous.scopes = vec!["more:than:it:has".to_owned()];
        refused(put(&token.to_string(), &generous).await, 400, "cannot give scopes that it has not");
        let mut other = fine.clone();
        other.scopes = Vec::new();
        refused(put(&token.to_string(), &other).await, 409, "something else");
        let found = soon(setting.deployment.anonymous().provisioner().get_secret(&token.to_string()).into_future())
            .await
            .unwrap();
        let role = format!("assume:worker-type:{PROVISIONER_ID}/w");
        assert_eq!(found.scopes, [role.as_str(), SCOPE]);
        soon(api.instance_started("whatever", &token.to_string()).into_future()).await.unwrap();
        let credentials = credentials(&found.credentials);
        assert_eq!(credentials.certificate.as_ref().unwrap().scopes, found.scopes);
        // Auth knows them, and they are good for nothing else.
        let worker = setting.deployment.with(credentials);
        assert!(claim(&worker, "w", "any").await.unwrap_err().is_forbidden());
        setting.advance(hours(1)).await;
        refused(soon(api.get_secret(&token.to_string()).into_future()).await, 404, "nothing under");
        setting.deployment.stop().await;
    }
}
