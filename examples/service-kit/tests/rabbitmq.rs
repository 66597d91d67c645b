//! The outbox in front of RabbitMQ, with a network between them that is cut. With the broker that `TEST_AMQP` names.
#![cfg(feature = "amqp")]
#![allow(clippy::disallowed_methods, reason = "what a test spawns ends with its runtime")]

#[allow(dead_code, reason = "the suite of the bus uses the rest of it")]
#[path = "../../../taskcluster/tests/bus/proxy.rs"]
mod proxy;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proxy::Proxy;
use service_kit::bus::BusUrl;
use service_kit::outbox::{self, Message, Relay};
use service_kit::store::{Database, OnSqlite, SqliteStore};
use taskcluster::events::Binding;
use taskcluster_core::clock::SystemClock;
use taskcluster_core::ids::TaskId;
use tokio_util::sync::CancellationToken;
use url::Url;

const LONG: Duration = Duration::from_secs(240);

const TASKS: usize = 10;
const ROUNDS: usize = 40;

/// The broker, directly and behind a network of our own.
async fn broker() -> Option<(BusUrl, BusUrl, Proxy)> {
    let Ok(direct) = std::env::var("TEST_AMQP") else {
        println!("skipped: TEST_AMQP is not set");
        return None;
    };
    let mut url: Url = direct.parse().unwrap();
    let proxy = Proxy::start(format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5672))).await;
    url.set_host(Some(&proxy.address().ip().to_string())).unwrap();
    url.set_port(Some(proxy.address().port())).unwrap();
    Some((direct.parse().unwrap(), url.as_str().parse().unwrap(), proxy))
}

/// One message of each task, as one change of state brings them.
async fn write(store: &SqliteStore, exchange: &str, round: usize) {
    let message = |task: usize| Message {
        exchange: exchange.to_owned(),
        routing_key: format!("primary.{task}.{round}"),
        cc: vec![format!("route.{task}")],
        payload: "{}".to_owned(),
    };
    let messages: Vec<Message> = (0..TASKS).map(message).collect();
    let written = store.write(move |connection| {
        let messages = messages.clone();
        Box::pin(async move { outbox::insert(&mut OnSqlite(connection), &messages).await })
    });
    tokio::time::timeout(LONG, written).await.expect("whoever changes something does not wait for the broker").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_comes_and_goes_gets_every_message_in_the_order_of_its_task() {
    let Some((direct, behind, proxy)) = broker().await else { return };
    let exchange = format!("exchange/test-{}/v1/happened", TaskId::new());
    let migrations = [("0001_outbox.sql", outbox::SQLITE_TABLE)];
    let store = SqliteStore::open(&Database::Memory, "test", &migrations).await.unwrap();
    let mut listener = direct.open().unwrap().subscribe(vec![Binding::everything(&exchange)]).await.unwrap();
    let relay = Relay::new(Arc::new(store.clone()), behind.open().unwrap(), SystemClock::shared());
    let stop = CancellationToken::new();
    let relaying = tokio::spawn(relay.run(stop.clone()));

    let receiving = tokio::spawn(async move {
        let mut received: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        while received.len() < TASKS || received.values().any(|rounds| rounds.len() < ROUNDS) {
            let message = listener.next().await.unwrap().unwrap();
            let words: Vec<&str> = message.routing_key.split('.').collect();
            let rounds = received.entry(words[1].to_owned()).or_default();
            let round = words[2].parse().unwrap();
            // A message may come again.
            if !rounds.contains(&round) {
                rounds.push(round);
            }
        }
        received
    });
    for round in 0..ROUNDS {
        match round {
            10 | 30 => proxy.cut().await,
            20 | 35 => proxy.restore(),
            _ => {}
        }
        write(&store, &exchange, round).await;
    }
    let received = tokio::time::timeout(LONG, receiving).await.expect("nothing is lost").unwrap();
    let expected: Vec<usize> = (0..ROUNDS).collect();
    for (task, rounds) in received {
        assert_eq!(rounds, expected, "of task {task}");
    }
    stop.cancel();
    tokio::time::timeout(LONG, relaying).await.unwrap().unwrap();
}
