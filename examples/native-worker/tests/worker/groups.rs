//! `osGroups`.

use serde_json::{Value, json};

use crate::bench::{Bench, bench_of_users};

/// A group that every machine has, and no user at first.
const GROUP: &str = "games";

fn payload(groups: &[&str]) -> Value {
    json!({"command": [["/bin/sh", "-c", "echo GROUPS $(id -Gn); echo PASSWD $(id -Gn $USER)"]], "osGroups": groups})
}

async fn run(bench: &Bench, groups: &[&str], scope: &str) -> (String, String) {
    let task_id = bench.add_with(payload(groups), |task| task["scopes"] = json!([scope]));
    bench.run().await;
    (bench.queue.state(&task_id), bench.log(&task_id))
}

#[tokio::test]
async fn a_task_is_in_the_groups_that_it_asks_for() {
    let Some(bench) = bench_of_users().await else { return };
    let (state, log) = run(&bench, &[GROUP], "generic-worker:os-group:test/worker/games").await;
    assert_eq!(state, "completed", "{log}");
    for prefix in ["GROUPS ", "PASSWD "] {
        let line = log.lines().find_map(|line| line.strip_prefix(prefix)).unwrap_or_default();
        let mut groups: Vec<&str> = line.split(' ').collect();
        groups.sort_unstable();
        assert!(groups.len() == 2 && groups[0] == GROUP && groups[1].starts_with("tctask-"), "{log}");
    }
    let user =
        log.lines().find_map(|line| line.strip_prefix("PASSWD ")).unwrap().split(' ').find(|name| *name != GROUP);
    let file = std::fs::read_to_string("/etc/group").unwrap();
    assert!(!file.contains(user.unwrap()), "it is still in a group:\n{file}");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_in_a_group_as_well() {
    let Some(bench) = bench_of_users().await else { return };
    let mut payload = payload(&[GROUP]);
    payload["command"] = json!([["/no/such/program"]]);
    let task_id = bench.add_with(payload, |task| task["scopes"] = json!(["generic-worker:os-group:test/worker/games"]));
    bench.run().await;
    assert_eq!(bench.queue.state(&task_id), "failed");
    assert!(bench.log(&task_id).contains("could not be started: /no/such/program"));
}

#[tokio::test]
async fn a_group_takes_its_scope_and_has_to_be_there() {
    let Some(bench) = bench_of_users().await else { return };
    let (state, log) =
        run(&bench, &[GROUP, "no-such-group"], "generic-worker:os-group:test/worker/no-such-group").await;
    assert_eq!(state, "exception malformed-payload", "{log}");
    assert!(log.contains("takes the scope generic-worker:os-group:test/worker/games"), "{log}");
    assert!(log.contains("no group \"no-such-group\""), "{log}");
}

#[tokio::test]
async fn without_users_there_are_no_groups() {
    let bench = Bench::new().await;
    let (state, log) = run(&bench, &[GROUP], "*").await;
    assert!(state == "exception malformed-payload" && log.contains("payload/osGroups"), "{log}");
    let (state, log) = run(&bench, &[], "*").await;
    assert_eq!(state, "completed", "{log}");
}
