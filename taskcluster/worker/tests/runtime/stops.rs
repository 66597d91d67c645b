//! Runs that are stopped from outside.

use std::time::Duration;

use serde_json::json;
use taskcluster::events::{Bus, MemoryBus, Message};
use taskcluster::queue::events::TaskException;
use taskcluster_core::ids::TaskId;
use taskcluster_worker::testing::FakeQueue;
use taskcluster_worker::{Settings, WhyDone};

use crate::bench::{Bench, Trouble};

#[tokio::test]
async fn a_cancelled_task_is_stopped_without_a_report_and_its_log_uploaded() {
    is_stopped(FakeQueue::cancel, "exception canceled", "cancelled").await;
}

#[tokio::test]
async fn a_task_past_its_deadline_is_stopped_without_a_report_and_its_log_uploaded() {
    is_stopped(FakeQueue::pass_deadline, "exception deadline-exceeded", "past its deadline").await;
}

async fn is_stopped(end: impl FnOnce(&FakeQueue, &TaskId), state: &str, why: &str) {
    let bench = Bench::new().await;
    let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
    let ending = async {
        bench.live(&task_id).await;
        end(&bench.queue, &task_id);
    };
    tokio::join!(bench.run(), ending);
    assert_eq!(bench.queue.state(&task_id), state);
    assert!(bench.log(&task_id).contains(&format!("the run is stopped: {why}\n")));
    for report in ["/completed", "/failed", "/exception"] {
        assert!(!bench.queue.received().iter().any(|request| request.line.ends_with(report)), "{report}");
    }
}

#[tokio::test]
async fn a_cancellation_is_heard_where_there_are_events() {
    let mut bench = Bench::new().await;
    let bus = MemoryBus::new();
    bench.bus = Some(bus.clone());
    let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
    let cancel = async {
        bench.live(&task_id).await;
        bench.queue.cancel(&task_id);
        // A run of somebody else is none of its business, and what it hears is only a reason to ask.
        for worker in ["other", "worker"] {
            let key = TaskException::key(
                &task_id,
                Some(0.into()),
                Some("group"),
                Some(worker),
                "test",
                "worker",
                "-",
                &task_id,
            );
            bus.publish(Message::new(TaskException::EXCHANGE.exchange, key, "{}")).await.unwrap();
        }
    };
    // It does not ask by itself.
    let seldom = bench.run_with(|settings| settings.cancel_poll = Duration::from_secs(3600), None);
    tokio::join!(seldom, cancel);
    assert!(bench.log(&task_id).contains("the run is stopped: cancelled\n"));
}

#[tokio::test]
async fn without_a_bus_that_works_the_queue_is_asked() {
    let mut bench = Bench::new().await;
    let bus = MemoryBus::new();
    bus.close();
    bench.bus = Some(bus);
    let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
    let cancel = async {
        bench.live(&task_id).await;
        bench.queue.cancel(&task_id);
    };
    tokio::join!(bench.run(), cancel);
    assert!(bench.log(&task_id).contains("the run is stopped: cancelled\n"));
}

#[tokio::test]
async fn shutdown_gives_the_run_back_at_once_and_then_uploads_the_log() {
    let bench = Bench::new().await;
    let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
    let shut = async {
        bench.live(&task_id).await;
        bench.shutdown.now();
    };
    let (done, ()) = tokio::join!(bench.run_with(|settings| settings.task_limit = None, None), shut);
    assert_eq!(done.why, WhyDone::Shutdown);
    assert_eq!(bench.queue.state(&task_id), "exception worker-shutdown");
    assert!(bench.log(&task_id).contains("worker-shutdown"));
    assert!(bench.position("/exception") < bench.position("PUT /content"));
}

#[tokio::test]
async fn shutdown_tells_the_queue_without_waiting_for_what_does_not_end() {
    let bench = Bench::new().await;
    let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
    let shut = async {
        bench.live(&task_id).await;
        bench.shutdown.now();
    };
    let settings = |settings: &mut Settings| settings.task_limit = None;
    let (done, ()) = tokio::join!(bench.run_with(settings, Some(Trouble::Stays)), shut);
    assert_eq!(done.why, WhyDone::Shutdown);
    assert_eq!(bench.queue.state(&task_id), "exception worker-shutdown");
    let reports = bench.queue.received().iter().filter(|request| request.line.ends_with("/exception")).count();
    assert_eq!(reports, 1);
    assert!(bench.log(&task_id).contains("worker-shutdown"));
}

#[tokio::test]
async fn the_log_says_why_the_worker_goes() {
    let bench = Bench::new().await;
    let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
    let shut = async {
        bench.live(&task_id).await;
        bench.shutdown.now_because("the house is on fire");
        bench.shutdown.now_because("there is a flood");
    };
    tokio::join!(bench.run_with(|settings| settings.task_limit = None, None), shut);
    let log = bench.log(&task_id);
    assert!(log.contains("[taskcluster:error] the run is stopped: the house is on fire\n"), "{log}");
    assert!(log.contains("=== Task Ends: worker-shutdown ===") && !log.contains("flood"), "{log}");
}

#[tokio::test]
async fn what_was_cancelled_before_the_worker_was_told_to_go_was_cancelled() {
    let bench = Bench::new().await;
    let task_id = bench.add(json!({"mock": [{"forever": "running"}]}));
    let shut = async {
        bench.live(&task_id).await;
        bench.queue.cancel(&task_id);
        bench.shutdown.now();
    };
    let settings = |settings: &mut Settings| {
        settings.task_limit = None;
        settings.cancel_poll = Duration::from_secs(3600);
    };
    tokio::join!(bench.run_with(settings, None), shut);
    assert_eq!(bench.queue.state(&task_id), "exception canceled");
    assert!(bench.log(&task_id).contains("=== Task Ends: cancelled ==="), "{}", bench.log(&task_id));
}

#[tokio::test]
async fn drain_lets_the_run_end() {
    let bench = Bench::new().await;
    let task_id = bench.add(json!({"mock": [{"forever": "running"}], "maxRunTime": 2}));
    let drain = async {
        bench.live(&task_id).await;
        bench.shutdown.drain();
    };
    let (done, ()) = tokio::join!(bench.run_with(|settings| settings.task_limit = None, None), drain);
    assert_eq!((done.runs, done.why), (1, WhyDone::Shutdown));
    assert_eq!(bench.queue.state(&task_id), "failed");
}
