//! Workers that somebody needs, or no longer.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use taskcluster_worker::{Done, Needed, Overseer, Settings, WhyDone};
use tokio::sync::{mpsc, oneshot};

use crate::bench::Bench;

/// How long a worker is idle before it asks.
const IDLE: Duration = Duration::from_millis(50);

/// An overseer whom a test answers for.
#[derive(Debug)]
pub(crate) struct Remote {
    questions: mpsc::UnboundedSender<Question>,
    dismissed: Mutex<Option<oneshot::Receiver<String>>>,
}

/// How long the worker has been idle, and where the answer goes.
type Question = (Duration, oneshot::Sender<Needed>);

/// Where a test answers.
struct Desk {
    questions: mpsc::UnboundedReceiver<Question>,
    dismiss: Option<oneshot::Sender<String>>,
}

#[async_trait]
impl Overseer for Remote {
    async fn idle(&self, idle: Duration) -> Needed {
        let (answer, answered) = oneshot::channel();
        self.questions.send((idle, answer)).unwrap();
        answered.await.unwrap()
    }

    async fn dismissed(&self) -> String {
        let dismissed = self.dismissed.lock().unwrap().take().expect("it is called once");
        match dismissed.await {
            Ok(reason) => reason,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Desk {
    async fn of(bench: &mut Bench) -> Self {
        let (asks, questions) = mpsc::unbounded_channel();
        let (dismiss, dismissed) = oneshot::channel();
        let remote = Remote { questions: asks, dismissed: Mutex::new(Some(dismissed)) };
        bench.overseer = Mutex::new(Some(remote));
        Self { questions, dismiss: Some(dismiss) }
    }

    async fn question(&mut self) -> Question {
        self.questions.recv().await.expect("the worker asks")
    }
}

fn settings(settings: &mut Settings) {
    settings.task_limit = None;
    settings.idle_timeout = Some(IDLE);
}

/// The worker works while the test does its part.
async fn beside<T>(bench: &Bench, part: impl Future<Output = T>) -> (Done, T) {
    tokio::join!(bench.run_with(settings, None), part)
}

#[tokio::test]
async fn an_idle_worker_that_is_needed_stays_and_asks_again() {
    let mut bench = Bench::new().await;
    let mut desk = Desk::of(&mut bench).await;
    let answers = async {
        for times in 1..=3u32 {
            let (idle, answer) = desk.question().await;
            assert!(idle >= IDLE * times, "{idle:?}");
            let needed = if times < 3 { Needed::Yes } else { Needed::No("enough".to_owned()) };
            answer.send(needed).unwrap();
        }
    };
    let (done, ()) = beside(&bench, answers).await;
    assert_eq!((done.runs, done.why), (0, WhyDone::Idle));
}

#[tokio::test]
async fn a_task_that_is_granted_at_the_moment_of_the_answer_is_run() {
    let mut bench = Bench::new().await;
    let mut desk = Desk::of(&mut bench).await;
    let answer = async {
        let (_, answer) = desk.question().await;
        bench.queue.request("claim-work").await;
        // The claim that waits at the queue gets it, before or after the worker has heard the answer.
        let granted = bench.add(json!({"mock": []}));
        answer.send(Needed::No("enough".to_owned())).unwrap();
        granted
    };
    let (done, granted) = beside(&bench, answer).await;
    assert_eq!(bench.queue.state(&granted), "completed");
    assert_eq!((done.runs, done.why), (1, WhyDone::Idle));
}

#[tokio::test]
async fn an_answer_counts_though_there_is_a_task_by_then() {
    let mut bench = Bench::new().await;
    let mut desk = Desk::of(&mut bench).await;
    let answer = async {
        let (_, answer) = desk.question().await;
        let first = bench.add(json!({"mock": [{"forever": "running"}], "maxRunTime": 1}));
        bench.live(&first).await;
        answer.send(Needed::No("enough".to_owned())).unwrap();
        (first, bench.add(json!({"mock": []})))
    };
    let (done, (first, second)) = beside(&bench, answer).await;
    assert_eq!((bench.queue.state(&first), bench.queue.state(&second)), ("failed".to_owned(), "pending".to_owned()));
    assert_eq!((done.runs, done.why), (1, WhyDone::Idle));
}

#[tokio::test]
async fn a_worker_that_is_dismissed_ends_what_it_does_and_begins_nothing() {
    let mut bench = Bench::new().await;
    let mut desk = Desk::of(&mut bench).await;
    let first = bench.add(json!({"mock": [{"forever": "running"}], "maxRunTime": 1}));
    let dismissal = async {
        bench.live(&first).await;
        desk.dismiss.take().unwrap().send("the place is closed".to_owned()).unwrap();
        bench.add(json!({"mock": []}))
    };
    let (done, second) = beside(&bench, dismissal).await;
    assert_eq!((bench.queue.state(&first), bench.queue.state(&second)), ("failed".to_owned(), "pending".to_owned()));
    assert_eq!((done.runs, done.why), (1, WhyDone::Dismissed));
}

#[tokio::test]
async fn whoever_hears_the_queue_out_can_be_told_to_go_at_once() {
    let mut bench = Bench::new().await;
    let mut desk = Desk::of(&mut bench).await;
    let answer = async {
        let (_, answer) = desk.question().await;
        bench.queue.request("claim-work").await;
        answer.send(Needed::No("enough".to_owned())).unwrap();
        // The worker hears it, and waits for the queue, which takes seconds to say that there is nothing.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        bench.shutdown.now();
    };
    let (done, ()) = beside(&bench, answer).await;
    assert_eq!((done.runs, done.why), (0, WhyDone::Shutdown));
}

#[tokio::test]
async fn a_worker_that_waits_for_something_else_than_the_queue_goes_at_once() {
    let mut bench = Bench::new().await;
    let mut desk = Desk::of(&mut bench).await;
    bench.queue.fail_claims(400, u32::MAX);
    let answer = async {
        let (_, answer) = desk.question().await;
        answer.send(Needed::No("enough".to_owned())).unwrap();
    };
    // The next claim would be hours away.
    let slow = |values: &mut Settings| {
        settings(values);
        (values.backoff, values.backoff_limit) = (Duration::from_secs(86400), Duration::from_secs(86400));
    };
    let (done, ()) = tokio::join!(bench.run_with(slow, None), answer);
    assert_eq!((done.runs, done.why), (0, WhyDone::Idle));
}
