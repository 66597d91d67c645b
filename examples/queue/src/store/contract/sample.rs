//! A database that an earlier version has left is brought up to date and goes on.

use service_kit::testing::leave;

#[cfg(feature = "postgres")]
use super::fixture::Fixture;
use super::prelude::*;
use crate::store::SCHEMA;

/// Rows as the first version of this service left them.
const SAMPLE: &str = include_str!("../../../migrations/0001_tasks.sample.sql");

async fn the_sample_goes_on(store: &Store) {
    let id = |letter: &str| format!("Sample-{letter}QACAAAAAAAAAAA").parse::<TaskId>().unwrap();
    let now: Timestamp = "2026-01-02T00:00:00.000Z".parse().unwrap();
    let (done, _) = store.task(id("a")).await.unwrap().unwrap();
    assert_eq!((done.state(), done.routes.as_slice()), (State::Completed, &["index.sample".to_owned()][..]));
    assert_eq!(store.counts("sample/queue", now).await.unwrap(), Counts { pending: 1, claimed: 1 });
    assert_eq!(store.artifacts(id("a"), 0.into(), "", 10).await.unwrap().len(), 1);
    let worker = Worker { group: "g".to_owned(), id: "w".to_owned() };
    let seen = store.worker("sample/queue", &worker).await.unwrap().unwrap();
    assert_eq!((seen.recent_tasks.len(), seen.quarantine_details.len()), (2, 1));

    store.apply(id("b"), Event::Complete { run: 0.into() }, now).await.unwrap().unwrap();
    let claimed = store.claim("sample/queue", &worker, 5, now + minutes(20), now).await.unwrap();
    let order: Vec<TaskId> = claimed.iter().map(|claimed| claimed.task.task_id).collect();
    assert_eq!(order, [id("c"), id("d")]);
    store.apply(id("c"), Event::Complete { run: 0.into() }, now).await.unwrap().unwrap();
    assert_eq!(store.group(id("g")).await.unwrap().unwrap().unresolved, 0);
}

#[tokio::test]
async fn sqlite_of_the_first_version_is_brought_up_to_date() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(directory.path().join("queue.db"));
    leave(&database, &SCHEMA.of_version(1), SAMPLE).await;
    let store = Store::open(&database).await.unwrap();
    the_sample_goes_on(&store).await;
    store.close().await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgres_of_the_first_version_is_brought_up_to_date() {
    let fill = async |database: &Database| leave(database, &SCHEMA.of_version(1), SAMPLE).await;
    let Some(fixture) = Fixture::postgres_filled(fill).await else { return };
    the_sample_goes_on(&fixture.store).await;
    fixture.end().await;
}
