//! The SDK's bus over this service: the connection breaks in every way, and listeners notice nothing of it.

use std::sync::Mutex;

use taskcluster::Taskcluster;
use taskcluster::events::{Binding, Bus as _, BusError, MemoryBus, Message, SseBus};
use taskcluster_core::time::hours;
use taskcluster_core::{Credentials, CredentialsProvider, Error};

use crate::tester::{EXCHANGE, Fate, ROOT, SECRET, Tester, key, lost, settings, soon};

#[tokio::test(start_paused = true)]
async fn messages_come_as_they_were_published() {
    let tester = Tester::new().await;
    let mut messages = tester.subscribe("a.#").await;
    let published = Message::new(EXCHANGE, "a.b", "{\"z\": 1.0,\n \"a\": \"é\"}").with_cc(["route.x", "route.y"]);
    tester.publish("b").await;
    tester.bus.publish(published.clone()).await.unwrap();
    assert_eq!(soon(messages.next()).await.unwrap().unwrap(), published);
}

#[tokio::test(start_paused = true)]
async fn publishing_is_refused() {
    let tester = Tester::new().await;
    let refused = SseBus::new(&tester.tc()).publish(Message::new(EXCHANGE, "a", "{}")).await.unwrap_err();
    let text = taskcluster::chain(&refused).to_string();
    assert!(text.contains("for listening only"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn wherever_the_connection_is_cut_each_message_comes_once() {
    let tester = Tester::new().await;
    let keys = ["1", "2", "3"];
    let length = {
        // What a connection says about all of them is no longer than this.
        let mut messages = tester.subscribe("#").await;
        tester.publish("1").await;
        key(&mut messages).await;
        keys.len() * 300 + 100
    };
    for cut in 1..length {
        tester.fates([Fate::CutAfter(cut), Fate::Unreachable, Fate::CutAfter(cut), Fate::CutAfter(cut / 2 + 1)]);
        let mut messages = {
            let patient = tester.tc().to_builder().retry(taskcluster::RetryPolicy::default()).build().unwrap();
            soon(SseBus::new(&patient).subscribe(vec![Binding::new(EXCHANGE, "#")])).await.unwrap()
        };
        for published in keys {
            tester.publish(published).await;
        }
        for published in keys {
            assert_eq!(key(&mut messages).await, published, "cut after {cut}");
        }
        tester.fates([]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_given_up() {
    let tester = Tester::new().await;
    // Long enough for `ready`, and not for more.
    tester.fates([Fate::SilentAfter(60), Fate::SilentAfter(100)]);
    let mut messages = tester.subscribe("#").await;
    tester.publish("a").await;
    assert_eq!(key(&mut messages).await, "a");
    assert_eq!(tester.fates_left(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_has_nothing_to_say_for_long_loses_nothing() {
    let tester = Tester::with(settings(|settings| settings.ping = hours(24))).await;
    let mut messages = tester.subscribe("#").await;
    for published in ["1", "2", "3"] {
        // The connection counts as broken meanwhile, more than once.
        tokio::select! {
            message = messages.next() => panic!("{message:?} in the midst of silence"),
            () = tokio::time::sleep(hours(1) / 4) => {}
        }
        tester.publish(published).await;
        assert_eq!(key(&mut messages).await, published);
    }
    assert!(tester.shown.lock().unwrap().len() > 10);
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_for_too_long_is_told_as_lost() {
    let tester = Tester::with(settings(|settings| settings.kept_messages = 2)).await;
    tester.fates([Fate::CutAfter(60)]);
    let mut messages = tester.subscribe("#").await;
    for published in ["1", "2", "3", "4"] {
        tester.publish(published).await;
    }
    // Time stands still until the service has taken them all.
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    lost(&mut messages).await;
    assert_eq!(key(&mut messages).await, "3");
    assert_eq!(key(&mut messages).await, "4");
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_service_lost_is_told_as_lost() {
    let bus = MemoryBus::with_capacity(2);
    let tester = Tester::on(bus, settings(|_| {})).await;
    let mut messages = tester.subscribe("#").await;
    // The service does not get to run in between.
    for published in ["1", "2", "3", "4"] {
        futures_util::FutureExt::now_or_never(tester.publish(published)).unwrap();
    }
    lost(&mut messages).await;
    assert_eq!(key(&mut messages).await, "3");
}

/// Somebody else each time.
#[derive(Debug, Default)]
struct Changing(Mutex<u32>);

impl CredentialsProvider for Changing {
    fn credentials(&self) -> Option<Credentials> {
        let mut times = self.0.lock().unwrap();
        *times += 1;
        Some(Credentials::new(format!("client-{times}"), "secret"))
    }
}

#[tokio::test(start_paused = true)]
async fn each_connection_shows_the_credentials_of_its_time() {
    let tester = Tester::with(settings(|settings| settings.longest = std::time::Duration::from_secs(60))).await;
    let tc = Taskcluster::builder(ROOT).provider(Changing::default()).transport(tester.transport()).build().unwrap();
    let mut messages = soon(SseBus::new(&tc).subscribe(vec![Binding::everything(EXCHANGE)])).await.unwrap();
    for published in ["1", "2", "3"] {
        tokio::time::sleep(std::time::Duration::from_secs(61)).await;
        tester.publish(published).await;
        assert_eq!(key(&mut messages).await, published);
    }
    let shown = tester.shown.lock().unwrap().clone();
    let clients: std::collections::BTreeSet<_> =
        shown.iter().map(|header| header.split('"').nth(1).unwrap_or_default().to_owned()).collect();
    assert!(clients.len() >= 3, "{clients:?}");
}

#[tokio::test(start_paused = true)]
async fn who_may_not_listen_is_told_so_each_time() {
    let tester = Tester::new().await;
    let refused = SseBus::new(&tester.tc()).subscribe(vec![Binding::everything(SECRET)]).await.unwrap_err();
    let BusError::Unavailable { source } = &refused else { panic!("{refused}") };
    assert!(source.downcast_ref::<Error>().is_some_and(Error::is_forbidden), "{refused}");
}
