//! What a task can reach of the worker and of other tasks.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::bench::{Bench, WORKER_TOKEN, bench_of_users, gone, lives, processes_of};

/// Print the task's environment and every file of the worker's directory that it can read, apart from its own growing log;
/// and what the system shows of the worker's process to others.
const SEARCH: &str = "env; tr '\\0' '\\n' < /proc/self/environ; echo SEARCHED; \
     find . ../.. -type f ! -name log -exec cat {} + 2>/dev/null; cat /proc/$PPID/cmdline; echo";

async fn search(bench: &Bench) {
    let (task_id, state) = bench
        .resolve(json!({
            "command": [["/bin/sh", "-c", SEARCH]],
            "mounts": [{"file": "mounted", "content": {"raw": "MOUNTED"}}],
            "features": {"taskclusterProxy": true},
        }))
        .await;
    let log = bench.log(&task_id);
    assert_eq!(state, "completed", "{log}");
    for part in ["SEARCHED", "MOUNTED", "TASKCLUSTER_PROXY_URL=http://127.0.0.1:"] {
        assert!(log.contains(part), "{part} is missing:\n{log}");
    }
    let issued = bench.queue.issued_tokens();
    assert_eq!(issued.len(), 1);
    let words = ["accessToken", "certificate", "TASKCLUSTER_ACCESS_TOKEN", "TASKCLUSTER_CERTIFICATE"];
    for secret in words.into_iter().chain([WORKER_TOKEN, &issued[0]]) {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    let names: Vec<&str> = log.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    assert!(names.contains(&"TASK_ID") && !names.contains(&"CARGO_MANIFEST_DIR"), "only what it should: {names:?}");
}

#[tokio::test]
async fn environment_and_files_of_a_task_hold_no_credentials() {
    search(&Bench::new().await).await;
}

#[tokio::test]
async fn environment_and_files_of_another_user_hold_no_credentials() {
    if let Some(bench) = bench_of_users().await {
        search(&bench).await;
    }
}

#[tokio::test]
async fn each_task_is_another_user_who_is_removed() {
    let Some(bench) = bench_of_users().await else { return };
    std::fs::write(bench.dir.path().join("private"), "of the worker").unwrap();
    let private = bench.dir.path().join("private");
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o600)).unwrap();
    let script = format!(
        "echo USER $(id -un); echo HOME $HOME $PWD; cat {0} || echo SAFE; ln -s {0} link; \
         setsid sleep 1000 & echo DAEMON $!; echo kept >> cache/file; cat cache/file; echo own > own",
        private.display()
    );
    let payload = json!({
        "command": [["/bin/sh", "-c", script]],
        "mounts": [{"directory": "cache", "cacheName": "c"}],
        "artifacts": [
            {"type": "file", "path": "own", "name": "public/own"},
            {"type": "file", "path": "link", "name": "public/stolen", "optional": true},
        ],
    });
    let mut users = Vec::new();
    for _ in 0..2 {
        bench.output.lock().unwrap().clear();
        let (task_id, state) = bench.resolve(payload.clone()).await;
        let log = bench.log(&task_id);
        assert_eq!(state, "completed", "{log}");
        let line = |prefix: &str| log.lines().find_map(|line| line.strip_prefix(prefix)).unwrap_or_default().to_owned();
        users.push(line("USER "));
        assert!(log.lines().any(|line| line == "SAFE"), "{log}");
        assert!(!lives(&line("DAEMON ")));
        assert_eq!(bench.queue.text(&task_id, "public/own"), "own\n");
        let stolen = bench.queue.artifact(&task_id, "public/stolen").unwrap().created;
        assert_eq!(stolen["reason"], "file-not-readable-on-worker");
        assert!(users.len() == 1 || log.matches("kept\n").count() >= 2, "the cache persists:\n{log}");
    }
    assert!(users.iter().all(|user| user.starts_with("tctask-")) && users[0] != users[1], "{users:?}");
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    assert!(!users.iter().any(|user| passwd.contains(&format!("{user}:"))), "they are removed");
}

/// Everything that a process can do to stay, apart from becoming another user.
#[tokio::test]
async fn no_process_of_the_user_is_left() {
    let Some(bench) = bench_of_users().await else { return };
    // The last one is never the same process for long: it forks and is gone.
    let script = r#"
        trap '' TERM INT HUP
        (setsid sh -c 'trap "" TERM INT HUP; cd /; echo DAEMON $$; while :; do sleep 1000; done' &) &
        env -i setsid /bin/sh -c 'trap "" TERM INT HUP; cd /; (exec /bin/sh -c "echo BARE \$\$; sleep 1000") & exit' &
        cat > hop <<'END'
#!/bin/sh
trap '' TERM
test -e hopped || { echo > hopped; echo HOPS; }
"$0" &
END
        chmod +x hop; ./hop
        echo "USER $(id -u)"
        while ! test -e go; do sleep 0.02; done
    "#;
    let task_id = bench.script(script);
    let go = async {
        let pids = [bench.line("DAEMON ").await, bench.line("BARE ").await];
        bench.line("HOPS").await;
        let user = bench.line("USER ").await;
        assert!(pids.iter().all(|pid| lives(pid)));
        bench.touch(&task_id, "go");
        (pids, user)
    };
    let (_, (pids, user)) = tokio::join!(bench.run(), go);
    assert_eq!(bench.queue.state(&task_id), "completed");
    assert!(!pids.iter().any(|pid| lives(pid)));
    let left = processes_of(&user);
    assert!(left.is_empty(), "{left:?} are left of user {user}");
}

#[tokio::test]
async fn nothing_of_a_user_is_left_for_the_next_with_the_same_number() {
    let Some(bench) = bench_of_users().await else { return };
    let name = format!("native-worker-test-{}", bench.dir.path().file_name().unwrap().to_string_lossy());
    let script = format!(
        "mkdir -p /tmp/{name}/sub; echo left > /tmp/{name}/sub/file; echo left > /var/tmp/{name}; \
        ln -s / /tmp/{name}.link; echo mine > cache/file; chmod 0777 cache; echo DONE"
    );
    let (task_id, state) = bench
        .resolve(json!({
            "command": [["/bin/sh", "-c", script]],
            "mounts": [{"directory": "cache", "cacheName": "c"}],
        }))
        .await;
    assert_eq!(state, "completed", "{}", bench.log(&task_id));
    for left in [format!("/tmp/{name}"), format!("/var/tmp/{name}"), format!("/tmp/{name}.link")] {
        assert!(std::fs::symlink_metadata(&left).is_err(), "{left} is left");
    }
    let cache = bench.dir.path().join("work/caches/c/0");
    assert_eq!(std::fs::read_to_string(cache.join("file")).unwrap(), "mine\n");
    let mode = std::fs::metadata(&cache).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "nobody passes while no task has it");
}

#[tokio::test]
async fn a_user_is_removed_when_the_worker_is_dropped() {
    let Some(bench) = bench_of_users().await else { return };
    bench.script("trap '' TERM; echo USER $(id -un); echo READY $$; while :; do sleep 1000; done");
    let pid = tokio::select! {
        _ = bench.run() => panic!("it runs forever"),
        pid = bench.line("READY ") => pid,
    };
    gone(&pid).await;
    let user = bench.line("USER ").await;
    let removed = async {
        while std::fs::read_to_string("/etc/passwd").unwrap().contains(&format!("{user}:")) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::bench::TIMEOUT, removed).await.expect("the user is removed");
}
