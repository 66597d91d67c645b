//! A decision task that a real worker runs, and the tasks that it makes.

use futures_util::TryStreamExt;
use harness::{Backend, Deployment, Options, soon, task, until};
use taskcluster::queue::TaskDefinitionAndStatus;
use taskcluster::{TaskId, object};
use taskcluster_native_worker::{Isolation, NativeWorker, Shutdown};

const QUEUE: &str = "test/native";

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_task_makes_tasks_and_a_worker_does_them_all() {
    for backend in Backend::available() {
        let options = Options::on(backend).with_claim_wait(std::time::Duration::from_secs(5));
        let deployment = Deployment::start(options).await.unwrap();
        let root = deployment.root();
        let folder = tempfile::tempdir().unwrap();
        let worker = NativeWorker::builder(deployment.root_url(), QUEUE.parse().unwrap())
            .credentials(root.caller().credentials().unwrap())
            .worker_group("e2e")
            .worker_id("e2e")
            .work_dir(folder.path().join("work"))
            .isolation(Isolation::None)
            .build();
        let (worker, shutdown) = (soon(worker).await.unwrap(), Shutdown::new());
        let stop = shutdown.clone();
        let working = tokio::spawn(async move { worker.run(stop).await });

        let group = TaskId::new();
        let mut decision = task(root.now())
            .with_task_queue_id(QUEUE.parse::<taskcluster::TaskQueueId>().unwrap())
            .with_task_group_id(group)
            .with_scheduler_id("e2e")
            .with_scopes([
                "queue:create-task:highest:test/*",
                "queue:create-task:project:none",
                "queue:scheduler-id:e2e",
                "queue:get-task:*",
            ]);
        decision.payload = object! {
            "command": [[env!("CARGO_BIN_EXE_e2e-decide")]],
            "maxRunTime": 600,
            "features": { "taskclusterProxy": true },
        };
        soon(root.queue().create_task(&group, &decision).into_future()).await.unwrap();

        let tasks = until(|| async {
            let tasks = root.queue().list_task_group(&group).stream();
            let tasks: Vec<TaskDefinitionAndStatus> = tasks.try_collect().await.unwrap();
            let over = |task: &TaskDefinitionAndStatus| {
                ["completed", "failed", "exception"].contains(&task.status.state.as_str())
            };
            let first = tasks.iter().find(|task| task.status.task_id == group);
            let failed = first.is_some_and(|first| over(first) && first.status.state.as_str() != "completed");
            (failed || tasks.len() == 3 && tasks.iter().all(over)).then_some(tasks)
        })
        .await;
        for made in &tasks {
            let log = root.artifacts().download_latest(&made.status.task_id, "public/logs/live_backing.log");
            let log = soon(log.to_memory(1_000_000)).await.unwrap_or_default();
            let state = made.status.state.as_str();
            assert_eq!(state, "completed", "{}: {}", made.task.metadata.name, String::from_utf8_lossy(&log));
        }
        for (name, text) in [("build", "built\n"), ("test", "tested\n")] {
            let made = tasks.iter().find(|task| task.task.metadata.name == name).unwrap();
            let result = root.artifacts().download_latest(&made.status.task_id, "public/result.txt");
            assert_eq!(soon(result.to_memory(100)).await.unwrap(), text);
        }

        shutdown.now();
        soon(working).await.unwrap().unwrap();
        deployment.stop().await;
    }
}
