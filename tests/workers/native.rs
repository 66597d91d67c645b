//! The native worker and the queue: what becomes of tasks when somebody cancels, goes away or dies.

use std::time::Duration;

use futures_util::FutureExt;
use harness::{Backend, Deployment, Options, Tester, soon, task, until};
use serde_json::json;
use taskcluster::queue::TaskStatus;
use taskcluster::{TaskId, object};
use taskcluster_native_worker::{Isolation, NativeWorker, Shutdown};
use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;

const QUEUE: &str = "test/native-lives";

struct Bench {
    deployment: Deployment,
    root: Tester,
    folder: tempfile::TempDir,
}

impl Bench {
    async fn start(backend: Backend) -> Self {
        let options = Options::on(backend).with_claim_wait(Duration::from_secs(5));
        let deployment = soon(Deployment::start(options)).await.unwrap();
        let root = deployment.root();
        Self { deployment, root, folder: tempfile::tempdir().unwrap() }
    }

    /// A task that says it is ready and then waits for the file `go` beside the worker's directory.
    async fn waiting_task(&self) -> TaskId {
        let go = self.folder.path().join("go");
        let script = format!("echo READY; while ! test -e {}; do sleep 0.02; done; echo GONE ON", go.display());
        let mut definition =
            task(self.root.now()).with_task_queue_id(QUEUE.parse::<taskcluster::TaskQueueId>().unwrap());
        definition.payload = object! { "command": json!([["/bin/sh", "-c", script]]), "maxRunTime": 600 };
        self.root.create(&definition).await
    }

    /// Let waiting tasks go on.
    fn go(&self) {
        std::fs::write(self.folder.path().join("go"), "").unwrap();
    }

    async fn work(&self, shutdown: &Shutdown) -> JoinHandle<()> {
        let worker = NativeWorker::builder(self.deployment.root_url(), QUEUE.parse().unwrap())
            .credentials(self.root.caller().credentials().unwrap())
            .worker_group("lives")
            .worker_id("native")
            .work_dir(self.folder.path().join("work"))
            .isolation(Isolation::None)
            .build();
        let (worker, shutdown) = (soon(worker).await.unwrap(), shutdown.clone());
        tokio::spawn(async move { worker.run(shutdown).await.map(drop).unwrap() })
    }

    /// Wait until the code of a run has said that it is ready.
    async fn ready(&self, task_id: &TaskId, run_id: u32) {
        let log = self.folder.path().join(format!("work/runs/{task_id}_{run_id}/log"));
        until(|| async {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            log.lines().any(|line| line == "READY").then_some(())
        })
        .await;
    }

    async fn status_when(&self, task_id: &TaskId, wanted: impl Fn(&TaskStatus) -> bool) -> TaskStatus {
        until(|| self.root.status(task_id).map(|status| wanted(&status).then_some(status))).await
    }

    /// The log of a run, once it is there.
    async fn log(&self, task_id: &TaskId, run_id: u32) -> String {
        let log = until(|| async {
            let download = self.root.artifacts().download(task_id, run_id, "public/logs/live_backing.log");
            download.to_memory(1_000_000).await.ok()
        });
        String::from_utf8(log.await.to_vec()).unwrap()
    }
}

fn run_is(status: &TaskStatus, run: usize, state: &str, reason: Option<&str>) -> bool {
    status.runs.get(run).is_some_and(|run| {
        run.state.as_str() == state && run.reason_resolved.as_ref().map(|reason| reason.as_str()) == reason
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_task_is_stopped_and_its_log_kept() {
    for backend in Backend::available() {
        let bench = Bench::start(backend).await;
        let shutdown = Shutdown::new();
        let working = bench.work(&shutdown).await;
        let task_id = bench.waiting_task().await;
        bench.ready(&task_id, 0).await;
        soon(bench.root.queue().cancel_task(&task_id).into_future()).await.unwrap();
        let log = bench.log(&task_id, 0).await;
        assert!(log.contains("READY\n") && log.contains("cancelled") && !log.contains("GONE ON\n"), "{log}");
        let status = bench.root.status(&task_id).await;
        assert!(run_is(&status, 0, "exception", Some("canceled")), "{status:?}");
        shutdown.drain();
        soon(working).await.unwrap();
        bench.deployment.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_goes_gives_its_task_to_the_next() {
    for backend in Backend::available() {
        let bench = Bench::start(backend).await;
        let shutdown = Shutdown::new();
        let working = bench.work(&shutdown).await;
        let task_id = bench.waiting_task().await;
        bench.ready(&task_id, 0).await;
        shutdown.now();
        soon(working).await.unwrap();
        let status = bench.root.status(&task_id).await;
        assert!(run_is(&status, 0, "exception", Some("worker-shutdown")), "{status:?}");
        assert!(run_is(&status, 1, "pending", None), "{status:?}");
        assert!(bench.log(&task_id, 0).await.contains("READY\n"));

        bench.go();
        let shutdown = Shutdown::new();
        let working = bench.work(&shutdown).await;
        bench.status_when(&task_id, |status| run_is(status, 1, "completed", Some("completed"))).await;
        assert!(bench.log(&task_id, 1).await.contains("GONE ON\n"));
        shutdown.now();
        soon(working).await.unwrap();
        bench.deployment.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_died_gives_its_task_back_when_it_starts_again() {
    for backend in Backend::available() {
        let bench = Bench::start(backend).await;
        let working = bench.work(&Shutdown::new()).await;
        let task_id = bench.waiting_task().await;
        bench.ready(&task_id, 0).await;
        // Nothing is reported: this is as good as a kill.
        working.abort();
        assert!(soon(working).await.unwrap_err().is_cancelled());
        assert!(run_is(&bench.root.status(&task_id).await, 0, "running", None));

        bench.go();
        let shutdown = Shutdown::new();
        let working = bench.work(&shutdown).await;
        let status = bench.status_when(&task_id, |status| run_is(status, 1, "completed", Some("completed"))).await;
        assert!(run_is(&status, 0, "exception", Some("worker-shutdown")), "{status:?}");
        shutdown.now();
        soon(working).await.unwrap();
        bench.deployment.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_at_one_name_while_the_task_runs_and_after() {
    for backend in Backend::available() {
        let bench = Bench::start(backend).await;
        let shutdown = Shutdown::new();
        let working = bench.work(&shutdown).await;
        let task_id = bench.waiting_task().await;
        bench.ready(&task_id, 0).await;
        let (mut writer, mut reader) = tokio::io::duplex(64 * 1024);
        let live = bench.root.artifacts().download(&task_id, 0, "public/logs/live.log");
        // Ends when the log does.
        let following = tokio::spawn(async move { live.to_writer(&mut writer).await.map(drop).unwrap() });
        let mut live = Vec::new();
        while !String::from_utf8_lossy(&live).contains("READY\n") {
            assert!(soon(reader.read_buf(&mut live)).await.unwrap() > 0, "the log goes on");
        }
        bench.go();
        soon(reader.read_to_end(&mut live)).await.unwrap();
        soon(following).await.unwrap();
        assert!(String::from_utf8_lossy(&live).contains("READY\nGONE ON\n"));
        bench.status_when(&task_id, |status| status.state.as_str() == "completed").await;
        let after = bench.root.artifacts().download(&task_id, 0, "public/logs/live.log");
        let after = String::from_utf8(soon(after.to_memory(1_000_000)).await.unwrap().to_vec()).unwrap();
        assert!(after.contains("READY\nGONE ON\n"), "{after}");
        shutdown.now();
        soon(working).await.unwrap();
        bench.deployment.stop().await;
    }
}
