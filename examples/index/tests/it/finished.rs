//! Completed tasks find their way into the index, once and for all.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use service_kit::service::{Loops, Service as _};
use service_kit::store::Database;
use taskcluster::events::{Binding, Bus as _, MemoryBus, Message};
use taskcluster::queue::events::TaskCompleted;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{hours, minutes};
use tokio_util::sync::CancellationToken;

use crate::tester::{Tester, completed, soon};

#[tokio::test]
async fn a_completed_task_is_found_by_its_routes() {
    let tester = Tester::new().await;
    let extra = json!({ "index": { "rank": 3, "data": { "what": "it is" } } });
    let routes = ["index.a.b", "notify.x", "index.c"];
    let task_id = tester.task(&routes, &extra);
    assert!(tester.find("a.b").await.is_none());
    tester.completed(task_id, &routes).await;
    tester.service.catch_up().await.unwrap();
    for path in ["a.b", "c"] {
        let found = tester.find(path).await.unwrap();
        assert_eq!((found.namespace.as_str(), found.task_id, found.rank), (path, task_id, 3.0));
        assert_eq!(found.data["what"], "it is");
    }
    assert!(tester.service.store().waiting(0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_latest_of_equal_rank_stays_in_whatever_order_messages_come() {
    let tester = Tester::new().await;
    let routes = ["index.latest"];
    let (first, second) = (tester.task(&routes, &json!({})), tester.task(&routes, &json!({})));
    let (early, late) = (tester.now(), tester.now() + minutes(5));
    tester.clock.advance(minutes(10));
    let tap = tester.service.tap(Arc::new(tester.bus.clone()));
    // The second is told first, and the first one comes twice.
    for (task_id, when) in [(second, late), (first, early), (first, early)] {
        tap.publish(completed(task_id, when, &routes)).await.unwrap();
        tester.service.catch_up().await.unwrap();
        assert_eq!(tester.find("latest").await.unwrap().task_id, second);
    }
}

#[tokio::test]
async fn messages_reach_those_who_listen_as_well() {
    let tester = Tester::new().await;
    let mut heard = tester.bus.subscribe(vec![Binding::everything(TaskCompleted::EXCHANGE.exchange)]).await.unwrap();
    let (indexed, other) = (tester.task(&["index.a"], &json!({})), TaskId::new());
    tester.completed(indexed, &["index.a"]).await;
    tester.completed(other, &[]).await;
    for task_id in [indexed, other] {
        let message = soon(heard.next()).await.unwrap().unwrap();
        assert!(message.routing_key.contains(&task_id.to_string()));
    }
    assert_eq!(tester.service.store().waiting(0, 10).await.unwrap().len(), 1, "the other wants nothing");
}

#[tokio::test]
async fn a_queue_that_is_away_is_waited_for() {
    let tester = Tester::new().await;
    let (task_id, routes) = (TaskId::new(), ["index.a"]);
    tester.queue_is_there(false);
    tester.completed(task_id, &routes).await;
    tester.service.catch_up().await.unwrap();
    assert_eq!(tester.service.store().waiting(0, 10).await.unwrap().len(), 1);
    tester.queue_is_there(true);
    tester.add(task_id, &routes, &json!({}));
    tester.service.catch_up().await.unwrap();
    assert_eq!(tester.find("a").await.unwrap().task_id, task_id);
}

#[tokio::test]
async fn a_task_that_is_gone_and_one_that_asks_for_nonsense_are_forgotten_and_others_go_on() {
    let tester = Tester::new().await;
    tester.completed(TaskId::new(), &["index.gone"]).await;
    let nonsense = tester.task(&["index.nonsense"], &json!({ "index": { "rank": [] } }));
    tester.completed(nonsense, &["index.nonsense"]).await;
    let tap = tester.service.tap(Arc::new(tester.bus.clone()));
    let unreadable = Message::new(TaskCompleted::EXCHANGE.exchange, "primary.x", "no JSON").with_cc(["route.index.a"]);
    tap.publish(unreadable).await.unwrap();
    let fine = tester.task(&["index.fine"], &json!({}));
    tester.completed(fine, &["index.fine"]).await;
    tester.service.catch_up().await.unwrap();
    assert!(tester.service.store().waiting(0, 10).await.unwrap().is_empty());
    assert!(tester.find("gone").await.is_none() && tester.find("nonsense").await.is_none());
    assert_eq!(tester.find("fine").await.unwrap().task_id, fine);
}

/// The process ends without a goodbye between the queue's message and anything that the index does about it.
#[tokio::test]
async fn what_the_bus_has_taken_over_survives_the_end_of_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let database = || Database::Sqlite(folder.path().join("index.db"));
    let (task_id, routes) = (TaskId::new(), ["index.a"]);
    let before = Tester::on(database()).await;
    before.completed(task_id, &routes).await;
    drop(before);
    let after = Tester::on(database()).await;
    after.add(task_id, &routes, &json!({}));
    after.service.catch_up().await.unwrap();
    assert_eq!(after.find("a").await.unwrap().task_id, task_id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_listens_by_itself_and_the_loops_do_all_that() {
    let bus = MemoryBus::new();
    let tester = Tester::with(Database::Memory, |options| options.hearing(Arc::new(bus.clone()))).await;
    let routes = ["index.a"];
    let task_id = tester.task(&routes, &json!({}));
    tester.insert("old", 0.0).await;
    tester.clock.advance(hours(24 * 11));
    let loops = Loops::start(tester.service.background(), &CancellationToken::new());
    // Until it listens, nobody hears; whoever hears twice does no harm.
    soon(async {
        while tester.find("a").await.is_none() {
            bus.publish(completed(task_id, tester.now(), &routes)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    soon(loops.stop()).await.unwrap();
    assert_eq!(tester.find("a").await.unwrap().task_id, task_id);
}
