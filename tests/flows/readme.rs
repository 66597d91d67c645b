//! The first program of the README does what it says.

use std::process::{Output, Stdio};

use harness::{Backend, Deployment, Options, soon, task};
use taskcluster::TaskId;
use tokio::process::Command;

/// The task that it asks for.
const TASK: &str = "fN1SbArXTPSVFNUvaOlinQ";

async fn run(deployment: &Deployment) -> Output {
    let credentials = deployment.root().caller().credentials().unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_e2e-readme"))
        .env_clear()
        .env("TASKCLUSTER_ROOT_URL", deployment.root_url())
        .env("TASKCLUSTER_CLIENT_ID", &credentials.client_id)
        .env("TASKCLUSTER_ACCESS_TOKEN", credentials.access_token.expose())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    soon(child).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_program_tells_the_state_of_a_task() {
    let deployment = Deployment::start(Options::on(Backend::Sqlite)).await.unwrap();
    let output = run(&deployment).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("there is no task {TASK}\n"), "{output:?}");

    let root = deployment.root();
    let task_id: TaskId = TASK.parse().unwrap();
    soon(root.queue().create_task(&task_id, &task(root.now())).into_future()).await.unwrap();
    let output = run(&deployment).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{TASK} is pending\n"), "{output:?}");
    assert!(output.status.success());
    deployment.stop().await;
}
