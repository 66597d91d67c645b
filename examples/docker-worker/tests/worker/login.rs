//! A registry that gives its images only to who logs in.

use std::process::Command;

use serde_json::json;
use taskcluster_docker_worker::{Options, Registry as Login};

use crate::images::{Bench, Registry};

const USER: &str = "worker";
const PASSWORD: &str = "the-password";

/// Of that password, by bcrypt.
const HASH: &str = "$2b$04$l5OJuNL8thlEyQSoNLWCo.JR1X1HcLqMVFpyND1YN0uRLgAIYVyom";

fn start() -> Option<Registry> {
    Registry::start_with(|folder| {
        let file = folder.join("htpasswd");
        std::fs::write(&file, format!("{USER}:{HASH}\n")).unwrap();
        format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", file.display())
    })
}

/// Have the registry keep an image that is then no longer here.
fn push(bench: &Bench, registry: &Registry, image: &str) {
    bench.docker(&["tag", &bench.there.greeter, image]);
    let folder = bench.dir.path().join("login");
    std::fs::create_dir_all(&folder).unwrap();
    // "worker:the-password" in base64.
    let config = json!({"auths": {&registry.name: {"auth": "d29ya2VyOnRoZS1wYXNzd29yZA=="}}});
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let mut command = Command::new("docker");
    let output =
        command.arg("--config").arg(&folder).args(["push", image]).env("DOCKER_HOST", &bench.there.host).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    bench.docker(&["rmi", image]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_logs_in_for_tasks_that_have_the_scope_for_it() {
    let Some(bench) = Bench::new().await else { return };
    let Some(registry) = start() else { return };
    let image = format!("{}/team/private:1", registry.name);
    push(&bench, &registry, &image);
    let login = |password: &str| Login::new(format!("{}/team", registry.name), USER, password.to_owned());
    let known = |options: &mut Options| options.registries = vec![login(PASSWORD)];
    let scope = format!("docker-worker:image:{image}");

    let (reason, log) = bench.run_with(json!(image), &["docker-worker:image:another:1"], known).await;
    assert_eq!(reason, "malformed-payload", "{log}");
    assert!(log.contains(&format!("needs the scope {scope}")) && !log.contains("pulling"), "{log}");

    for (who, registries) in [("nobody", Vec::new()), ("a stranger", vec![login("a-wrong-one")])] {
        let (reason, log) = bench.run_with(json!(image), &[&scope], |options| options.registries = registries).await;
        assert_eq!(reason, "malformed-payload", "{who}: {log}");
        assert!(log.contains("cannot be had"), "{who}: {log}");
    }

    let (reason, log) = bench.run_with(json!(image), &[&scope], known).await;
    assert_eq!(reason, "completed", "{log}");
    // Also when it is here.
    let (reason, log) = bench.run_with(json!(image), &[], known).await;
    assert_eq!(reason, "malformed-payload", "{log}");
    assert!(!log.contains(PASSWORD), "{log}");
    bench.docker(&["rmi", &image]);
}
