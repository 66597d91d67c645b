//! The proxy as a task's commands use it, and as others try to.

use std::process::{Command, Output};

use serde_json::json;

use crate::bench::{Bench, TIMEOUT, bench_of_users};

/// A user who has nothing to do with the task.
const STRANGER: u32 = 65534;

pub(crate) fn curl_is_there() -> bool {
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

/// A bridge of this machine's, as long as this lives.
struct Bridge(String);

impl Bridge {
    const ADDRESS: &str = "172.30.98.1";

    /// `None` where none can be made, which is said.
    fn make() -> Option<Self> {
        let bridge = Self(format!("tctest{}", std::process::id() % 1_000_000));
        let ip = |arguments: &str| {
            let line = arguments.replace("NAME", &bridge.0);
            Command::new("ip").args(line.split(' ')).output().is_ok_and(|output| output.status.success())
        };
        let address = format!("address add {}/24 dev NAME", Self::ADDRESS);
        let made = ip("link add NAME type bridge") && ip(&address) && ip("link set NAME up");
        if !made {
            println!("skipped: no network interface can be made");
        }
        made.then_some(bridge)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "delete", &self.0]).output();
    }
}

#[tokio::test]
async fn a_tasks_containers_call_the_proxy_at_their_bridge() {
    if !curl_is_there() {
        return;
    }
    let Some(bridge) = Bridge::make() else { return };
    let bench = Bench::new().await;
    let call = "curl -sS --noproxy '*' -o /dev/null -w '%{http_code}'";
    let script = format!(
        "echo PROXY $TASKCLUSTER_PROXY_URL; echo OWN $({call} $TASKCLUSTER_PROXY_URL/api/echo/v1/own); \
         echo OTHER $({call} ${{TASKCLUSTER_PROXY_URL%/*}}/api/echo/v1/other)"
    );
    let task_id = bench.add(json!({
        "command": [["/bin/sh", "-c", script]],
        "features": {"taskclusterProxy": true},
        "taskclusterProxyInterface": "docker-bridge",
    }));
    bench.run_as(|builder| builder.docker_bridge(&bridge.0)).await;
    let log = bench.log(&task_id);
    assert_eq!(bench.queue.state(&task_id), "completed", "{log}");
    assert!(log.contains(&format!("PROXY http://{}:", Bridge::ADDRESS)), "{log}");
    assert!(log.contains("OWN 201\n") && log.contains("OTHER 404\n"), "{log}");
}

#[tokio::test]
async fn a_bridge_that_is_not_there_makes_a_payload_malformed_that_asks_for_it() {
    let bench = Bench::new().await;
    let payload = |proxy: bool| {
        json!({
            "command": [["true"]],
            "features": {"taskclusterProxy": proxy},
            "taskclusterProxyInterface": "docker-bridge",
        })
    };
    for (proxy, state) in [(true, "exception malformed-payload"), (false, "completed")] {
        let task_id = bench.add(payload(proxy));
        bench.run_as(|builder| builder.docker_bridge("no-such-bridge")).await;
        let log = bench.log(&task_id);
        assert_eq!(bench.queue.state(&task_id), state, "{log}");
        let reason = "payload/taskclusterProxyInterface: this machine has no network interface \"no-such-bridge\"\n";
        assert_eq!(log.contains(reason), proxy, "{log}");
    }
}
