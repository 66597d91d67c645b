//! Instances: wishes, changes, hints.

use taskcluster_core::time::{Timestamp, days, hours, minutes};

use super::super::{Hint, Pass, Store};
use super::create;
use super::sketch::{change, lead, now, wish, wished};
use crate::instance::State;
use crate::life::Change;

async fn state(store: &Store, id: &str) -> State {
    store.instance(id).await.unwrap().expect("it is there").state
}

async fn changed(store: &Store, changes: Vec<Change>, at: Timestamp) {
    assert!(store.change(&lead("us"), changes, at).await.unwrap());
}

pub(super) async fn a_wish_is_read_back_and_is_only_for_who_leads(store: &Store) {
    create(store, "w").await;
    let wishes = || vec![(wish("i-0", "w"), "i-0".to_owned())];
    assert!(!store.wish(&lead("us"), wishes(), now() + hours(1), now()).await.unwrap(), "nobody leads");
    store.lead(&lead("them"), now() + minutes(1), now()).await.unwrap();
    assert!(!store.wish(&lead("us"), wishes(), now() + hours(1), now()).await.unwrap(), "another leads");
    let late = now() + minutes(1);
    assert!(!store.wish(&lead("them"), wishes(), late + hours(1), late).await.unwrap(), "nobody does any more");
    assert!(store.live().await.unwrap().is_empty() && store.secret("i-0", now()).await.unwrap().is_none());
    store.leave(&lead("them")).await.unwrap();

    wished(store, &[wish("i-2", "w"), wish("i-1", "w")]).await;
    assert_eq!(store.unlaunched().await.unwrap(), [wish("i-1", "w"), wish("i-2", "w")]);
    assert_eq!(store.live().await.unwrap(), [wish("i-1", "w").instance, wish("i-2", "w").instance]);
    assert_eq!(store.instances("w", "i-1", 10).await.unwrap(), [wish("i-2", "w").instance]);
    assert_eq!(store.instances("w", "", 1).await.unwrap(), [wish("i-1", "w").instance]);
    assert_eq!(store.instance("i-9").await.unwrap(), None);
}

pub(super) async fn a_wish_for_what_was_removed_is_none(store: &Store) {
    create(store, "w").await;
    store.remove("w", now()).await.unwrap();
    wished(store, &[wish("i-1", "w")]).await;
    assert_eq!(store.instance("i-1").await.unwrap(), None);
    assert_eq!(store.secret("i-1", now()).await.unwrap(), None);
}

pub(super) async fn a_change_is_void_where_another_came_first(store: &Store) {
    create(store, "w").await;
    wished(store, &[wish("i-1", "w"), wish("i-2", "w")]).await;
    store.started("i-1", now() + minutes(1)).await.unwrap();
    let at = now() + minutes(2);
    let pending = ["i-1", "i-2"].map(|id| change(id, State::Requested, State::Pending));
    changed(store, pending.to_vec(), at).await;
    assert_eq!((state(store, "i-1").await, state(store, "i-2").await), (State::Running, State::Pending));
    let (one, two) = (store.instance("i-1").await.unwrap().unwrap(), store.instance("i-2").await.unwrap().unwrap());
    assert_eq!((one.since, one.started), (now() + minutes(1), Some(now() + minutes(1))));
    assert_eq!((two.since, two.started), (at, None));
    // Once it has begun, it has begun.
    store.started("i-1", at).await.unwrap();
    assert_eq!(store.instance("i-1").await.unwrap().unwrap(), one);
    // Of those who do not lead nothing is taken.
    let running = vec![change("i-2", State::Pending, State::Running)];
    assert!(!store.change(&lead("them"), running.clone(), at).await.unwrap());
    assert_eq!(state(store, "i-2").await, State::Pending);
    assert!(!store.change(&lead("us"), running.clone(), now() + hours(2)).await.unwrap(), "nor of who was silent");
    changed(store, running, at).await;
    assert_eq!(store.instance("i-2").await.unwrap().unwrap().started, Some(at));
    // What ends comes back by nothing.
    changed(store, vec![change("i-2", State::Running, State::Ended)], at).await;
    store.started("i-2", at).await.unwrap();
    changed(store, vec![change("i-2", State::Running, State::Draining)], at).await;
    assert_eq!(state(store, "i-2").await, State::Ended);
    assert_eq!(store.live().await.unwrap().len(), 1);
}

pub(super) async fn what_stops_loses_its_secret(store: &Store) {
    create(store, "w").await;
    let all = ["i-1", "i-2", "i-3", "i-4"];
    wished(store, &all.map(|id| wish(id, "w"))).await;
    let changes = [State::Pending, State::Draining, State::Stopping, State::Ended];
    let changes = all.iter().zip(changes).map(|(id, to)| change(id, State::Requested, to));
    changed(store, changes.collect(), now()).await;
    let mut found = Vec::new();
    for id in all {
        found.push(store.secret(id, now()).await.unwrap().is_some());
    }
    assert_eq!(found, [true, true, false, false]);
    assert_eq!(store.stop_all("w", "as asked", now()).await.unwrap(), 2);
    assert_eq!(store.stop_all("w", "as asked", now()).await.unwrap(), 0);
    assert_eq!(store.secret("i-1", now()).await.unwrap(), None);
    let stopped = store.instance("i-1").await.unwrap().unwrap();
    assert_eq!((stopped.state, stopped.reason.as_deref()), (State::Stopping, Some("as asked")));
}

pub(super) async fn what_a_provider_answered_first_holds(store: &Store) {
    create(store, "w").await;
    wished(store, &[wish("i-1", "w"), wish("i-2", "w")]).await;
    store.launched("i-1", "p-1").await.unwrap();
    store.launched("i-1", "p-other").await.unwrap();
    assert_eq!(store.instance("i-1").await.unwrap().unwrap().provider_id.as_deref(), Some("p-1"));
    assert_eq!(store.unlaunched().await.unwrap(), [wish("i-2", "w")]);
    changed(store, vec![change("i-2", State::Requested, State::Stopping)], now()).await;
    assert!(store.unlaunched().await.unwrap().is_empty(), "what was withdrawn is not asked for");
}

pub(super) async fn failures_count_from_the_last_worker_that_was_of_use(store: &Store) {
    create(store, "w").await;
    let all = ["i-1", "i-2", "i-3", "i-4", "i-5", "i-6"];
    wished(store, &all.map(|id| wish(id, "w"))).await;
    let fails = |id: &str, from, to, reason: &str| Change {
        reason: Some(reason.to_owned()),
        failed: true,
        ..change(id, from, to)
    };
    assert!(store.failures("w").await.unwrap().times.is_empty());
    changed(store, vec![fails("i-1", State::Requested, State::Ended, "one")], now() + minutes(1)).await;
    changed(store, vec![fails("i-2", State::Requested, State::Stopping, "two")], now() + minutes(2)).await;
    let failures = store.failures("w").await.unwrap();
    assert_eq!((failures.times, &*failures.reason), (vec![now() + minutes(2), now() + minutes(1)], "two"));
    // What we withdrew ourselves is none.
    changed(store, vec![change("i-3", State::Requested, State::Ended)], now() + minutes(3)).await;
    assert_eq!(store.failures("w").await.unwrap().times.len(), 2);
    // A worker begins: of use, as it seems, until it comes to nothing as well.
    store.started("i-4", now() + minutes(4)).await.unwrap();
    assert!(store.failures("w").await.unwrap().times.is_empty());
    changed(store, vec![fails("i-4", State::Running, State::Ended, "four")], now() + minutes(5)).await;
    let failures = store.failures("w").await.unwrap();
    assert_eq!((failures.times.len(), &*failures.reason), (3, "four"));
    // One that ends in order has been of use.
    store.started("i-5", now() + minutes(6)).await.unwrap();
    changed(store, vec![change("i-5", State::Running, State::Ended)], now() + minutes(7)).await;
    changed(store, vec![fails("i-6", State::Requested, State::Ended, "six")], now() + minutes(8)).await;
    assert_eq!(store.failures("w").await.unwrap().times, [now() + minutes(8)]);
    assert!(store.failures("other").await.unwrap().times.is_empty());
}

async fn hint(store: &Store, id: &str, idle: bool) -> Option<Hint> {
    store.hint("w", id, idle, now()).await.unwrap()
}

async fn wants(store: &Store, desired: u32) {
    store.put_pass("w", &Pass { ended: now(), desired, why: Vec::new() }).await.unwrap();
}

pub(super) async fn of_several_idle_workers_no_more_go_than_are_too_many(store: &Store) {
    create(store, "w").await;
    let names: Vec<String> = (0..8).map(|n| format!("i-{n}")).collect();
    let mut wishes: Vec<_> = names.iter().map(|name| wish(name, "w")).collect();
    wishes[7].instance.capacity = 3;
    wishes[7].offer.capacity = 3;
    wished(store, &wishes).await;
    for name in &names {
        store.started(name, now()).await.unwrap();
    }
    assert_eq!(hint(store, "i-0", true).await, Some(Hint::GoOn("nobody has looked yet".to_owned())));
    wants(store, 8).await;
    assert!(matches!(hint(store, "i-7", true).await, Some(Hint::GoOn(_))), "it is too large to go");
    let asked = names[..7].iter().map(|name| hint(store, name, true));
    let told = futures_util::future::join_all(asked).await;
    let gone = told.iter().filter(|hint| matches!(hint, Some(Hint::End(_)))).count();
    assert_eq!(gone, 2, "there were ten, and eight are wanted: {told:?}");
    let left: u32 = store.live().await.unwrap().iter().filter(|i| i.state.counts()).map(|i| i.capacity).sum();
    assert_eq!(left, 8);
    wants(store, 0).await;
    assert!(matches!(hint(store, "i-7", true).await, Some(Hint::End(_))));
}

pub(super) async fn a_worker_that_is_asked_to_go_is_told_why(store: &Store) {
    create(store, "w").await;
    wished(store, &[wish("i-1", "w"), wish("i-2", "w")]).await;
    wants(store, 0).await;
    assert_eq!(hint(store, "i-9", true).await, None);
    assert_eq!(store.hint("other", "i-1", true, now()).await.unwrap(), None);
    assert!(matches!(hint(store, "i-1", false).await, Some(Hint::GoOn(_))), "it has something to do");
    let Some(Hint::End(reason)) = hint(store, "i-1", true).await else { panic!("it is not needed") };
    assert_eq!(state(store, "i-1").await, State::Draining);
    assert_eq!(hint(store, "i-1", true).await, Some(Hint::End(reason.clone())));
    wants(store, 9).await;
    assert_eq!(hint(store, "i-1", false).await, Some(Hint::End(reason)), "that is final");
    store.remove("w", now()).await.unwrap();
    assert_eq!(hint(store, "i-2", false).await, Some(Hint::End("its worker type was removed".to_owned())));
}

pub(super) async fn what_ended_long_ago_is_forgotten_and_so_are_its_versions(store: &Store) {
    create(store, "w").await;
    wished(store, &[wish("i-1", "w"), wish("i-2", "w"), wish("i-3", "w")]).await;
    for (id, at) in [("i-1", now()), ("i-2", now() + minutes(1))] {
        changed(store, vec![change(id, State::Requested, State::Ended)], at).await;
    }
    assert_eq!(store.expire(now(), now(), 10).await.unwrap(), 0);
    let later = now() + days(1);
    assert_eq!(store.expire(now(), later, 1).await.unwrap(), 1, "a portion at a time");
    assert_eq!(store.instance("i-1").await.unwrap(), None);
    assert_eq!(store.expire(now(), later, 10).await.unwrap(), 1);
    assert_eq!(state(store, "i-3").await, State::Requested, "what lives is kept");
    store.remove("w", now()).await.unwrap();
    store.expire(now(), later, 10).await.unwrap();
    assert!(store.version("w", 1).await.unwrap().is_some(), "something of it still stops");
    changed(store, vec![change("i-3", State::Stopping, State::Ended)], now()).await;
    store.expire(now(), later, 10).await.unwrap();
    assert_eq!((store.version("w", 1).await.unwrap(), store.instance("i-3").await.unwrap()), (None, None));
}
