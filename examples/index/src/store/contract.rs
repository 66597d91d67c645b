//! What the store has to do, on each kind of database.

use futures_util::future::join_all;
use service_kit::testing;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{Timestamp, days, hours, minutes};

use super::{Expired, SCHEMA, Store};
use crate::entry::Entry;
use crate::finished::Finished;
use crate::path::IndexPath;

service_kit::contract! { SCHEMA, Store::open =>
    an_entry_is_read_back_as_it_was_written,
    the_highest_rank_stays_and_of_equal_ones_the_latest,
    what_somebody_inserts_comes_after_all_others_of_its_rank,
    of_many_at_once_the_same_one_stays,
    what_has_expired_is_not_there_and_in_nobodys_way,
    namespaces_live_as_long_as_what_is_in_them,
    lists_come_in_byte_order_page_by_page,
    many_are_found_at_once,
    a_deleted_entry_is_gone_and_deleting_it_again_is_nothing,
    what_is_remembered_waits_until_it_is_settled,
    what_has_expired_is_removed_in_portions,
}

fn now() -> Timestamp {
    "2026-03-04T05:06:07.008Z".parse().unwrap()
}

fn path(text: &str) -> IndexPath {
    text.parse().unwrap()
}

fn entry(name: &str) -> Entry {
    let expires = now() + days(30);
    Entry { path: path(name), task_id: TaskId::new(), rank: 0.0, data: "{}".to_owned(), expires, since: now() }
}

async fn put(store: &Store, entry: Entry) -> TaskId {
    settle(store, &entry, now()).await.task_id
}

/// An entry by the route of a task, and what stands there afterwards.
async fn settle(store: &Store, entry: &Entry, now: Timestamp) -> Entry {
    store.settle(0, vec![entry.clone()], now).await.unwrap();
    store.find(&entry.path, now).await.unwrap().unwrap()
}

async fn names(store: &Store, namespace: &str) -> Vec<String> {
    let found = store.entries(namespace, "", 1000, now()).await.unwrap();
    found.into_iter().map(|entry| entry.path.to_string()).collect()
}

async fn spaces(store: &Store, parent: &str, now: Timestamp) -> Vec<String> {
    let found = store.namespaces(parent, "", 1000, now).await.unwrap();
    found.into_iter().map(|namespace| namespace.path.to_string()).collect()
}

async fn an_entry_is_read_back_as_it_was_written(store: &Store) {
    let odd = r#"{"\u0000":"ü \"quoted\"","n":[1.5e300,null]}"#;
    let entry = Entry { rank: -1.25e-7, data: odd.to_owned(), ..entry("a.b_!~*'()%-.c") };
    assert_eq!(store.insert(entry.clone(), now()).await.unwrap(), entry);
    assert_eq!(store.find(&entry.path, now()).await.unwrap(), Some(entry));
    assert_eq!(store.find(&path("a"), now()).await.unwrap(), None);
}

async fn the_highest_rank_stays_and_of_equal_ones_the_latest(store: &Store) {
    let first = entry("a");
    assert_eq!(put(store, first.clone()).await, first.task_id);
    let lower = Entry { rank: -1.0, since: now() + hours(1), ..entry("a") };
    assert_eq!(put(store, lower).await, first.task_id);
    let equal = entry("a");
    assert_eq!(put(store, equal.clone()).await, equal.task_id);
    let earlier = Entry { since: now() - hours(1), ..entry("a") };
    assert_eq!(put(store, earlier).await, equal.task_id);
    let higher = Entry { rank: 0.5, since: now() - hours(2), expires: now() + days(1), ..entry("a") };
    assert_eq!(settle(store, &higher, now()).await, higher);
}

async fn what_somebody_inserts_comes_after_all_others_of_its_rank(store: &Store) {
    let ahead = Entry { since: now() + hours(1), ..entry("a") };
    put(store, ahead.clone()).await;
    // By another process, whose clock is behind.
    let inserted = store.insert(entry("a"), now()).await.unwrap();
    assert_eq!(inserted.since, ahead.since);
    let earlier = Entry { since: now() + minutes(30), ..entry("a") };
    assert_eq!(put(store, earlier).await, inserted.task_id, "it finished before");
    let lower = Entry { rank: -1.0, ..entry("a") };
    assert_eq!(store.insert(lower, now()).await.unwrap(), inserted);
}

async fn of_many_at_once_the_same_one_stays(store: &Store) {
    // They share names and namespaces in every order.
    let mut all: Vec<Entry> = (0..60_u64)
        .map(|n| {
            let name = ["a.b.x", "a.x", "c.d.x", "a.b.y"][(n % 4) as usize];
            Entry { rank: (n * 7 % 5) as f64, since: now() + hours(n * 11 % 60), ..entry(name) }
        })
        .collect();
    let done = join_all(all.iter().map(|entry| store.settle(0, vec![entry.clone()], now()))).await;
    done.into_iter().for_each(|done| done.unwrap());
    all.sort_by(|a, b| a.rank.total_cmp(&b.rank).then(a.since.cmp(&b.since)));
    for name in ["a.b.x", "a.x", "c.d.x", "a.b.y"] {
        let best = all.iter().rfind(|entry| entry.path == path(name)).unwrap();
        assert_eq!(store.find(&path(name), now()).await.unwrap().as_ref(), Some(best));
    }
    assert_eq!(spaces(store, "", now()).await, ["a", "c"]);
}

async fn what_has_expired_is_not_there_and_in_nobodys_way(store: &Store) {
    put(store, Entry { rank: 10.0, ..entry("a") }).await;
    let later = now() + days(30);
    assert_eq!(store.find(&path("a"), later).await.unwrap(), None);
    assert!(store.entries("", "", 10, later).await.unwrap().is_empty());
    assert!(store.find_all(&[path("a")], later).await.unwrap().is_empty());
    let next = Entry { since: now() - days(1), expires: later + days(1), ..entry("a") };
    assert_eq!(store.insert(next.clone(), later).await.unwrap(), next);
}

async fn namespaces_live_as_long_as_what_is_in_them(store: &Store) {
    put(store, Entry { expires: now() + days(10), ..entry("a.b.x") }).await;
    put(store, Entry { expires: now() + days(20), ..entry("a.c.x") }).await;
    // One that nobody sees makes no namespace live longer.
    put(store, Entry { rank: -1.0, expires: now() + days(90), ..entry("a.b.x") }).await;
    assert_eq!(spaces(store, "", now()).await, ["a"]);
    assert_eq!(spaces(store, "a", now()).await, ["a.b", "a.c"]);
    assert_eq!(spaces(store, "a", now() + days(11)).await, ["a.c"]);
    assert_eq!(spaces(store, "", now() + days(20)).await, ["a"]);
    assert!(spaces(store, "", now() + days(21)).await.is_empty());
    assert!(spaces(store, "a.b", now()).await.is_empty());
}

async fn lists_come_in_byte_order_page_by_page(store: &Store) {
    for name in ["n.b", "n.A", "n.a", "n.Z", "n.a-b", "m", "n.a.deeper"] {
        put(store, entry(name)).await;
    }
    assert_eq!(names(store, "n").await, ["n.A", "n.Z", "n.a", "n.a-b", "n.b"]);
    assert_eq!(names(store, "").await, ["m"]);
    assert!(names(store, "unknown").await.is_empty());
    let page = store.entries("n", "Z", 2, now()).await.unwrap();
    assert_eq!(page.iter().map(|entry| entry.path.name.as_str()).collect::<Vec<_>>(), ["a", "a-b"]);
    assert_eq!(spaces(store, "", now()).await, ["n"]);
    assert!(store.namespaces("", "n", 2, now()).await.unwrap().is_empty());
}

async fn many_are_found_at_once(store: &Store) {
    for name in ["a.b", "a.c", "d"] {
        put(store, entry(name)).await;
    }
    let wanted: Vec<IndexPath> = ["d", "a.b", "x.y", "a.x"].into_iter().map(path).collect();
    let found = store.find_all(&wanted, now()).await.unwrap();
    assert_eq!(found.iter().map(|entry| entry.path.to_string()).collect::<Vec<_>>(), ["d", "a.b"]);
    assert!(store.find_all(&[], now()).await.unwrap().is_empty());
}

async fn a_deleted_entry_is_gone_and_deleting_it_again_is_nothing(store: &Store) {
    put(store, Entry { rank: 5.0, ..entry("a.b") }).await;
    for _ in 0..2 {
        store.delete(&path("a.b")).await.unwrap();
        assert_eq!(store.find(&path("a.b"), now()).await.unwrap(), None);
    }
    assert_eq!(spaces(store, "", now()).await, ["a"]);
}

async fn what_is_remembered_waits_until_it_is_settled(store: &Store) {
    let finished = |hour: u64| Finished { task_id: TaskId::new(), since: now() + hours(hour) };
    let (first, second) = (finished(1), finished(2));
    store.remember(first).await.unwrap();
    store.remember(second).await.unwrap();
    let waiting = store.waiting(0, 10).await.unwrap();
    assert_eq!(waiting.iter().map(|waiting| waiting.finished).collect::<Vec<_>>(), [first, second]);
    assert_eq!(store.waiting(waiting[0].id, 10).await.unwrap(), waiting[1..]);
    assert_eq!(store.waiting(0, 1).await.unwrap(), waiting[..1]);
    let entries = vec![entry("a.b"), entry("c")];
    store.settle(waiting[0].id, entries.clone(), now()).await.unwrap();
    assert_eq!(store.waiting(0, 10).await.unwrap(), waiting[1..]);
    assert_eq!(store.find(&path("a.b"), now()).await.unwrap(), Some(entries[0].clone()));
    assert_eq!(store.find(&path("c"), now()).await.unwrap(), Some(entries[1].clone()));
    store.settle(waiting[1].id, Vec::new(), now()).await.unwrap();
    assert!(store.waiting(0, 10).await.unwrap().is_empty());
}

async fn what_has_expired_is_removed_in_portions(store: &Store) {
    for (name, lives) in [("a.x", days(1)), ("b.x", days(2)), ("c.x", days(90))] {
        put(store, Entry { expires: now() + lives, ..entry(name) }).await;
    }
    assert_eq!(store.expire(now(), 10).await.unwrap(), Expired::default());
    let later = now() + days(10);
    assert_eq!(store.expire(later, 1).await.unwrap(), Expired { entries: 1, namespaces: 1 });
    assert_eq!(store.expire(later, 10).await.unwrap(), Expired { entries: 1, namespaces: 1 });
    // Also when seen with a clock that stood earlier, there is nothing left of them.
    assert!(names(store, "a").await.is_empty() && names(store, "b").await.is_empty());
    assert_eq!(spaces(store, "", now()).await, ["c"]);
}

/// Rows as the first version of this service left them.
const SAMPLE: &str = include_str!("../../migrations/0001_index.sample.sql");

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    for left in testing::left(&SCHEMA.of_version(1), SAMPLE).await {
        the_sample_is_read(&Store::open(&left.database).await.unwrap()).await;
    }
}

async fn the_sample_is_read(store: &Store) {
    let found = store.find(&path("sample.project.linux"), now()).await.unwrap().unwrap();
    assert_eq!((found.task_id.to_string().as_str(), found.rank), ("fN1SbArXTPSVFNUvaOlinQ", 1.5));
    assert_eq!(spaces(store, "sample", now()).await, ["sample.project"]);
    assert_eq!(store.waiting(0, 10).await.unwrap().len(), 1);
}
