//! `doctor` of a worker's program, against a real deployment.

use std::path::Path;
use std::process::Command;

use harness::{Ground, Process, Tester, built, program, soon};

/// What it prints, and whether it found nothing wrong.
fn examine(worker: &Path, root: &Tester, token: &str, folder: &Path, more: &[(&str, &str)]) -> (String, bool) {
    let mut command = Command::new(worker);
    command.args(["doctor", "--task-queue-id", "a/b", "--worker-id", "w", "--isolation", "none"]);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("NATIVE_WORKER_REQUIRED_DISK_SPACE", "0");
    command.env("TASKCLUSTER_ROOT_URL", root.caller().root_url().as_str());
    command.env("TASKCLUSTER_CLIENT_ID", "static/taskcluster/root").env("TASKCLUSTER_ACCESS_TOKEN", token);
    command.env("NATIVE_WORKER_WORK_DIR", folder).envs(more.iter().copied());
    let output = command.output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_is_wrong_and_what_to_do() {
    let (Some(program), Some(worker)) = (program(), built("native-worker")) else { return };
    let process = soon(Process::start(program, Ground::default())).await.unwrap();
    let root = process.root();
    let token = root.caller().credentials().unwrap().access_token.expose().to_owned();
    let folder = tempfile::tempdir().unwrap();

    let (said, well) = examine(&worker, &root, &token, folder.path(), &[]);
    assert!(well, "{said}");
    for good in ["deployment", "clock", "credentials", "work directory", "caches"] {
        assert!(said.contains(&format!("ok     {good}: ")), "{good}: {said}");
    }
    assert!(said.contains("note   users: isolation is \"none\""), "{said}");

    let (said, well) = examine(&worker, &root, "not-the-token-not-the-token-not-the-token", folder.path(), &[]);
    assert!(
        !well && said.contains("WRONG  credentials: ") && said.contains("Check client_id and access_token"),
        "{said}"
    );

    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let more = [("NATIVE_WORKER_LIVE_LOG_ADDRESS", &*address), ("NATIVE_WORKER_CACHE_DIR", "/proc/none")];
    let more = [more[0], more[1], ("NATIVE_WORKER_REQUIRED_DISK_SPACE", "1000000000000000")];
    let (said, well) = examine(&worker, &root, &token, folder.path(), &more);
    assert!(!well, "{said}");
    for wrong in ["work directory", "caches", "live logs"] {
        assert!(said.contains(&format!("WRONG  {wrong}: ")), "{wrong}: {said}");
    }

    let nobody = [("TASKCLUSTER_ROOT_URL", "http://127.0.0.1:9")];
    let (said, well) = examine(&worker, &root, &token, folder.path(), &nobody);
    assert!(!well && said.contains("WRONG  deployment: http://127.0.0.1:9 does not answer"), "{said}");
}
