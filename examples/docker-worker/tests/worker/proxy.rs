//! The proxy as a container calls it, and as others try to.

use std::process::Command;

use serde_json::json;

use crate::bench::Bench;

#[tokio::test]
async fn a_container_calls_the_deployment_as_taskcluster() {
    let Some(bench) = Bench::new().await else { return };
    let script = "echo $TASKCLUSTER_PROXY_URL; wget -q -O - --post-data hello $TASKCLUSTER_PROXY_URL/api/echo/v1/x";
    let (_, state, log) =
        bench.resolve(json!({"command": ["/bin/sh", "-c", script], "features": {"taskclusterProxy": true}})).await;
    assert_eq!(state, "completed", "{log}");
    assert!(log.contains("\"body\":\"hello\"") && log.contains("Hawk id="), "{log}");
    if rustix::process::geteuid().is_root() {
        assert!(log.contains("http://taskcluster\r\n"), "{log}");
    }
}

#[tokio::test]
async fn nobody_else_gets_anything_from_the_proxy() {
    let Some(bench) = Bench::new().await else { return };
    let script = "grep taskcluster /etc/hosts >/shared/address; echo $TASKCLUSTER_PROXY_URL >/shared/url; echo ready; \
                  while ! test -e /shared/go; do sleep 0.05; done";
    let task_id = bench.add(json!({
        "command": ["/bin/sh", "-c", script],
        "features": {"taskclusterProxy": true},
        "cache": {"shared": "/shared"},
    }));
    let attack = async {
        bench.line("ready").await;
        let shared = bench.dir.path().join("work/caches/shared/0");
        let hosts = std::fs::read_to_string(shared.join("address")).unwrap();
        let address = hosts.split_whitespace().next().unwrap().to_owned();
        let url = std::fs::read_to_string(shared.join("url")).unwrap();
        let port = url.trim().rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).unwrap_or(80);
        let target = format!("http://{address}:{port}/api/echo/v1/stolen");
        // A process of the machine, and a container of somebody else.
        let (host, image) = (bench.there.host.clone(), bench.there.image.clone());
        tokio::task::spawn_blocking(move || {
            let busybox = Command::new("busybox").args(["wget", "-q", "-O", "-", &target]).output().unwrap();
            assert!(!busybox.status.success(), "{}", String::from_utf8_lossy(&busybox.stdout));
            let container = Command::new("docker")
                .args(["run", "--rm", &image, "wget", "-q", "-O", "-", &target])
                .env("DOCKER_HOST", host)
                .output()
                .unwrap();
            assert!(!container.status.success(), "{}", String::from_utf8_lossy(&container.stdout));
        })
        .await
        .unwrap();
        std::fs::write(shared.join("go"), "").unwrap();
    };
    tokio::join!(bench.run(), attack);
    assert_eq!(bench.queue.state(&task_id), "completed", "{}", bench.log(&task_id));
    let called: Vec<String> = bench.queue.received().into_iter().map(|request| request.line).collect();
    assert!(!called.iter().any(|line| line.contains("stolen")), "{called:?}");
}
