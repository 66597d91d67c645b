//! What the store has to do, on each kind of database.

use std::sync::Arc;
use std::time::Duration;

use service_kit::seal::Sealer;
use service_kit::store::{Database, StoreError};
use service_kit::testing;
use taskcluster::events::{Binding, Bus as _, MemoryBus};
use taskcluster_core::time::{Timestamp, days, hours, minutes};

use super::{Created, Lead, RollError, SCHEMA, Store};
use crate::instance::State;
use crate::messages::EXCHANGES;
use crate::worker_type::WorkerType;

mod instances;
mod over_time;
mod sealed;
mod sketch;

use instances::*;
use over_time::*;
use sealed::*;
use sketch::{bounded, definition, now, wish, wished};

service_kit::contract! { SCHEMA, open =>
    a_worker_type_is_read_back_as_it_was_defined,
    what_is_defined_twice_is_defined_once,
    a_new_version_is_for_all_or_for_a_share,
    other_bounds_are_no_new_version,
    a_share_grows_until_it_is_settled,
    a_version_is_taken_back_once,
    a_number_is_never_given_again,
    what_is_removed_leaves_nothing_but_what_has_to_end,
    a_name_comes_back_while_something_of_it_still_stops,
    worker_types_are_listed_by_name,
    a_wish_is_read_back_and_is_only_for_who_leads,
    a_wish_for_what_was_removed_is_none,
    a_change_is_void_where_another_came_first,
    what_stops_loses_its_secret,
    what_a_provider_answered_first_holds,
    failures_count_from_the_last_worker_that_was_of_use,
    of_several_idle_workers_no_more_go_than_are_too_many,
    a_worker_that_is_asked_to_go_is_told_why,
    what_ended_long_ago_is_forgotten_and_so_are_its_versions,
    a_secret_is_found_by_its_digest_until_it_expires,
    a_secret_may_be_stored_again_but_no_other_in_its_place,
    the_lead_is_taken_over_only_from_who_is_silent_or_left,
    who_is_late_keeps_the_lead_unless_another_had_it,
    a_pass_is_noted_in_place_of_the_one_before,
    longer_stretches_are_the_sums_of_shorter_ones,
    pages_of_numbers_have_neither_gaps_nor_doubles,
    numbers_are_kept_for_thirty_days,
    the_numbers_of_now_are_neither_old_nor_of_what_was_removed,
    nothing_secret_is_in_any_row,
    what_is_moved_to_another_row_does_not_open,
}

/// Always with the same key.
async fn open(database: &Database) -> Result<Store, StoreError> {
    Store::open(database, Arc::new(Sealer::new(&[7; 32])?)).await
}

/// What was told since this was last asked for: the last word of each exchange, and of whom.
async fn told(store: &Store) -> Vec<String> {
    let bus = MemoryBus::new();
    let bindings = EXCHANGES.iter().map(|exchange| Binding::everything(exchange.exchange)).collect();
    let mut heard = bus.subscribe(bindings).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..store.outbox().publish(&bus, 1000).await.unwrap() {
        let message = heard.next().await.unwrap().unwrap();
        told.push(format!("{} {}", message.exchange.rsplit('-').next().unwrap(), message.routing_key));
    }
    told
}

type Candidacy = Option<(u32, u32, f64)>;

/// Settled version and its maximum; newest one, its maximum and share, if it is another.
fn told_of(worker_type: &WorkerType) -> ((u32, u32), Candidacy) {
    let settled = (worker_type.settled.number, worker_type.settled.definition.sent().max_capacity);
    let candidate = worker_type
        .candidate
        .as_ref()
        .map(|candidate| (candidate.version.number, candidate.version.definition.sent().max_capacity, candidate.share));
    (settled, candidate)
}

async fn get(store: &Store, name: &str) -> WorkerType {
    store.worker_type(name).await.unwrap().expect("it is there")
}

async fn create(store: &Store, name: &str) {
    assert!(matches!(store.create(name, &definition(1), now()).await.unwrap(), Created::New(_)));
}

async fn update(store: &Store, max: u32, share: Option<f64>) -> ((u32, u32), Option<(u32, u32, f64)>) {
    told_of(&store.update("w", &definition(max), share, now()).await.unwrap().unwrap())
}

async fn a_worker_type_is_read_back_as_it_was_defined(store: &Store) {
    assert_eq!(store.worker_type("w").await.unwrap(), None);
    let Created::New(created) = store.create("w", &definition(7), now()).await.unwrap() else { panic!("it is new") };
    assert_eq!(get(store, "w").await, created);
    assert_eq!((created.name.as_str(), created.last_modified), ("w", now()));
    assert_eq!(created.settled.definition, definition(7));
    assert_eq!(told_of(&created), ((1, 7), None));
    assert_eq!(store.version("w", 1).await.unwrap(), Some(created.settled));
    assert_eq!(store.version("w", 2).await.unwrap(), None);
    assert_eq!(told(store).await, ["created primary.w"]);
}

async fn what_is_defined_twice_is_defined_once(store: &Store) {
    create(store, "w").await;
    let Created::Same(same) = store.create("w", &definition(1), now() + hours(1)).await.unwrap() else {
        panic!("it is the same")
    };
    assert_eq!((same.settled.number, same.last_modified), (1, now()));
    assert_eq!(store.create("w", &definition(2), now()).await.unwrap(), Created::Other);
    assert_eq!(told_of(&get(store, "w").await), ((1, 1), None));
    // The answer to the first may have been lost, and its message with it.
    assert_eq!(told(store).await, ["created primary.w", "created primary.w"]);
}

async fn a_new_version_is_for_all_or_for_a_share(store: &Store) {
    assert_eq!(store.update("w", &definition(1), None, now()).await.unwrap(), None);
    create(store, "w").await;
    assert_eq!(update(store, 2, None).await, ((2, 2), None));
    assert_eq!(update(store, 2, None).await, ((2, 2), None), "the same again is no new version");
    assert_eq!(update(store, 2, Some(0.5)).await, ((2, 2), None), "nor is a share of it");
    assert_eq!(update(store, 3, Some(0.25)).await, ((2, 2), Some((3, 3, 0.25))));
    assert_eq!(update(store, 3, Some(0.5)).await, ((2, 2), Some((3, 3, 0.5))), "another share of the same");
    assert_eq!(update(store, 4, Some(0.0)).await, ((2, 2), Some((4, 4, 0.0))), "another in its place");
    assert_eq!(update(store, 4, None).await, ((4, 4), None), "all of what had a share");
    assert_eq!(update(store, 5, Some(1.0)).await, ((5, 5), None), "a share of all is all");
    let later = store.update("w", &definition(5), None, now() + hours(1)).await.unwrap().unwrap();
    assert_eq!(later.last_modified, now() + hours(1));
    assert_eq!(told(store).await[1..], vec!["updated primary.w"; 9]);
}

async fn other_bounds_are_no_new_version(store: &Store) {
    create(store, "w").await;
    let change =
        async |definition, share| told_of(&store.update("w", &definition, share, now()).await.unwrap().unwrap());
    assert_eq!(change(bounded(1, 9), None).await, ((1, 9), None));
    assert_eq!(change(bounded(1, 8), Some(0.5)).await, ((1, 8), None), "there is nothing to have a share of");
    assert_eq!(told_of(&get(store, "w").await), ((1, 8), None));
    // While others are tried they go with those.
    assert_eq!(update(store, 2, Some(0.5)).await, ((1, 8), Some((2, 2, 0.5))));
    assert_eq!(change(bounded(2, 7), Some(0.5)).await, ((1, 8), Some((3, 7, 0.5))));
}

async fn a_share_grows_until_it_is_settled(store: &Store) {
    assert!(matches!(store.roll_out("w", 0.5, now()).await, Err(RollError::NoWorkerType)));
    create(store, "w").await;
    assert!(matches!(store.roll_out("w", 0.5, now()).await, Err(RollError::NoCandidate)));
    update(store, 2, Some(0.1)).await;
    assert_eq!(told_of(&store.roll_out("w", 0.5, now()).await.unwrap()), ((1, 1), Some((2, 2, 0.5))));
    for _ in 0..2 {
        assert_eq!(told_of(&store.roll_out("w", 1.0, now()).await.unwrap()), ((2, 2), None));
    }
    assert_eq!(told_of(&get(store, "w").await), ((2, 2), None));
}

async fn a_version_is_taken_back_once(store: &Store) {
    assert!(matches!(store.roll_back("w", 1, now()).await, Err(RollError::NoWorkerType)));
    create(store, "w").await;
    assert!(matches!(store.roll_back("w", 1, now()).await, Err(RollError::NoPrevious)));
    // One that has a share.
    update(store, 2, Some(0.5)).await;
    for _ in 0..2 {
        assert_eq!(told_of(&store.roll_back("w", 2, now()).await.unwrap()), ((1, 1), None));
    }
    // One that was settled.
    update(store, 3, Some(0.5)).await;
    store.roll_out("w", 1.0, now()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(told_of(&store.roll_back("w", 3, now()).await.unwrap()), ((1, 1), None));
    }
    assert!(matches!(store.roll_back("w", 1, now()).await, Err(RollError::NoPrevious)), "there is but one way back");
    // One that another has overtaken.
    update(store, 4, None).await;
    update(store, 5, Some(0.5)).await;
    assert_eq!(told_of(&store.roll_back("w", 4, now()).await.unwrap()), ((4, 4), Some((5, 5, 0.5))));
}

async fn a_number_is_never_given_again(store: &Store) {
    create(store, "w").await;
    for number in 2..5 {
        update(store, number, Some(0.5)).await;
        store.roll_back("w", number, now()).await.unwrap();
        // Nothing refers to it any more.
        store.expire(now(), now(), 100).await.unwrap();
        assert_eq!(store.version("w", number).await.unwrap(), None);
    }
    assert_eq!(update(store, 9, None).await, ((5, 9), None));
    store.expire(now(), now(), 100).await.unwrap();
    assert!(store.version("w", 1).await.unwrap().is_some(), "there may be a way back to it");
}

async fn what_is_removed_leaves_nothing_but_what_has_to_end(store: &Store) {
    create(store, "w").await;
    create(store, "other").await;
    wished(store, &[wish("i-1", "w"), wish("i-2", "w"), wish("i-3", "other")]).await;
    store.launched("i-2", "p-2").await.unwrap();
    told(store).await;
    assert!(store.remove("w", now()).await.unwrap());
    assert!(!store.remove("w", now()).await.unwrap());
    assert_eq!(store.worker_type("w").await.unwrap(), None);
    assert_eq!(store.pass("w").await.unwrap(), None);
    for (id, state, secret) in
        [("i-1", State::Stopping, false), ("i-2", State::Stopping, false), ("i-3", State::Requested, true)]
    {
        assert_eq!(store.instance(id).await.unwrap().unwrap().state, state, "{id}");
        assert_eq!(store.secret(id, now()).await.unwrap().is_some(), secret, "{id}");
    }
    assert_eq!(told(store).await, ["removed primary.w"]);
}

async fn a_name_comes_back_while_something_of_it_still_stops(store: &Store) {
    create(store, "w").await;
    update(store, 2, None).await;
    let mut second = wish("i-1", "w");
    second.instance.version = 2;
    wished(store, &[second]).await;
    store.remove("w", now()).await.unwrap();
    store.expire(now(), now(), 100).await.unwrap();
    let Created::New(again) = store.create("w", &definition(3), now()).await.unwrap() else { panic!("it is new") };
    assert_eq!(told_of(&again), ((3, 3), None), "what stops is of other versions");
    assert!(matches!(store.roll_back("w", 3, now()).await, Err(RollError::NoPrevious)));
    wished(store, &[wish("i-2", "w")]).await;
    let live = store.instances("w", "", 10).await.unwrap();
    let states: Vec<(&str, State)> = live.iter().map(|instance| (&*instance.id, instance.state)).collect();
    assert_eq!(states, [("i-1", State::Stopping), ("i-2", State::Requested)]);
}

async fn worker_types_are_listed_by_name(store: &Store) {
    for name in ["b", "a", "c-d", "c"] {
        create(store, name).await;
    }
    let names = async |after: &str, limit| {
        let page = store.worker_types(after, limit).await.unwrap();
        page.into_iter().map(|worker_type| worker_type.name).collect::<Vec<_>>()
    };
    assert_eq!(names("", usize::MAX).await, ["a", "b", "c", "c-d"]);
    assert_eq!(names("a", 2).await, ["b", "c"]);
    assert_eq!(names("c-d", 2).await, [""; 0]);
}

/// Rows as the first version of this service left them.
const SAMPLE: &str = include_str!("../../migrations/0001_worker_types.sample.sql");

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    for fresh in testing::left(&SCHEMA.of_version(1), SAMPLE).await {
        let store = open(&fresh.database).await.unwrap();
        let now: Timestamp = "2026-03-04T05:06:08.000Z".parse().unwrap();
        assert_eq!(told_of(&get(&store, "w").await), ((2, 5), Some((3, 6, 0.25))));
        assert_eq!(told_of(&store.roll_back("w", 3, now).await.unwrap()), ((2, 5), None));
        assert_eq!(store.live().await.unwrap().len(), 2);
        assert_eq!(store.unlaunched().await.unwrap()[0].instance.place.region, "r");
        assert_eq!(store.failures("w").await.unwrap().reason, "exit status 1");
        assert!(store.secret("one", now).await.unwrap().is_some() && store.secret("two", now).await.unwrap().is_some());
        assert_eq!(store.pass("w").await.unwrap().unwrap().why, ["Because."]);
        let samples = store.numbers("w", now - hours(1), now, 10, now).await.unwrap();
        assert_eq!(samples[0].2.covered, 60.0);
        let successor = Lead { holder: "another".to_owned() };
        assert!(!store.lead(&successor, now + minutes(1), now).await.unwrap());
        assert!(store.lead(&successor, now + days(1), now + Duration::from_secs(60)).await.unwrap());
        store.close().await;
    }
}
