//! What must not be readable for who has the database alone.

use service_kit::store::{Database, StoreError};
use service_kit::testing::{self, Kind};
use taskcluster::provisioner::{CreateWorkerTypeRequest, LocalProcessProvider};
use taskcluster_core::object;
use taskcluster_core::time::hours;

use super::super::{Created, SCHEMA, Secret, Store};
use super::sketch::now;
use super::{SAMPLE, open};
use crate::worker_type::Definition;

/// What nobody shall find.
const SECRET: &str = "hunter2";

/// One that has it wherever it may stand.
fn definition() -> Definition {
    let provider = LocalProcessProvider::new(["worker", "--password", SECRET]);
    let sent = CreateWorkerTypeRequest::new("", "me@example.com", 1, 0.0, provider);
    let sent = sent.with_secrets(object! { "password": SECRET }).with_user_data(object! { "password": SECRET });
    Definition::new(sent)
}

async fn fill(store: &Store) {
    assert!(matches!(store.create("w", &definition(), now()).await.unwrap(), Created::New(_)));
    assert!(matches!(store.create("x", &definition(), now()).await.unwrap(), Created::New(_)));
    let secrets = object! { "password": SECRET }.into();
    let secret = Secret { worker_type: "w".to_owned(), secrets, scopes: Vec::new() };
    store.put_secret("d", &secret, now() + hours(1), now()).await.unwrap();
}

async fn texts(store: &Store, select: &'static str) -> Vec<String> {
    let rows = store.kit.rows(select, &[]).await.unwrap();
    rows.iter().map(|row| row.text("found").unwrap()).collect()
}

pub(super) async fn nothing_secret_is_in_any_row(store: &Store) {
    fill(store).await;
    let mut found = texts(store, "SELECT definition AS found FROM versions").await;
    found.extend(texts(store, "SELECT secrets AS found FROM secrets").await);
    assert_eq!(found.len(), 3);
    for text in found {
        assert!(text.starts_with("v1:") && !text.contains(SECRET), "{text}");
    }
    assert_eq!(store.version("w", 1).await.unwrap().map(|version| version.definition), Some(definition()));
}

pub(super) async fn what_is_moved_to_another_row_does_not_open(store: &Store) {
    const MOVE: &str = "UPDATE versions SET definition =
         (SELECT definition FROM versions WHERE worker_type = 'w') WHERE worker_type = 'x'";
    fill(store).await;
    store.kit.run(MOVE, &[]).await.unwrap();
    assert!(matches!(store.version("x", 1).await, Err(StoreError::Seal(_))));
    assert!(store.version("w", 1).await.is_ok());
}

/// All files of a database, as whoever copies them sees them.
fn files(database: &Database) -> Vec<Vec<u8>> {
    let Database::Sqlite(path) = database else { panic!("it is a file") };
    let folder = std::fs::read_dir(path.parent().unwrap()).unwrap();
    folder.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

fn stands_in(files: &[Vec<u8>], text: &str) -> bool {
    files.iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

#[tokio::test]
async fn no_secret_stands_in_the_files_of_a_database() {
    let fresh = Kind::File.fresh(SCHEMA.service).await.unwrap();
    let store = open(&fresh.database).await.unwrap();
    fill(&store).await;
    let written = files(&fresh.database);
    assert!(stands_in(&written, "v1:") && !stands_in(&written, SECRET), "with the log of what was written last");
    store.close().await;
    assert!(!stands_in(&files(&fresh.database), SECRET));
}

/// What an earlier version wrote as it was is sealed, and does not stay in the file beside that.
#[tokio::test]
async fn what_was_not_sealed_is_when_the_database_is_opened() {
    let fresh = Kind::File.fresh(SCHEMA.service).await.unwrap();
    testing::leave(&fresh.database, &SCHEMA.of_version(1), SAMPLE).await;
    let clear = "o@example.com";
    assert!(stands_in(&files(&fresh.database), clear));
    for _ in 0..2 {
        let store = open(&fresh.database).await.unwrap();
        assert_eq!(store.version("w", 2).await.unwrap().unwrap().definition.sent().owner, clear);
        store.close().await;
        assert!(!stands_in(&files(&fresh.database), clear));
    }
}

#[tokio::test]
async fn a_database_does_not_open_with_another_key() {
    let fresh = Kind::File.fresh(SCHEMA.service).await.unwrap();
    let store = open(&fresh.database).await.unwrap();
    fill(&store).await;
    store.close().await;
    let other = super::super::sealer_for(&fresh.database, None).unwrap();
    let error = Store::open(&fresh.database, other.into()).await.unwrap_err().to_string();
    assert!(error.contains("another key") && !error.contains(SECRET), "{error}");
}
