//! What the store has to do, on each kind of database.

use futures_util::future::join_all;
use service_kit::testing;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{Timestamp, days, hours};

use super::{SCHEMA, Store};
use crate::object::tests::{begun, hashes, now};
use crate::object::{Hashes, Object};

service_kit::contract! { SCHEMA, Store::open =>
    an_object_is_read_back_as_it_was_written,
    a_second_object_of_the_same_name_changes_nothing,
    a_change_of_what_has_changed_is_refused,
    one_of_many_rivals_begins,
    what_is_gone_is_found_in_pages_and_forgotten,
    a_later_object_of_the_same_name_is_not_forgotten,
}

async fn add(store: &Store, object: &Object) {
    assert!(store.add(object).await.unwrap());
}

fn finished(object: &Object) -> Object {
    object.finish(&object.project_id, object.upload_id, &Hashes::new(), now()).unwrap()
}

async fn an_object_is_read_back_as_it_was_written(store: &Store) {
    let given = hashes(&[("sha256", "a"), ("x", "\u{0} \"ü\""), ("md5", "b")]);
    let object = Object { hashes: given, ..begun("public/a b\\c") };
    add(store, &object).await;
    assert_eq!(store.object("public/a b\\c").await.unwrap(), Some(object.clone()));
    let after = finished(&object);
    assert!(store.replace(&object, &after).await.unwrap());
    assert_eq!(store.object("public/a b\\c").await.unwrap(), Some(after));
    assert_eq!(store.object("public/a").await.unwrap(), None);
}

async fn a_second_object_of_the_same_name_changes_nothing(store: &Store) {
    let first = begun("a");
    add(store, &first).await;
    assert!(!store.add(&begun("a")).await.unwrap());
    assert_eq!(store.object("a").await.unwrap(), Some(first));
}

async fn a_change_of_what_has_changed_is_refused(store: &Store) {
    let object = begun("a");
    add(store, &object).await;
    let more = object.begun_again(&Object { hashes: hashes(&[("md5", "x")]), ..object.clone() }, now()).unwrap();
    assert!(store.replace(&object, &more).await.unwrap());
    assert!(!store.replace(&object, &finished(&object)).await.unwrap(), "it would lose a checksum");
    assert!(store.replace(&more, &finished(&more)).await.unwrap());
    assert!(!store.replace(&more, &more).await.unwrap(), "it is finished");
    let other = Object { blob_key: "another".to_owned(), ..finished(&more) };
    assert!(!store.replace(&other, &other).await.unwrap(), "it is another object");
    assert_eq!(store.object("a").await.unwrap(), Some(finished(&more)));
}

async fn one_of_many_rivals_begins(store: &Store) {
    let added = join_all((0..20).map(|_| async { store.add(&begun("a")).await })).await;
    assert_eq!(added.into_iter().filter(|added| *added.as_ref().unwrap()).count(), 1);
}

async fn what_is_gone_is_found_in_pages_and_forgotten(store: &Store) {
    for (name, late) in [("c", 1), ("b", 2), ("a", 2), ("d", 2), ("z", 3)] {
        add(store, &Object { gone_from: now() + hours(late), ..begun(name) }).await;
    }
    let names = |objects: &[Object]| objects.iter().map(|object| object.name.clone()).collect::<Vec<_>>();
    let end = now() + hours(3);
    let first = store.gone(end, None, 2).await.unwrap();
    assert_eq!(names(&first), ["c", "a"]);
    let second = store.gone(end, first.last(), 2).await.unwrap();
    assert_eq!(names(&second), ["b", "d"]);
    assert_eq!(store.gone(end, second.last(), 2).await.unwrap(), []);
    store.forget(first).await.unwrap();
    assert_eq!(names(&store.gone(now() + days(1), None, 9).await.unwrap()), ["b", "d", "z"]);
    assert_eq!(store.object("a").await.unwrap(), None);
}

async fn a_later_object_of_the_same_name_is_not_forgotten(store: &Store) {
    let first = begun("a");
    add(store, &first).await;
    store.forget(vec![first.clone()]).await.unwrap();
    let second = begun("a");
    add(store, &second).await;
    store.forget(vec![first]).await.unwrap();
    assert_eq!(store.object("a").await.unwrap(), Some(second));
}

/// Rows as the first version of this service left them.
const SAMPLE: &str = include_str!("../../migrations/0001_objects.sample.sql");

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    for left in testing::left(&SCHEMA.of_version(1), SAMPLE).await {
        the_sample_is_read(&Store::open(&left.database).await.unwrap()).await;
    }
}

async fn the_sample_is_read(store: &Store) {
    let object = store.object("sample/finished").await.unwrap().unwrap();
    assert!(object.finished && object.can_be_checked());
    assert_eq!(object.expires, Timestamp::from_millis(4_102_444_800_000));
    let begun = store.object("sample/begun").await.unwrap().unwrap();
    assert!(!begun.finished && begun.hashes.is_empty());
    assert_eq!(begun.upload_id, "Sample-aQACAAAAAAAAAAA".parse::<TaskId>().unwrap());
    let before = begun.gone_from - hours(1);
    let after = begun.finish("a/project", begun.upload_id, &hashes(&[("md5", "x")]), before).unwrap();
    assert!(store.replace(&begun, &after).await.unwrap(), "and it can be changed");
}
