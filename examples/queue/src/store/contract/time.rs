//! Claims, deadlines and what has expired.

use bytes::Bytes;
use service_kit::blobs::{BlobError, BlobInfo, Blobs};
use service_kit::sweep::{Next, Sweep as _};
use url::Url;

use super::fixture::*;
use super::prelude::*;
use crate::loops::Expiry;

pub(super) async fn expired_lease_is_found_and_retried(f: &Fixture) {
    let id = f.create(json!({})).await;
    f.claim(1).await;
    assert_eq!(f.store.expired_leases(f.now(), 10).await.unwrap(), []);
    assert_eq!(f.store.next_lease_end(f.now()).await.unwrap(), Some(f.now() + minutes(20)));
    f.clock.advance(minutes(20));
    let expired = f.store.expired_leases(f.now(), 10).await.unwrap();
    assert_eq!(expired, [LeaseEnd { task_id: id, run_id: 0.into(), taken_until: f.now() }]);
    let task = f.apply(id, Event::ClaimExpired { run: 0.into(), taken_until: f.now() }).await;
    assert_eq!((task.state(), task.retries_left), (State::Pending, 0));
    f.claim(1).await;
    f.clock.advance(minutes(20));
    let task = f.apply(id, Event::ClaimExpired { run: 1.into(), taken_until: f.now() }).await;
    assert_eq!(task.state(), State::Exception);
    assert_eq!(f.store.expired_leases(f.now(), 10).await.unwrap(), []);
    assert_eq!(f.store.next_lease_end(f.now()).await.unwrap(), None);
}

pub(super) async fn renewed_lease_is_not_expired(f: &Fixture) {
    let id = f.create(json!({})).await;
    f.claim(1).await;
    f.clock.advance(minutes(15));
    f.apply(id, Event::Reclaim { run: 0.into(), taken_until: f.now() + minutes(20) }).await;
    f.clock.advance(minutes(10));
    assert_eq!(f.store.expired_leases(f.now(), 10).await.unwrap(), []);
    assert_eq!(f.store.counts("proj/ci", f.now()).await.unwrap(), Counts { pending: 0, claimed: 1 });
}

pub(super) async fn overdue_tasks_are_found(f: &Fixture) {
    let pending = f.create(json!({"deadline": f.now() + minutes(1)})).await;
    let unscheduled = f.create(json!({"deadline": f.now() + minutes(2), "dependencies": [pending]})).await;
    let done = f.create(json!({"priority": "high", "deadline": f.now() + minutes(3)})).await;
    f.run(done, complete()).await;
    assert_eq!(f.store.next_deadline().await.unwrap(), Some(f.now() + minutes(1)));
    f.clock.advance(minutes(5));
    assert_eq!(f.store.overdue(f.now(), 10).await.unwrap(), [pending, unscheduled]);
    f.events().await;
    for id in [pending, unscheduled, done] {
        f.apply(id, Event::DeadlinePassed).await;
    }
    assert_eq!(f.state(unscheduled).await, State::Exception);
    assert_eq!(f.state(done).await, State::Completed);
    assert_eq!(f.store.overdue(f.now(), 10).await.unwrap(), []);
    assert_eq!(f.event_names().await.iter().filter(|name| *name == "task-exception").count(), 2);
}

pub(super) async fn expired_things_are_forgotten(f: &Fixture) {
    let id = f.create(json!({})).await;
    let open = f.create(json!({"priority": "very-low", "taskGroupId": id})).await;
    f.claim(2).await;
    let storage = Storage::Reference { url: "https://example.com".to_owned() };
    f.store.put_artifact(artifact(id, "a", f.now() + days(1), storage), f.now()).await.unwrap().unwrap();
    f.store.saw_worker("proj/ci", &worker_named("one"), f.now()).await.unwrap();
    f.apply(id, complete()).await;
    f.clock.advance(days(2));
    let expired = f.store.expired_artifacts(f.now(), None, 10).await.unwrap();
    assert_eq!(expired.len(), 1);
    f.store.forget_artifacts(expired).await.unwrap();
    assert_eq!(f.store.artifacts(id, 0.into(), "", 10).await.unwrap(), []);
    assert_eq!(f.store.expire_tasks(f.now(), 10).await.unwrap(), 0);
    f.clock.advance(days(60));
    assert_eq!(f.store.expire_tasks(f.now(), 10).await.unwrap(), 1);
    assert_eq!(f.store.task(id).await.unwrap(), None);
    f.store.expire_others(f.now()).await.unwrap();
    // The group stays as long as a task of it does.
    assert!(f.store.group(id).await.unwrap().is_some());
    assert_eq!(f.store.worker("proj/ci", &worker_named("one")).await.unwrap(), None);
    f.apply(open, Event::DeadlinePassed).await;
    assert_eq!(f.store.expire_tasks(f.now(), 10).await.unwrap(), 1);
    f.store.expire_others(f.now()).await.unwrap();
    assert_eq!(f.store.group(id).await.unwrap(), None);
}

/// A storage that does not let go of anything but what it never had.
#[derive(Debug)]
struct Stubborn;

#[async_trait::async_trait]
impl Blobs for Stubborn {
    fn put_url(&self, _: &str, _: &str, _: Option<u64>, _: Timestamp) -> Result<Url, BlobError> {
        unreachable!("nothing is uploaded")
    }

    fn get_url(&self, _: &str, _: Timestamp) -> Result<Url, BlobError> {
        unreachable!("nothing is downloaded")
    }

    async fn write(&self, _: &str, _: &str, _: Bytes) -> Result<(), BlobError> {
        unreachable!("nothing is written")
    }

    async fn read(&self, _: &str) -> Result<Option<(String, Bytes)>, BlobError> {
        unreachable!("nothing is read")
    }

    async fn describe(&self, _: &str) -> Result<Option<BlobInfo>, BlobError> {
        unreachable!("nothing is looked at")
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        Err(if key == ".." { BlobError::Key(key.to_owned()) } else { BlobError::Full })
    }
}

pub(super) async fn artifacts_that_cannot_be_deleted_do_not_block_others(f: &Fixture) {
    let id = f.create(json!({})).await;
    f.claim(1).await;
    let put = async |name: String, age, storage| {
        let new = artifact(id, &name, f.now() + age, storage);
        f.store.put_artifact(new, f.now()).await.unwrap().unwrap();
    };
    // They expire together, as the artifacts of one task do.
    let blob = |key: &str| Storage::Blob { key: key.to_owned(), public: false };
    futures_util::future::join_all((0..150).map(|n| put(format!("stuck/{n}"), days(1), blob("stuck")))).await;
    // No storage takes this key, so nothing is there.
    put("a key that is none".to_owned(), days(1), blob("..")).await;
    let reference = || Storage::Reference { url: "https://example.com".to_owned() };
    put("early".to_owned(), days(1), reference()).await;
    put("late".to_owned(), days(2), reference()).await;
    let expiry = Expiry::new(f.store.clone(), Arc::new(Stubborn), f.clock.shared());
    let kept = async |name: &'static str| f.store.artifact(id, 0.into(), name).await.unwrap().is_some();
    f.clock.advance(days(1) + minutes(2));
    assert_eq!(expiry.step().await.unwrap(), Next::Now, "the first portion begins with one that goes");
    assert!(!kept("early").await && !kept("a key that is none").await);
    f.clock.advance(days(1));
    let rest = Next::At(f.now() + minutes(10));
    assert_eq!(expiry.step().await.unwrap(), rest);
    assert!(!kept("late").await);
    assert_eq!(f.store.expired_artifacts(f.now(), None, 1000).await.unwrap().len(), 150);
    // From the beginning: a portion in which nothing goes, and the rest.
    put("later".to_owned(), minutes(1), reference()).await;
    f.clock.advance(minutes(3));
    let rest = Next::At(f.now() + minutes(10));
    assert_eq!(expiry.step().await.unwrap(), rest);
    assert!(kept("later").await);
    assert_eq!(expiry.step().await.unwrap(), rest);
    assert!(!kept("later").await);
}
