//! The log so far, which is kept for the case that the machine is lost.

use std::time::Duration;

use taskcluster_core::Clock;
use taskcluster_core::clock::{ManualClock, SystemClock};
use taskcluster_worker::plugins::{BACKING_LOG, BackingLog, LIVE_LOG, LiveLog};

use crate::stage::Stage;

async fn keeping(every: Duration) -> Stage {
    let live_log = LiveLog::at("127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap()).await.unwrap();
    Stage::with(live_log, BackingLog::default().every(every)).await
}

const OFTEN: Duration = Duration::from_millis(20);

impl Stage {
    async fn until_kept(&self, part: &str) {
        self.queue.until(|queue| queue.text(&self.task_id, BACKING_LOG).contains(part)).await;
    }

    fn uploads(&self) -> usize {
        self.queue.received().iter().filter(|request| request.line.starts_with("PUT /content")).count()
    }
}

#[tokio::test]
async fn the_log_so_far_is_kept_under_the_name_of_the_whole_one() {
    let mut stage = keeping(OFTEN).await;
    stage.log.write(b"first\nsec");
    stage.until_kept("first\nsec\n").await;
    assert!(String::from_utf8(stage.kept()).unwrap().ends_with(" the run went on from here\n"));
    // The live log is still the worker's.
    assert_eq!(stage.queue.artifact(&stage.task_id, LIVE_LOG).unwrap().created["storageType"], "reference");
    stage.log.write(b"ond\n");
    stage.until_kept("second\n").await;
    stage.end().await;
    let kept = String::from_utf8(stage.kept()).unwrap();
    assert!(kept.contains("first\nsecond\n") && !kept.contains("went on from here"), "{kept}");
}

#[tokio::test]
async fn it_is_kept_each_minute_unless_somebody_says_otherwise() {
    let clock = ManualClock::at(SystemClock.now());
    let live_log = LiveLog::at("127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap()).await.unwrap();
    let mut stage = Stage::by_clock(clock.shared(), live_log, BackingLog::default()).await;
    clock.advance(Duration::from_secs(59));
    // Whatever had been due would have begun before this is answered.
    Stage::with(
        LiveLog::at("127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap()).await.unwrap(),
        BackingLog::default(),
    )
    .await
    .end()
    .await;
    assert_eq!(stage.uploads(), 0);
    stage.log.write(b"first\n");
    clock.advance(Duration::from_secs(1));
    stage.until_kept("first\n").await;
    stage.log.write(b"second\n");
    clock.advance(Duration::from_secs(60));
    stage.until_kept("second\n").await;
    assert_eq!(stage.uploads(), 2);
    stage.end().await;
}

#[tokio::test]
async fn the_queue_is_not_told_a_length_that_will_change() {
    let mut stage = keeping(OFTEN).await;
    stage.until_kept("Task Starting").await;
    let created = stage.queue.request("artifacts/public%2Flogs%2Flive_backing.log").await;
    let created: serde_json::Value = serde_json::from_slice(&created.body).unwrap();
    assert_eq!((created["storageType"].as_str(), created.get("contentLength")), (Some("s3"), None));
    stage.end().await;
}

#[tokio::test]
async fn it_can_be_turned_off() {
    let mut stage = keeping(Duration::ZERO).await;
    stage.log.write(b"something\n");
    // What comes next is the first that the queue hears of the log.
    stage.end().await;
    assert_eq!(stage.uploads(), 1);
}

#[tokio::test]
async fn uploads_that_fail_cost_the_run_one_line() {
    let mut stage = keeping(OFTEN).await;
    stage.queue.fail_uploads(true);
    let before = stage.uploads();
    for round in 1..=3 {
        stage.log.write(b"more\n");
        stage.queue.until(|_| stage.uploads() >= before + round).await;
    }
    stage.queue.fail_uploads(false);
    stage.end().await;
    let kept = String::from_utf8(stage.kept()).unwrap();
    assert_eq!(kept.matches("the log so far cannot be kept").count(), 1, "{kept}");
}
