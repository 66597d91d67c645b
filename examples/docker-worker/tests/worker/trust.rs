//! What is signed for of a container: the image that it was made of, and the artifact that the image was.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use taskcluster_core::ids::TaskId;
use taskcluster_worker::plugins::{CHAIN_OF_TRUST, ChainOfTrust, SigningKey};
use taskcluster_worker::testing::task_with_payload;

use crate::bench::{Bench, TIMEOUT, program};
use crate::docker;
use crate::images::{gzip, task_image};

const PATH: &str = "public/image.tar";

/// Run a task; gives what was signed.
async fn signed(bench: &Bench, payload: Value) -> Value {
    let key = bench.dir.path().join(TaskId::new().to_string());
    let chain = ChainOfTrust::new(Some(SigningKey::create(&key).unwrap())).with_environment("region", "desk");
    let task_id = bench.add(payload);
    bench.run_as(1, 1, |_| {}, |worker| worker.chain_of_trust = chain).await;
    assert_eq!(bench.queue.state(&task_id), "completed", "{}", bench.log(&task_id));
    serde_json::from_str(&bench.queue.text(&task_id, CHAIN_OF_TRUST)).unwrap()
}

#[tokio::test]
async fn an_image_and_its_artifact_are_named_by_their_hashes() {
    let Some(bench) = Bench::new().await else { return };
    let tag = format!("taskcluster-test-signed:{}", docker::label());
    let archive = docker::archive(&bench.there, &tag);
    // The same image as two artifacts of different bytes, one of them stored compressed.
    let more = [&archive[..], &[0; 512]].concat();
    let empty = json!({});
    let built = [(); 2]
        .map(|()| bench.queue.add_running_task(task_with_payload(empty.as_object().unwrap()), "others", "another"));
    bench.queue.add_stored_artifact(&built[0], PATH, &gzip(&archive), "gzip");
    bench.queue.add_stored_artifact(&built[1], PATH, &more, "identity");
    let hash = |content: &[u8]| {
        let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        json!(format!("sha256:{hex}"))
    };
    let payload = |image: Value| json!({"image": image, "command": ["/bin/sh", "-c", "echo signed"], "features": {"chainOfTrust": true}});
    let mut images = Vec::new();
    // Fetched, and then here already.
    for (task_id, content) in [(built[0], &archive), (built[1], &more), (built[0], &archive), (built[1], &more)] {
        let statement = signed(&bench, payload(task_image(&task_id, PATH))).await;
        let environment = &statement["environment"];
        assert_eq!(environment["imageArtifactHash"], hash(content), "{statement:#}");
        assert_eq!(environment["region"], "desk");
        images.push(environment["imageHash"].clone());
    }
    assert!(images.iter().all(|image| *image == images[0]), "{images:?}");
    let known =
        docker::call(&bench.there.host, &["image", "inspect", "--format", "{{.Id}}", images[0].as_str().unwrap()]);
    assert_eq!(String::from_utf8(known).unwrap().trim(), images[0]);

    let statement = signed(&bench, payload(json!(bench.there.image))).await;
    let id = docker::call(&bench.there.host, &["image", "inspect", "--format", "{{.Id}}", &bench.there.image]);
    assert_eq!(statement["environment"]["imageHash"], String::from_utf8(id).unwrap().trim());
    assert_eq!(statement["environment"]["imageArtifactHash"], Value::Null);
}

#[tokio::test]
async fn a_container_adds_to_what_is_signed() {
    let Some(bench) = Bench::new().await else { return };
    let script = r#"echo '{"source": "abc", "runId": 7}' >/chain-of-trust-additional-data.json"#;
    let payload = json!({"command": ["/bin/sh", "-c", script], "features": {"chainOfTrust": true}});
    let statement = signed(&bench, payload).await;
    assert_eq!((&statement["source"], &statement["runId"]), (&json!("abc"), &json!(0)));
}

#[tokio::test]
async fn what_is_configured_of_the_machine_is_stated() {
    let Some(bench) = Bench::new().await else { return };
    let key = bench.dir.path().join("key");
    SigningKey::create(&key).unwrap();
    let config = bench.dir.path().join("config.toml");
    let text = format!(
        "root_url = '{}'\nclient_id = 'w'\naccess_token = 'the-secret-token-of-the-worker-itself'\ntask_queue_id = 'test/worker'\n\
         worker_group = 'group'\nworker_id = 'worker'\nwork_dir = '{}'\ndocker = '{}'\ned25519_signing_key = '{}'\n\
         public_ip = '192.0.2.1'\nprivate_ip = '10.0.0.7'\ninstance_id = 'i-7'\ninstance_type = 'm5.large'\nregion = 'desk'\n",
        bench.queue.root_url(),
        bench.dir.path().join("program").display(),
        bench.there.host,
        key.display(),
    );
    std::fs::write(&config, text).unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).unwrap();
    let task_id = bench.add(json!({"command": ["/bin/true"], "features": {"chainOfTrust": true}}));
    let ended = program("run").args(["--task-limit", "1", "--config"]).arg(&config).status();
    let ended = tokio::time::timeout(TIMEOUT, ended).await.expect("it has done its task").unwrap();
    assert!(ended.success() && bench.queue.state(&task_id) == "completed", "{}", bench.log(&task_id));
    let statement: Value = serde_json::from_str(&bench.queue.text(&task_id, CHAIN_OF_TRUST)).unwrap();
    let mut environment = statement["environment"].as_object().unwrap().clone();
    assert!(environment.remove("imageHash").is_some());
    let stated = json!({
        "publicIpAddress": "192.0.2.1",
        "privateIpAddress": "10.0.0.7",
        "instanceId": "i-7",
        "instanceType": "m5.large",
        "region": "desk",
    });
    assert_eq!(Value::Object(environment), stated);
}
