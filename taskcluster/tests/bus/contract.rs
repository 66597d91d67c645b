//! What every bus does.

use futures_util::future::join_all;
use taskcluster::events::{Binding, Bus, BusError, MemoryBus, Message};

use super::{new_exchange, next, next_key, within};

async fn delivers_what_fits_in_order(bus: &dyn Bus) {
    let exchange = new_exchange();
    let mut subscription = bus.subscribe(vec![Binding::new(&exchange, "a.*.#")]).await.unwrap();
    for key in ["a.1", "b.1", "a.2.x.y", "a", "a.3"] {
        bus.publish(Message::new(&exchange, key, format!("{{\"key\":\"{key}\"}}"))).await.unwrap();
    }
    let message = next(&mut subscription).await.unwrap();
    assert_eq!(message, Message::new(&exchange, "a.1", r#"{"key":"a.1"}"#));
    assert_eq!(next_key(&mut subscription).await, "a.2.x.y");
    assert_eq!(next_key(&mut subscription).await, "a.3");
}

async fn each_exchange_is_for_itself(bus: &dyn Bus) {
    let (one, other) = (new_exchange(), new_exchange());
    let mut subscription = bus.subscribe(vec![Binding::everything(&one)]).await.unwrap();
    bus.publish(Message::new(&other, "a", "{}")).await.unwrap();
    bus.publish(Message::new(&one, "b", "{}")).await.unwrap();
    assert_eq!(next_key(&mut subscription).await, "b");
}

async fn further_keys_route_too_and_deliver_once(bus: &dyn Bus) {
    let exchange = new_exchange();
    let bindings = vec![Binding::new(&exchange, "route.index.#"), Binding::everything(&exchange)];
    let mut everything = bus.subscribe(bindings).await.unwrap();
    let mut routed = bus.subscribe(vec![Binding::new(&exchange, "route.index.*.y")]).await.unwrap();
    let keys = ["route.index.x.y", "route.index.ü"];
    let message = Message::new(&exchange, "a", "{}").with_cc(keys);
    bus.publish(Message::new(&exchange, "other", "{}").with_cc(["route.other"])).await.unwrap();
    bus.publish(message.clone()).await.unwrap();
    bus.publish(Message::new(&exchange, "last", "{}")).await.unwrap();
    assert_eq!(next(&mut routed).await.unwrap(), message);
    for key in ["other", "a", "last"] {
        assert_eq!(next_key(&mut everything).await, key);
    }
}

async fn many_are_published_at_once(bus: &dyn Bus) {
    let exchange = new_exchange();
    let mut subscription = bus.subscribe(vec![Binding::everything(&exchange)]).await.unwrap();
    let keys: Vec<String> = (0..500).map(|n| format!("n.{n:03}")).collect();
    let published = join_all(keys.iter().map(|key| bus.publish(Message::new(&exchange, key, "{}"))));
    within(published).await.into_iter().for_each(|result| result.unwrap());
    let mut received = Vec::new();
    for _ in &keys {
        received.push(next_key(&mut subscription).await);
    }
    received.sort_unstable();
    assert_eq!(received, keys);
}

async fn a_subscription_that_ends_is_none_of_the_others_business(bus: &dyn Bus) {
    let exchange = new_exchange();
    let ended = bus.subscribe(vec![Binding::everything(&exchange)]).await.unwrap();
    let mut subscription = bus.subscribe(vec![Binding::everything(&exchange)]).await.unwrap();
    bus.publish(Message::new(&exchange, "1", "{}")).await.unwrap();
    drop(ended);
    bus.publish(Message::new(&exchange, "2", "{}")).await.unwrap();
    assert_eq!(next_key(&mut subscription).await, "1");
    assert_eq!(next_key(&mut subscription).await, "2");
}

async fn a_request_that_is_given_up_loses_nothing(bus: &dyn Bus) {
    let exchange = new_exchange();
    let mut subscription = bus.subscribe(vec![Binding::everything(&exchange)]).await.unwrap();
    for n in 0..20 {
        // Each time it is asked once for a message that is not there yet.
        assert!(futures_util::FutureExt::now_or_never(subscription.next()).is_none());
        bus.publish(Message::new(&exchange, n.to_string(), "{}")).await.unwrap();
        assert_eq!(next_key(&mut subscription).await, n.to_string());
    }
}

async fn those_who_wait_are_told_of_the_end(bus: &dyn Bus, close: impl AsyncFnOnce()) {
    let exchange = new_exchange();
    let mut subscription = bus.subscribe(vec![Binding::everything(&exchange)]).await.unwrap();
    let waiting = tokio::spawn(async move { subscription.next().await.is_none() });
    close().await;
    assert!(within(waiting).await.unwrap());
    assert!(matches!(bus.publish(Message::new(&exchange, "a", "{}")).await, Err(BusError::Closed)));
    assert!(matches!(bus.subscribe(Vec::new()).await, Err(BusError::Closed)));
}

macro_rules! contract {
    ($bus:expr => $($case:ident),* $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $case() {
            if let Some(bus) = $bus { super::$case(&bus).await }
        })*

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn those_who_wait_are_told_of_the_end() {
            if let Some(bus) = $bus {
                let closing = bus.clone();
                super::those_who_wait_are_told_of_the_end(&bus, async move || close(closing).await).await;
            }
        }
    };
    ($bus:expr) => {
        contract!($bus =>
            delivers_what_fits_in_order, each_exchange_is_for_itself, further_keys_route_too_and_deliver_once,
            many_are_published_at_once, a_subscription_that_ends_is_none_of_the_others_business,
            a_request_that_is_given_up_loses_nothing,
        );
    };
}

mod memory {
    use super::*;

    async fn close(bus: MemoryBus) {
        bus.close();
    }

    contract!(Some(MemoryBus::new()));
}

#[cfg(feature = "amqp")]
mod rabbitmq {
    use taskcluster::events::AmqpBus;

    async fn close(bus: AmqpBus) {
        bus.close().await;
    }

    contract!(crate::rabbitmq::bus());
}
