//! With the broker that `TEST_AMQP` names: nothing is missed while no process of this service is there.

use std::time::Duration;

use serde_json::json;
use service_kit::bus::BusUrl;
use service_kit::service::{Loops, Service as _};
use service_kit::store::Database;
use taskcluster::events::Message;
use taskcluster_core::ids::TaskId;
use tokio_util::sync::CancellationToken;

use crate::tester::{Tester, completed, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_completed_while_nobody_listens_is_indexed_afterwards() {
    let Ok(url) = std::env::var("TEST_AMQP") else {
        println!("skipped: TEST_AMQP is not set");
        return;
    };
    let url: BusUrl = url.parse().expect("TEST_AMQP is a URL");
    let (publisher, queue) = (url.open().unwrap(), format!("test-index-{}", TaskId::new()));
    let tester =
        async || Tester::with(Database::Memory, |options| options.hearing(url.open_queue(&queue).unwrap())).await;
    // Others may be told of as well: the broker is not ours alone.
    let path = format!("test.{}", TaskId::new());
    let route = format!("index.{path}");
    let routes = [route.as_str()];

    let before = tester().await;
    let task_id = before.task(&routes, &json!({}));
    let loops = Loops::start(before.service.background(), &CancellationToken::new());
    soon(async {
        // Its queue may not be there yet.
        while before.find(&path).await.is_none() {
            publisher.publish(completed(task_id, before.now(), &routes)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    soon(loops.stop()).await.unwrap();
    drop(before);

    let after = tester().await;
    let task_id = after.task(&routes, &json!({}));
    let broken = completed(task_id, after.now(), &routes);
    let broken = Message::new(broken.exchange, broken.routing_key, "no JSON").with_cc(broken.cc);
    soon(publisher.publish(broken)).await.unwrap();
    soon(publisher.publish(completed(task_id, after.now(), &routes))).await.unwrap();
    let loops = Loops::start(after.service.background(), &CancellationToken::new());
    soon(async {
        while after.find(&path).await.is_none_or(|found| found.task_id != task_id) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    soon(loops.stop()).await.unwrap();
}
