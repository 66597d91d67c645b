//! What becomes of objects in time.

use taskcluster::object::{ObjectHashes, ProposedUploadMethods};
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{days, hours, minutes};
use taskcluster_object::LINGER;

use crate::tester::{Tester, inline, refusal, refused, soon};

impl Tester {
    async fn blob_key(&self, name: &str) -> Option<String> {
        soon(self.service.store().object(name)).await.unwrap().map(|object| object.blob_key)
    }

    async fn has_blob(&self, key: &str) -> bool {
        soon(self.buckets.of(false).describe(key)).await.unwrap().is_some()
    }

    async fn expire(&self) {
        soon(self.service.catch_up()).await.unwrap();
    }
}

#[tokio::test]
async fn an_object_that_has_expired_is_gone_and_its_data_a_little_later() {
    let t = Tester::new().await;
    t.upload("a", ObjectHashes::new()).await;
    let key = t.blob_key("a").await.unwrap();
    t.clock.advance(days(30) - minutes(1));
    t.expire().await;
    soon(t.object.object("a")).await.expect("until it expires");
    t.clock.advance(minutes(1));
    assert_eq!(refusal(soon(t.object.object("a")).await), refused(404, "ResourceNotFound"));
    t.expire().await;
    assert!(t.has_blob(&key).await, "somebody may still be downloading");
    assert_eq!(refusal(t.create("a", TaskId::new(), inline("new")).await), refused(409, "RequestConflict"));
    t.clock.advance(LINGER + minutes(1));
    t.expire().await;
    assert!(!t.has_blob(&key).await);
    assert_eq!(t.blob_key("a").await, None);
    t.create("a", TaskId::new(), inline("new")).await.expect("the name is free");
}

#[tokio::test]
async fn an_upload_that_is_not_finished_in_a_day_is_given_up() {
    let t = Tester::new().await;
    let upload_id = TaskId::new();
    t.create("a", upload_id, inline("hello")).await.unwrap();
    let key = t.blob_key("a").await.unwrap();
    t.clock.advance(hours(24));
    assert_eq!(refusal(t.finish("a", upload_id, ObjectHashes::new()).await), refused(404, "ResourceNotFound"));
    t.clock.advance(LINGER + minutes(1));
    t.expire().await;
    assert!(!t.has_blob(&key).await && t.blob_key("a").await.is_none());
}

#[tokio::test]
async fn everything_that_has_expired_goes_however_much_it_is() {
    let t = Tester::new().await;
    for number in 0..250 {
        t.create(&format!("{number}"), TaskId::new(), ProposedUploadMethods::new()).await.unwrap();
    }
    t.clock.advance(days(2));
    t.create("young", TaskId::new(), inline("hello")).await.unwrap();
    t.expire().await;
    let left = soon(t.service.store().gone(t.now() + days(9), None, 1000)).await.unwrap();
    assert_eq!(left.iter().map(|object| object.name.as_str()).collect::<Vec<_>>(), ["young"]);
}
