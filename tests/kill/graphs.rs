//! `kill -9` while task graphs are submitted, run, and run again.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::future::join_all;
use harness::{Backend, Ground, Process, Tester, program, soon, task};
use taskcluster::queue::{TaskIdsRequest, TaskState, TaskStatus};
use taskcluster::scheduler::{CreateTaskGraphRequest, TaskGraphNode};
use taskcluster::{Error, TaskId};
use tempfile::TempDir;

use super::chance::Chance;

/// How many graphs are submitted between two kills.
const GRAPHS: usize = 3;

/// How often the deployment is killed.
fn kills() -> usize {
    if std::env::var_os("TASKCLUSTER_TESTS_LONG").is_some() { 100 } else { 10 }
}

/// A graph of three levels. The tasks in the middle fail the first time, and may be run again once.
struct Graph {
    id: TaskId,
    request: CreateTaskGraphRequest,
}

impl Graph {
    fn new(root: &Tester) -> Self {
        let node = || TaskGraphNode::new(TaskId::new(), task(root.now()));
        let first = [node(), node()];
        let ids = first.each_ref().map(|node| node.task_id);
        let middle = [node(), node(), node()].map(|node| node.with_requires(ids).with_reruns(1));
        let last = node().with_requires(middle.each_ref().map(|node| node.task_id));
        let metadata = last.task.metadata.clone();
        let nodes = first.into_iter().chain(middle).chain([last]);
        let request = CreateTaskGraphRequest::new(nodes, metadata).with_scopes(["*"]);
        Self { id: TaskId::new(), request }
    }

    fn tasks(&self) -> impl Iterator<Item = TaskId> {
        self.request.tasks.iter().map(|node| node.task_id)
    }

    fn fails_first(&self, task_id: TaskId) -> bool {
        self.request.tasks.iter().any(|node| node.task_id == task_id && node.reruns == Some(1))
    }

    /// Submits it, or finds that it was. It may be submitted again and again.
    async fn submit(&self, root: &Tester) -> Result<(), Error> {
        root.scheduler().create_task_graph(&self.id.to_string(), &self.request).await?;
        Ok(())
    }

    async fn statuses(&self, root: &Tester) -> Result<Vec<TaskStatus>, Error> {
        let statuses = root.queue().statuses(&TaskIdsRequest::new().with_task_ids(self.tasks())).await?.statuses;
        Ok(statuses.into_iter().map(|entry| entry.status).collect())
    }

    /// Ends what runs, as the task is to end. A claim may be from before a kill, and so may the report of its end.
    async fn work(&self, root: &Tester) -> Result<(), Error> {
        let statuses = self.statuses(root).await?;
        let begun = statuses.iter().any(|status| !matches!(status.state, TaskState::Unscheduled));
        if begun {
            root.scheduler().status(&self.id.to_string()).await?;
        }
        for status in statuses.iter().filter(|status| status.state == TaskState::Running) {
            let run = u32::try_from(status.runs.len()).unwrap() - 1;
            let (task_id, queue) = (status.task_id, root.queue());
            if run == 0 && self.fails_first(task_id) {
                queue.report_failed(&task_id, run).await?;
            } else {
                queue.report_completed(&task_id, run).await?;
            }
        }
        Ok(())
    }

    async fn is_finished(&self, root: &Tester) -> Result<bool, Error> {
        Ok(root.scheduler().status(&self.id.to_string()).await?.status.state.as_str() == "finished")
    }
}

async fn submit_all(root: &Tester, graphs: &[Graph]) -> Result<Infallible, Error> {
    for graph in graphs {
        graph.submit(root).await?;
    }
    std::future::pending().await
}

async fn work_on_all(root: &Tester, graphs: &[Graph]) -> Result<Infallible, Error> {
    loop {
        for graph in graphs {
            graph.work(root).await?;
        }
        root.try_claim(20).await?;
    }
}

/// Submits graphs and works on all of them, until the deployment is gone.
async fn use_it(root: &Tester, graphs: &[Graph]) -> Error {
    let ended = tokio::select! {
        ended = submit_all(root, graphs) => ended,
        ended = work_on_all(root, graphs) => ended,
    };
    match ended {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

/// Brings them to their end, by what is found and nothing that was remembered.
async fn finish(root: &Tester, graphs: &[Graph]) {
    let submitted = join_all(graphs.iter().map(|graph| graph.submit(root)));
    soon(submitted).await.into_iter().for_each(|submitted| submitted.unwrap());
    let mut left: Vec<&Graph> = graphs.iter().collect();
    while !left.is_empty() {
        soon(root.try_claim(20)).await.unwrap();
        let mut unfinished = Vec::new();
        for graph in left {
            soon(graph.work(root)).await.unwrap();
            if !soon(graph.is_finished(root)).await.unwrap() {
                unfinished.push(graph);
            }
        }
        left = unfinished;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Every task has the runs that it was to have, and no other.
async fn check(root: &Tester, graph: &Graph) {
    for status in soon(graph.statuses(root)).await.unwrap() {
        let ends: Vec<&str> = status.runs.iter().map(|run| run.state.as_str()).collect();
        let expected: &[&str] =
            if graph.fails_first(status.task_id) { &["failed", "completed"] } else { &["completed"] };
        assert_eq!(ends, expected, "{}", status.task_id);
    }
}

async fn graphs_come_to_their_end(backend: Backend) {
    let Some(program) = program() else { return };
    let folder = TempDir::new().unwrap();
    let database = match backend {
        Backend::Sqlite => None,
        Backend::Postgres => Some(backend.database(&folder, "graphs").await),
    };
    let mut process = Process::start(program, Ground { database, ..Ground::default() }).await.unwrap();
    let mut chance = Chance::new();
    println!("{chance}");
    let mut graphs = Vec::new();
    for _ in 0..kills() {
        let root = process.root();
        let new: Vec<Graph> = (0..GRAPHS).map(|_| Graph::new(&root)).collect();
        let wait = Duration::from_millis(chance.below(400) as u64);
        tokio::select! {
            error = use_it(&root, &new) => panic!("{error}"),
            () = tokio::time::sleep(wait) => process.kill().await.unwrap(),
        }
        process.restart().await.unwrap();
        graphs.extend(new);
        let root = process.root();
        // Some of them before they were ever known, some in their midst.
        let last = graphs.len() - GRAPHS;
        finish(&root, &graphs[last..]).await;
    }
    let root = process.root();
    for graph in &graphs {
        check(&root, graph).await;
    }
    assert_eq!(graphs.len(), kills() * GRAPHS);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_graphs_come_to_their_end() {
    graphs_come_to_their_end(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_graphs_come_to_their_end() {
    if Backend::available().contains(&Backend::Postgres) {
        graphs_come_to_their_end(Backend::Postgres).await;
    }
}
