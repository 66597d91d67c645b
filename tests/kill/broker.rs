//! The broker is away for a while: the queue goes on as if nothing were, and tells what happened when the broker is back.

use std::collections::BTreeMap;

use harness::{Broker, Ground, Process, Tester, program, soon};
use taskcluster::TaskId;
use taskcluster::events::{AmqpBus, Binding, Bus, BusError, Subscription};

/// What is told of a task's life, in this order.
const LIFE: [&str; 4] = ["task-defined", "task-pending", "task-running", "task-completed"];

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_while_the_broker_is_away_is_told_in_order_when_it_is_back() {
    let Some(program) = program() else { return };
    let Some(mut broker) = Broker::start().await else { return };
    let bus = Some(broker.url().to_owned());
    let process = Process::start(program, Ground { bus, ..Ground::default() }).await.unwrap();
    let root = process.root();
    // In a queue that stays when the broker ends.
    let queue = TaskId::new().to_string();
    let mut told = everything_told_of_tasks(&AmqpBus::new(broker.url()).unwrap().with_queue(queue)).await;

    let mut tasks = lives(&root, 20).await;
    broker.end().await.unwrap();
    tasks.extend(lives(&root, 40).await);
    broker.restart().await.unwrap();
    tasks.extend(lives(&root, 20).await);

    let mut heard: BTreeMap<TaskId, Vec<String>> = BTreeMap::new();
    while tasks.iter().any(|task| heard.get(task).is_none_or(|life| life.len() < LIFE.len())) {
        let (task, happened) = next(&mut told).await;
        let life = heard.entry(task).or_default();
        // What was published when the broker ended may be told twice.
        if !life.contains(&happened) {
            life.push(happened);
        }
    }
    for task in &tasks {
        assert_eq!(heard[task], LIFE, "{task}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_from_a_broker_that_is_spoken_to_over_tls() {
    let Some(program) = program() else { return };
    let variables = ["TEST_AMQP", "TEST_AMQPS", "TEST_AMQPS_CERTIFICATE"].map(std::env::var);
    let [Ok(plain), Ok(bus), Ok(certificates)] = variables else {
        println!("skipped: TEST_AMQPS is not set");
        return;
    };
    let mut told = everything_told_of_tasks(&AmqpBus::new(&plain).unwrap()).await;
    let ground = Ground { bus: Some(bus), certificates: Some(certificates.into()), ..Ground::default() };
    let process = Process::start(program, ground).await.unwrap();
    let tasks = lives(&process.root(), 1).await;
    let mut life = Vec::new();
    while life.len() < LIFE.len() {
        // Others may use the broker, too.
        let (task, happened) = next(&mut told).await;
        if tasks.contains(&task) {
            life.push(happened);
        }
    }
    assert_eq!(life, LIFE);
}

async fn everything_told_of_tasks(bus: &AmqpBus) -> Subscription {
    let exchange = |happened| Binding::everything(format!("exchange/taskcluster-queue/v1/{happened}"));
    soon(bus.subscribe(LIFE.map(exchange).to_vec())).await.unwrap()
}

/// Tasks that are created, claimed and completed, while nobody waits for a broker.
async fn lives(root: &Tester, count: usize) -> Vec<TaskId> {
    let mut tasks = Vec::new();
    for _ in 0..count {
        root.create_task().await;
        let claim = root.claim().await;
        soon(claim.completed()).await.unwrap();
        tasks.push(claim.task_id);
    }
    tasks
}

/// Of which task what is told.
async fn next(told: &mut Subscription) -> (TaskId, String) {
    loop {
        match soon(told.next()).await.expect("it goes on") {
            Ok(message) => {
                let happened = message.exchange.rsplit('/').next().expect("a name");
                let task = message.routing_key.split('.').nth(1).expect("a task");
                return (task.parse().expect("a task's id"), happened.to_owned());
            }
            Err(BusError::Interrupted) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
