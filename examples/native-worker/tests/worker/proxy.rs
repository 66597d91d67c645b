//! The proxy as a task's commands use it, and as others try to.

use std::process::{Command, Output};

use serde_json::json;

use crate::bench::{Bench, TIMEOUT, bench_of_users};

/// A user who has nothing to do with the task.
const STRANGER: u32 = 65534;

fn curl_is_there() -> bool {
    let there = Command::new("curl").arg("--version").output().is_ok();
    if !there {
        println!("skipped: there is no curl");
    }
    there
}

#[tokio::test]
async fn a_task_calls_the_deployment_through_the_proxy() {
    let bench = Bench::new().await;
    if !curl_is_there() {
        return;
    }
    let (task_id, state) = bench
        .resolve(json!({
            "command": [["/bin/sh", "-c", "curl -sS --noproxy '*' --data-binary hello $TASKCLUSTER_PROXY_URL/api/echo/v1/x"]],
            "features": {"taskclusterProxy": true},
        }))
        .await;
    let log = bench.log(&task_id);
    assert_eq!(state, "completed", "{log}");
    assert!(log.contains("\"body\":\"hello\"") && log.contains("Hawk id="), "{log}");
}

async fn as_stranger(program: &str, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).uid(STRANGER).gid(STRANGER).current_dir("/").env_clear().kill_on_drop(true);
    tokio::time::timeout(TIMEOUT, command.output()).await.expect("it ends").unwrap()
}

/// The worst case: the address is known, say from the arguments of a command that everybody can see.
#[tokio::test]
async fn another_user_gets_nothing_from_the_proxy_even_with_its_address() {
    let Some(bench) = bench_of_users().await else { return };
    if !curl_is_there() {
        return;
    }
    let call = "curl -sS --noproxy '*' -o /dev/null -w '%{http_code}' $TASKCLUSTER_PROXY_URL/api/echo/v1";
    let script = format!(
        "echo PROXY $TASKCLUSTER_PROXY_URL; echo READY $$; while ! test -e go; do sleep 0.02; done; \
         echo OWN $({call}/own)"
    );
    let payload = json!({"command": [["/bin/sh", "-c", script]], "features": {"taskclusterProxy": true}});
    let task_id = bench.add(payload);
    let attack = async {
        let (url, pid) = (bench.line("PROXY ").await, bench.line("READY ").await);
        let (address, _secret) = url.rsplit_once('/').unwrap();
        for target in [format!("{url}/api/echo/v1/stolen"), format!("{address}/api/echo/v1/stolen")] {
            let answer = as_stranger("curl", &["-sS", "--noproxy", "*", "-w", "%{http_code}", &target]).await;
            let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
            assert!(answer.ends_with("404"), "{target}: {answer}");
        }
        // Where the address stands is closed to others, too.
        for file in ["environ", "mem"] {
            assert!(!as_stranger("cat", &[&format!("/proc/{pid}/{file}")]).await.status.success(), "{file}");
        }
        let home = bench.task_dir(&task_id);
        assert!(home.exists());
        assert!(!as_stranger("ls", &[&home.to_string_lossy()]).await.status.success());
        bench.touch(&task_id, "go");
    };
    tokio::join!(bench.run(), attack);
    assert_eq!(bench.queue.state(&task_id), "completed");
    assert!(bench.log(&task_id).contains("OWN 201"), "{}", bench.log(&task_id));
    let called: Vec<String> = bench.queue.received().into_iter().map(|request| request.line).collect();
    assert!(!called.iter().any(|line| line.contains("stolen")), "{called:?}");
}
