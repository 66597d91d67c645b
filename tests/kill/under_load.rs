//! `kill -9` in the midst of creating, claiming and completing.

use std::path::PathBuf;
use std::sync::Arc;

use harness::{Backend, Ground, Process, Tester, program, soon, task};
use taskcluster::TaskId;
use tempfile::TempDir;

use super::history::{History, Step};

const USERS: usize = 8;
/// How many tasks are completed between two kills, at least.
const COMPLETED: usize = 30;

/// How often a deployment is killed. Longer, and its first claims would end before it does.
const KILLS: usize = 20;

/// How many deployments go through it, one after the other.
fn deployments() -> usize {
    if std::env::var_os("TASKCLUSTER_TESTS_LONG").is_some() { 10 } else { 1 }
}

/// Creates two tasks for each that it claims and completes, until it is stopped or the deployment is gone.
async fn use_it(root: Tester, group: TaskId, history: Arc<History>) -> Result<(), taskcluster::Error> {
    loop {
        for _ in 0..2 {
            let task_id = TaskId::new();
            history.record(task_id, Step::Asked);
            root.queue().create_task(&task_id, &task(root.now()).with_task_group_id(group)).await?;
            history.record(task_id, Step::Created);
        }
        for claim in root.try_claim(1).await? {
            history.record(claim.task_id, Step::Claimed);
            claim.completed().await?;
            history.record(claim.task_id, Step::Completed);
        }
    }
}

async fn what_was_acknowledged_stands(backend: Backend) {
    let Some(program) = program() else { return };
    for _ in 0..deployments() {
        one_deployment_keeps_its_word(backend, program.clone()).await;
    }
}

async fn one_deployment_keeps_its_word(backend: Backend, program: PathBuf) {
    let folder = TempDir::new().unwrap();
    let database = match backend {
        Backend::Sqlite => None,
        Backend::Postgres => Some(backend.database(&folder, "kill").await),
    };
    let mut process = Process::start(program, Ground { database, ..Ground::default() }).await.unwrap();
    let (group, history) = (TaskId::new(), Arc::new(History::default()));
    for round in 1..=KILLS {
        let enough = round * COMPLETED;
        let users: Vec<_> = (0..USERS).map(|_| tokio::spawn(use_it(process.root(), group, history.clone()))).collect();
        harness::until(|| async { (history.count(Step::Completed) >= enough).then_some(()) }).await;
        process.kill().await.unwrap();
        for user in users {
            // Each was in the middle of something, and noticed.
            soon(user).await.unwrap().unwrap_err();
        }
        process.restart().await.unwrap();
        history.check(&process.root(), group).await;
    }
    assert!(history.count(Step::Completed) >= KILLS * COMPLETED);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_what_was_acknowledged_stands() {
    what_was_acknowledged_stands(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_what_was_acknowledged_stands() {
    if Backend::available().contains(&Backend::Postgres) {
        what_was_acknowledged_stands(Backend::Postgres).await;
    }
}
