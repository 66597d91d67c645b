//! Users are there before their tasks.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::bench::{Bench, TIMEOUT, bench_of_users};

/// Names of the users whose homes are below the worker's directory.
fn users(bench: &Bench) -> BTreeSet<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let dir = bench.dir.path().to_str().unwrap();
    let own = passwd.lines().filter(|line| line.contains(&format!(":{dir}/")));
    own.filter_map(|line| line.split(':').next()).map(str::to_owned).collect()
}

async fn until(bench: &Bench, what: &str, wanted: impl Fn(&BTreeSet<String>) -> bool) -> BTreeSet<String> {
    let waiting = async {
        loop {
            let users = users(bench);
            if wanted(&users) {
                return users;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, waiting).await.unwrap_or_else(|_| panic!("{what}: {:?}", users(bench)))
}

#[tokio::test]
async fn users_are_made_beforehand_and_each_is_had_once() {
    let Some(bench) = bench_of_users().await else { return };
    let tasks = async {
        let spare = until(&bench, "two are ready", |users| users.len() == 2).await;
        let script = "echo USER $(id -un) HOME $(eval echo ~$USER) DIR $PWD; while ! test -e go; do sleep 0.02; done";
        let task_id = bench.script(script);
        let line = bench.line("USER ").await;
        let (user, homes) = line.split_once(" HOME ").unwrap();
        assert!(spare.contains(user), "{user} is one of {spare:?}");
        let (home, dir) = homes.split_once(" DIR ").unwrap();
        assert_eq!(home, dir, "the system knows where its home is");
        until(&bench, "another is made for it", |users| users.len() == 3).await;
        bench.touch(&task_id, "go");
        user.to_owned()
    };
    let (_, user) = tokio::join!(bench.run_as(|builder| builder.spare_users(2)), tasks);
    assert!(!users(&bench).contains(&user), "it goes with its task");
    until(&bench, "the others go with the worker", BTreeSet::is_empty).await;
}

/// The program that makes a user goes on when the worker that called it is killed.
#[tokio::test]
async fn a_user_that_comes_late_for_a_killed_worker_is_removed_as_well() {
    let Some(bench) = bench_of_users().await else { return };
    let first = bench.script("echo READY; while ! test -e go; do sleep 0.02; done");
    let tasks = async {
        bench.line("READY").await;
        until(&bench, "there is another", |users| users.len() == 2).await;
        // As another process would call it.
        let late = format!("tctask-f{:x}-0", std::process::id());
        let home = bench.dir.path().join("work/tasks").join(&late);
        let mut useradd = std::process::Command::new("useradd");
        useradd.args(["--no-create-home", "--user-group", "--home-dir"]).arg(home).arg(&late);
        // Others may be making users at the same time.
        while !useradd.status().unwrap().success() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bench.script("true");
        bench.touch(&first, "go");
        until(&bench, "it is removed", |users| !users.contains(&late)).await;
    };
    tokio::join!(bench.run_as(|builder| builder.task_limit(2)), tasks);
}

#[tokio::test]
async fn several_tasks_at_once_are_a_user_each() {
    let Some(bench) = bench_of_users().await else { return };
    // Each waits for the other in a folder that both can write to, and looks into the other's directory.
    let meeting = bench.dir.path().join("meeting");
    std::fs::create_dir(&meeting).unwrap();
    std::fs::set_permissions(&meeting, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let script = format!(
        "cd {}; echo $TASK_WORKDIR > $USER; while test $(ls | wc -l) -lt 2; do sleep 0.02; done; \
         for other in *; do test $other = $USER || ls $(cat $other) || echo CLOSED; done",
        meeting.display()
    );
    let payload = json!({"command": [["/bin/sh", "-c", script]], "features": {"taskclusterProxy": true}});
    let tasks = [bench.add(payload.clone()), bench.add(payload)];
    bench.run_as(|builder| builder.capacity(2).task_limit(2)).await;
    for task_id in tasks {
        let log = bench.log(&task_id);
        assert_eq!(bench.queue.state(&task_id), "completed", "{log}");
        assert!(log.lines().any(|line| line == "CLOSED"), "{log}");
    }
}
