//! What RabbitMQ does beyond the contract: queues that stay, messages that come again, connections that are lost.

use std::time::Duration;

use taskcluster::TaskId;
use taskcluster::events::{AmqpBus, Binding, Bus, BusError, Message, Subscription};
use url::Url;

use super::proxy::Proxy;
use super::{new_exchange, next, next_key, within};

fn url() -> Option<Url> {
    let Ok(url) = std::env::var("TEST_AMQP") else {
        println!("skipped: TEST_AMQP is not set");
        return None;
    };
    Some(url.parse().expect("TEST_AMQP is a URL"))
}

/// A bus at the broker of these tests, if there is one.
pub(super) fn bus() -> Option<AmqpBus> {
    url().map(|url| AmqpBus::new(url.as_str()).unwrap())
}

/// The same behind a network of our own.
async fn behind_proxy() -> Option<(AmqpBus, Proxy)> {
    let mut url = url()?;
    let host = url.host_str().unwrap().to_owned();
    let proxy = Proxy::start(format!("{host}:{}", url.port().unwrap_or(5672))).await;
    url.set_host(Some(&proxy.address().ip().to_string())).unwrap();
    url.set_port(Some(proxy.address().port())).unwrap();
    Some((AmqpBus::new(url.as_str()).unwrap(), proxy))
}

fn new_queue() -> String {
    format!("test-{}", TaskId::new())
}

async fn everything(bus: &AmqpBus, exchange: &str) -> Subscription {
    within(bus.subscribe(vec![Binding::everything(exchange)])).await.unwrap()
}

async fn publish(bus: &AmqpBus, exchange: &str, keys: &[&str]) {
    for key in keys {
        within(bus.publish(Message::new(exchange, *key, "{}"))).await.unwrap();
    }
}

/// The program that trusts such a certificate is tested with the whole deployment.
#[cfg(feature = "amqps")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_nobody_vouches_for_is_told_nothing() {
    let Ok(url) = std::env::var("TEST_AMQPS") else {
        println!("skipped: TEST_AMQPS is not set");
        return;
    };
    let bus = AmqpBus::new(&url).unwrap().with_limit(Duration::from_secs(5));
    let refused = within(bus.subscribe(vec![Binding::everything(new_exchange())])).await.unwrap_err();
    let told = taskcluster::chain(&refused).to_string();
    assert!(told.contains("certificate") && !told.contains("guest:guest"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_stays_holds_messages_while_nobody_listens() {
    let Some(bus) = bus() else { return };
    let (exchange, bus) = (new_exchange(), bus.with_queue(new_queue()));
    drop(everything(&bus, &exchange).await);
    publish(&bus, &exchange, &["1", "2"]).await;
    let mut subscription = everything(&bus, &exchange).await;
    assert_eq!(next_key(&mut subscription).await, "1");
    assert_eq!(next_key(&mut subscription).await, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_for_the_next_message_acknowledges_the_one_before() {
    let Some(bus) = bus() else { return };
    let (exchange, bus) = (new_exchange(), bus.with_queue(new_queue()));
    let mut subscription = everything(&bus, &exchange).await;
    publish(&bus, &exchange, &["1", "2", "3"]).await;
    assert_eq!(next_key(&mut subscription).await, "1");
    assert_eq!(next_key(&mut subscription).await, "2");
    drop(subscription); // in the middle of what it does with the second

    let mut again = everything(&bus, &exchange).await;
    let second = next(&mut again).await.unwrap();
    assert_eq!((second.routing_key.as_str(), second.redelivered), ("2", true));
    assert_eq!(next_key(&mut again).await, "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_listens_alone_takes_nothing_from_a_queue_that_stays() {
    let Some(bus) = bus() else { return };
    let (exchange, bus) = (new_exchange(), bus.with_queue(new_queue()));
    let mut shared = everything(&bus, &exchange).await;
    let mut alone = within(bus.subscribe_alone(vec![Binding::everything(&exchange)])).await.unwrap();
    publish(&bus, &exchange, &["1", "2"]).await;
    for subscription in [&mut shared, &mut alone] {
        assert_eq!(next_key(subscription).await, "1");
        assert_eq!(next_key(subscription).await, "2");
    }
}

#[cfg(feature = "queue")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_keeps_its_bytes_and_does_not_come_again() {
    use taskcluster::events::listen;
    use taskcluster::queue::events::TaskGroupResolved;

    let Some(bus) = bus() else { return };
    let bus = bus.with_queue(new_queue());
    let group = TaskId::new();
    let pattern = TaskGroupResolved::binding().task_group_id(&group);
    let mut resolved = within(listen::<TaskGroupResolved>(&bus, &pattern)).await.unwrap();
    let key = TaskGroupResolved::key(&group, "-");
    let send = |body: String| bus.publish(Message::new(TaskGroupResolved::EXCHANGE.exchange, key.clone(), body));
    let good =
        || format!(r#"{{"version":1,"taskGroupId":"{group}","schedulerId":"-","expires":"2030-01-01T00:00:00.000Z"}}"#);
    within(send("\u{0} nothing".to_owned())).await.unwrap();
    within(send(good())).await.unwrap();
    match within(resolved.next()).await.unwrap() {
        Err(BusError::Malformed { payload, .. }) => assert_eq!(payload, "\u{0} nothing"),
        other => panic!("{other:?}"),
    }
    assert_eq!(within(resolved.next()).await.unwrap().unwrap().message.task_group_id, group);
    drop(resolved);

    let mut again = within(listen::<TaskGroupResolved>(&bus, &pattern)).await.unwrap();
    let first = within(again.next()).await.unwrap().unwrap();
    assert!(first.redelivered, "only the good one was not acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_is_told_that_it_was_cut_off_and_goes_on() {
    let Some((bus, proxy)) = behind_proxy().await else { return };
    let direct = self::bus().unwrap();
    let exchange = new_exchange();
    let mut subscription = everything(&bus, &exchange).await;
    publish(&direct, &exchange, &["before"]).await;
    assert_eq!(next_key(&mut subscription).await, "before");
    proxy.cut().await;
    proxy.restore();
    let interrupted = next(&mut subscription).await.unwrap_err();
    assert!(matches!(interrupted, BusError::Interrupted) && interrupted.may_have_missed(), "{interrupted}");
    publish(&direct, &exchange, &["after"]).await;
    assert_eq!(next_key(&mut subscription).await, "after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_stays_misses_nothing_when_it_was_cut_off() {
    let Some((bus, proxy)) = behind_proxy().await else { return };
    let direct = self::bus().unwrap();
    let (exchange, bus) = (new_exchange(), bus.with_queue(new_queue()));
    let mut subscription = everything(&bus, &exchange).await;
    publish(&direct, &exchange, &["1"]).await;
    assert_eq!(next_key(&mut subscription).await, "1");
    proxy.cut().await;
    publish(&direct, &exchange, &["2", "3"]).await;
    proxy.restore();
    let mut keys = Vec::new();
    while keys.last().is_none_or(|last| last != "3") {
        keys.push(next_key(&mut subscription).await);
    }
    keys.retain(|key| key != "1"); // Its acknowledgement was lost: it comes again.
    assert_eq!(keys, ["2", "3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_broker_is_away_publishing_fails_and_then_it_connects_again() {
    let Some((bus, proxy)) = behind_proxy().await else { return };
    let exchange = new_exchange();
    let mut subscription = everything(&self::bus().unwrap(), &exchange).await;
    publish(&bus, &exchange, &["1"]).await;
    proxy.cut().await;
    for _ in 0..2 {
        let error = within(bus.publish(Message::new(&exchange, "lost", "{}"))).await.unwrap_err();
        assert!(matches!(error, BusError::Unavailable { .. }), "{error}");
    }
    proxy.restore();
    publish(&bus, &exchange, &["2"]).await;
    assert_eq!(next_key(&mut subscription).await, "1");
    assert_eq!(next_key(&mut subscription).await, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_silent_does_not_hold_a_publisher_for_ever() {
    let Some((bus, proxy)) = behind_proxy().await else { return };
    let exchange = new_exchange();
    publish(&bus, &exchange, &["1"]).await;
    proxy.silence();
    let hasty = bus.clone().with_limit(Duration::from_millis(500));
    let error = within(hasty.publish(Message::new(&exchange, "2", "{}"))).await.unwrap_err();
    assert!(matches!(error, BusError::Unavailable { .. }), "{error}");
    proxy.restore();
    publish(&bus, &exchange, &["3"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_short_of_memory_does_not_hold_a_publisher_for_ever() {
    let Some((bus, proxy)) = behind_proxy().await else { return };
    let exchange = new_exchange();
    publish(&bus, &exchange, &["1"]).await;
    proxy.block(true);
    let hasty = bus.clone().with_limit(Duration::from_millis(500));
    let told = async {
        loop {
            let published = hasty.publish(Message::new(&exchange, "2", "{}")).await;
            if matches!(&published, Err(BusError::Unavailable { source }) if source.to_string().contains("short of memory"))
            {
                return;
            }
        }
    };
    within(told).await;
    proxy.block(false);
    publish(&bus, &exchange, &["3"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exchange_that_somebody_deleted_is_made_again() {
    let Some(bus) = bus() else { return };
    let exchange = new_exchange();
    publish(&bus, &exchange, &["1"]).await;
    let connection = lapin_connection().await;
    let channel = connection.create_channel().await.unwrap();
    channel.exchange_delete(exchange.as_str().into(), lapin::options::ExchangeDeleteOptions::default()).await.unwrap();
    let error = within(bus.publish(Message::new(&exchange, "2", "{}"))).await.unwrap_err();
    assert!(matches!(error, BusError::Unavailable { .. }), "{error}");
    publish(&bus, &exchange, &["3"]).await;
}

async fn lapin_connection() -> lapin::Connection {
    let url = url().unwrap();
    within(lapin::Connection::connect(url.as_str(), lapin::ConnectionProperties::default())).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_as_the_platform_sends_them() {
    use futures_util::StreamExt as _;
    use lapin::options::{BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
    use lapin::types::FieldTable;

    let Some(bus) = bus() else { return };
    let exchange = new_exchange();
    publish(&bus, &exchange, &["nobody listens"]).await;
    let connection = lapin_connection().await;
    let channel = connection.create_channel().await.unwrap();
    // The broker refuses this unless the exchange is such a one.
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let (name, table) = (exchange.as_str(), FieldTable::default);
    channel.exchange_declare(name.into(), lapin::ExchangeKind::Topic, durable, table()).await.unwrap();
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare("".into(), options, table()).await.unwrap().name().clone();
    channel
        .queue_bind(queue.clone(), name.into(), "route.#".into(), QueueBindOptions::default(), table())
        .await
        .unwrap();
    let mut consumer = channel.basic_consume(queue, "".into(), BasicConsumeOptions::default(), table()).await.unwrap();

    within(bus.publish(Message::new(&exchange, "a", "{}").with_cc(["route.a.b"]))).await.unwrap();
    let delivery = within(consumer.next()).await.unwrap().unwrap();
    assert_eq!((delivery.routing_key.as_str(), delivery.data.as_slice()), ("a", b"{}".as_slice()));
    let properties = &delivery.properties;
    assert_eq!(properties.delivery_mode(), &Some(2));
    assert_eq!(properties.content_type().as_ref().map(|text| text.as_str()), Some("application/json"));
    assert_eq!(properties.content_encoding().as_ref().map(|text| text.as_str()), Some("utf-8"));
    let headers = format!("{:?}", properties.headers());
    assert!(headers.contains("CC") && !headers.contains("BCC"), "{headers}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_or_virtual_host_is_told_without_the_password() {
    let Some(url) = url() else { return };
    for (password, vhost) in [("not-the-password", "/%2f"), (url.password().unwrap_or("guest"), "/there-is-none")] {
        let mut url = url.clone();
        url.set_password(Some(password)).unwrap();
        url.set_path(vhost);
        let bus = AmqpBus::new(url.as_str()).unwrap();
        let error = within(bus.publish(Message::new("exchange/test/v1/x", "a", "{}"))).await.unwrap_err();
        assert!(matches!(error, BusError::Unavailable { .. }), "{error}");
        assert!(!format!("{error:?} {bus:?}").contains("not-the-password"), "{error:?} {bus:?}");
    }
}

#[tokio::test]
async fn a_key_that_no_broker_takes_is_refused() {
    let bus = AmqpBus::new("amqp://127.0.0.1:1").unwrap();
    for message in [Message::new("x", "k".repeat(256), "{}"), Message::new("x", "k", "{}").with_cc(["c".repeat(256)])] {
        assert!(matches!(bus.publish(message).await, Err(BusError::Refused { .. })));
    }
    let error = bus.publish(Message::new("x", "k", "{}")).await.unwrap_err();
    assert!(matches!(error, BusError::Unavailable { .. }), "{error}");
}
