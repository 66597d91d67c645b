//! What the store has to do, on each kind of database.

use futures_util::future::join_all;
use service_kit::testing;
use taskcluster_core::time::{Timestamp, hours};

use super::{Key, SCHEMA, Store};
use crate::request::PurgeRequest;

service_kit::contract! { SCHEMA, Store::open =>
    a_request_is_read_back_as_it_was_written,
    of_requests_for_one_cache_the_newest_stays,
    of_many_at_once_the_newest_stays,
    a_pool_has_its_own_requests_since_some_time,
    all_are_listed_in_byte_order_page_by_page,
    what_has_expired_is_removed_in_portions,
}

fn now() -> Timestamp {
    "2026-03-04T05:06:07.008Z".parse().unwrap()
}

fn request(pool: &str, name: &str, before: Timestamp) -> PurgeRequest {
    PurgeRequest::new(pool.parse().unwrap(), name.to_owned(), before).unwrap()
}

async fn of_pool(store: &Store, pool: &str, since: Timestamp) -> Vec<PurgeRequest> {
    store.of_pool(&pool.parse().unwrap(), since).await.unwrap()
}

async fn a_request_is_read_back_as_it_was_written(store: &Store) {
    let longest = "ü".repeat(1000);
    let odd = ["", "a::b/../c", "ü \"quoted\" 'twice' \\u0000 %", &longest].map(|name| request("p_1/w-2", name, now()));
    for request in &odd {
        store.put(request).await.unwrap();
    }
    let mut found = of_pool(store, "p_1/w-2", now()).await;
    found.sort_by_key(|request| odd.iter().position(|written| written == request));
    assert_eq!(found, odd);
}

async fn of_requests_for_one_cache_the_newest_stays(store: &Store) {
    for before in [now(), now() + hours(2), now() + hours(1)] {
        store.put(&request("p/w", "cache", before)).await.unwrap();
    }
    assert_eq!(of_pool(store, "p/w", now()).await, [request("p/w", "cache", now() + hours(2))]);
}

async fn of_many_at_once_the_newest_stays(store: &Store) {
    // They share rows in every order.
    let all = (0..60).map(|n: u64| request("p/w", ["a", "b", "c"][(n * 7 % 3) as usize], now() + hours(n * 11 % 60)));
    let done = join_all(all.map(|request| async move { store.put(&request).await })).await;
    done.into_iter().for_each(|done| done.unwrap());
    let hours_of = |request: &PurgeRequest| request.before.since(now()).as_secs() / 3600;
    let found: Vec<_> = of_pool(store, "p/w", now()).await.iter().map(hours_of).collect();
    let newest = |name: u64| (0..60).filter(|n| n * 7 % 3 == name).map(|n| n * 11 % 60).max().unwrap();
    assert_eq!(found, [newest(0), newest(1), newest(2)]);
}

async fn a_pool_has_its_own_requests_since_some_time(store: &Store) {
    let (old, new) = (request("p/w", "old", now()), request("p/w", "new", now() + hours(1)));
    for request in [&old, &new, &request("p/other", "old", now()), &request("q/w", "old", now())] {
        store.put(request).await.unwrap();
    }
    assert_eq!(of_pool(store, "p/w", now()).await, [new.clone(), old]);
    assert_eq!(of_pool(store, "p/w", now() + hours(1)).await, [new], "that time is among them");
    assert!(of_pool(store, "p/w", now() + hours(2)).await.is_empty());
    assert!(of_pool(store, "p/unknown", now()).await.is_empty());
}

async fn all_are_listed_in_byte_order_page_by_page(store: &Store) {
    let all = [("P/w", "b"), ("p/w", "A"), ("p/w", "Z"), ("p/w", "a"), ("p/w-2", ""), ("q/w", "a")];
    let all = all.map(|(pool, name)| request(pool, name, now()));
    for request in all.iter().rev() {
        store.put(request).await.unwrap();
    }
    store.put(&request("a/w", "too old", now() - hours(1))).await.unwrap();
    for limit in 1..8 {
        let (mut after, mut found) = (Key::default(), Vec::new());
        loop {
            let page = store.all(&after, limit, now()).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Key::of(last);
            found.extend(page);
        }
        assert_eq!(found, all);
    }
}

async fn what_has_expired_is_removed_in_portions(store: &Store) {
    for (name, hour) in [("a", 0), ("b", 1), ("c", 2), ("d", 3)] {
        store.put(&request("p/w", name, now() + hours(hour))).await.unwrap();
    }
    assert_eq!(store.expire(now(), 10).await.unwrap(), 0);
    assert_eq!(store.expire(now() + hours(3), 2).await.unwrap(), 2);
    assert_eq!(store.expire(now() + hours(3), 2).await.unwrap(), 1);
    assert_eq!(of_pool(store, "p/w", now()).await, [request("p/w", "d", now() + hours(3))]);
}

/// Rows as the first version of this service left them.
const SAMPLE: &str = include_str!("../../migrations/0001_requests.sample.sql");

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    for left in testing::left(&SCHEMA.of_version(1), SAMPLE).await {
        the_sample_is_read(&Store::open(&left.database).await.unwrap()).await;
    }
}

async fn the_sample_is_read(store: &Store) {
    let found = store.all(&Key::default(), 10, Timestamp::UNIX_EPOCH).await.unwrap();
    let sample = request("sample-pool/linux", "checkout of \"main\"", Timestamp::from_millis(1_767_323_045_000));
    assert_eq!(found, [sample]);
}
