//! What the store has to do, on each kind of database.

use std::time::Duration;

use service_kit::seal::Sealer;
use service_kit::store::Database;
use service_kit::testing;
use taskcluster_core::time::{Timestamp, days};

use super::{Created, SCHEMA, Store, StoreError};
use crate::client::Client;
use crate::client::tests::sample;
use crate::history::{Action, Entity, Entry, Of, Record};
use crate::role::Role;

service_kit::contract! { SCHEMA, open =>
    a_client_is_read_back_as_it_was_written,
    a_second_client_of_the_same_id_changes_nothing,
    a_change_from_an_old_version_is_refused,
    clients_come_in_byte_order_page_by_page,
    a_deleted_client_is_gone_and_deleting_it_again_is_nothing,
    uses_only_move_forward,
    roles_change_as_one_unit,
    every_change_leaves_an_entry_and_a_message,
    what_changes_nothing_leaves_nothing,
    histories_are_read_in_pages,
    expired_clients_are_purged_if_they_want_it,
    old_entries_are_purged_but_never_the_newest,
    one_of_many_rivals_wins,
    everything_is_everything,
}

async fn open(database: &Database) -> Result<Store, StoreError> {
    Store::open(database, Sealer::ephemeral()?).await
}

fn record(entity: Entity, entity_id: &str, action: Action) -> Record {
    Record { entity, entity_id: entity_id.into(), action, client_id: "somebody".into(), created: sample("").created }
}

async fn add(store: &Store, client: Client) {
    let record = record(Entity::Client, &client.client_id, Action::Created);
    assert_eq!(store.create_client(client, record).await.unwrap(), Created::New);
}

fn role(role_id: &str, scopes: &[&str]) -> Role {
    Role {
        role_id: role_id.into(),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        description: "a role".into(),
        created: sample("").created,
        last_modified: sample("").created,
    }
}

async fn put_role(store: &Store, version: i64, role: Role) -> bool {
    let record = record(Entity::Role, &role.role_id, Action::Created);
    store.put_role(version, role, record).await.unwrap()
}

fn ids(clients: &[Client]) -> Vec<&str> {
    clients.iter().map(|client| client.client_id.as_str()).collect()
}

async fn trail(store: &Store) -> Vec<Entry> {
    store.changes_since(0, 1000).await.unwrap()
}

async fn a_client_is_read_back_as_it_was_written(store: &Store) {
    let client = Client {
        description: "ünïcode \u{1} 'quoted'".into(),
        scopes: vec!["with \"quotes\"".into(), "*".into(), String::new()],
        disabled: true,
        delete_on_expiration: true,
        last_rotated: sample("").created + Duration::from_millis(1),
        ..sample("a/b|c@d")
    };
    add(store, client.clone()).await;
    assert_eq!(store.client("a/b|c@d").await.unwrap(), Some(client));
    assert_eq!(store.client("a").await.unwrap(), None);
}

async fn a_second_client_of_the_same_id_changes_nothing(store: &Store) {
    let first = sample("c");
    add(store, first.clone()).await;
    let second = Client { description: "another".into(), ..sample("c") };
    let outcome = store.create_client(second, record(Entity::Client, "c", Action::Created)).await.unwrap();
    assert_eq!(outcome, Created::Exists(Box::new(first)));
    assert_eq!(trail(store).await.len(), 1);
}

async fn a_change_from_an_old_version_is_refused(store: &Store) {
    add(store, sample("c")).await;
    let before = store.client("c").await.unwrap().unwrap();
    let update = || record(Entity::Client, "c", Action::Updated);
    let changed = Client {
        description: "changed".into(),
        scopes: vec!["x".into()],
        access_token: "another-token-another-token".into(),
        expires: before.expires + days(1),
        disabled: true,
        delete_on_expiration: true,
        last_modified: before.last_modified + days(1),
        last_rotated: before.last_rotated + days(1),
        ..before.clone()
    };
    assert!(store.update_client(changed.clone(), update()).await.unwrap());
    let after = store.client("c").await.unwrap().unwrap();
    assert_eq!(after, Client { version: before.version + 1, ..changed });
    assert!(!store.update_client(before, update()).await.unwrap());
    assert!(!store.update_client(sample("absent"), update()).await.unwrap());
    assert_eq!(store.client("c").await.unwrap(), Some(after));
    assert_eq!(trail(store).await.len(), 2);
}

async fn clients_come_in_byte_order_page_by_page(store: &Store) {
    for id in ["b/1", "a", "B", "b/a", "b/Z", "b", "b~", "c", "b0"] {
        add(store, sample(id)).await;
    }
    let listed = store.clients("", None, 100).await.unwrap();
    assert_eq!(ids(&listed), ["B", "a", "b", "b/1", "b/Z", "b/a", "b0", "b~", "c"]);
    let page = store.clients("b/", None, 2).await.unwrap();
    assert_eq!(ids(&page), ["b/1", "b/Z"]);
    let page = store.clients("b/", Some("b/Z"), 2).await.unwrap();
    assert_eq!(ids(&page)[0], "b/a");
    assert!(store.clients("b/", Some("b0"), 2).await.unwrap().is_empty());
    assert!(store.clients("%", None, 2).await.unwrap().is_empty());
    assert!(store.clients("B_", None, 2).await.unwrap().is_empty());
}

async fn a_deleted_client_is_gone_and_deleting_it_again_is_nothing(store: &Store) {
    add(store, sample("c")).await;
    let delete = || record(Entity::Client, "c", Action::Deleted);
    assert!(store.delete_client("c", delete()).await.unwrap());
    assert_eq!(store.client("c").await.unwrap(), None);
    assert!(!store.delete_client("c", delete()).await.unwrap());
    let actions: Vec<String> = trail(store).await.into_iter().map(|entry| entry.action_type).collect();
    assert_eq!(actions, ["created", "deleted"]);
}

async fn uses_only_move_forward(store: &Store) {
    add(store, sample("c")).await;
    let start = sample("c").last_date_used;
    store.note_uses(vec![("c".into(), start + days(2)), ("absent".into(), start)]).await.unwrap();
    store.note_uses(vec![("c".into(), start + days(1))]).await.unwrap();
    let client = store.client("c").await.unwrap().unwrap();
    assert_eq!(client.last_date_used, start + days(2));
    assert_eq!(client.version, sample("c").version, "a use is no change");
    assert_eq!(trail(store).await.len(), 1);
}

async fn roles_change_as_one_unit(store: &Store) {
    let empty = store.roles().await.unwrap();
    assert!(empty.roles.is_empty());
    assert!(put_role(store, empty.version, role("b", &["x", "y"])).await);
    assert!(!put_role(store, empty.version, role("a*", &[])).await, "the roles have changed since");
    let roles = store.roles().await.unwrap();
    assert_eq!(roles.roles, [role("b", &["x", "y"])]);
    assert!(put_role(store, roles.version, role("a*", &[])).await);
    let roles = store.roles().await.unwrap();
    let replaced =
        Role { description: "replaced".into(), last_modified: sample("").created + days(1), ..role("b", &["z"]) };
    assert!(put_role(store, roles.version, replaced.clone()).await);
    assert_eq!(store.roles().await.unwrap().roles, [role("a*", &[]), replaced.clone()]);
    let before = store.roles().await.unwrap().version;
    let delete = || record(Entity::Role, "a*", Action::Deleted);
    assert!(store.delete_role("a*", delete()).await.unwrap());
    assert!(!store.delete_role("a*", delete()).await.unwrap());
    let roles = store.roles().await.unwrap();
    assert_eq!(roles.roles, [replaced]);
    assert!(roles.version > before);
    assert!(!put_role(store, before, role("c", &[])).await);
}

async fn every_change_leaves_an_entry_and_a_message(store: &Store) {
    add(store, sample("c")).await;
    let version = store.roles().await.unwrap().version;
    put_role(store, version, role("r", &[])).await;
    store.delete_role("r", record(Entity::Role, "r", Action::Deleted)).await.unwrap();
    let trail = trail(store).await;
    let seen: Vec<(&str, &str, &str)> = trail
        .iter()
        .map(|entry| (entry.entity_type.as_str(), entry.entity_id.as_str(), entry.action_type.as_str()))
        .collect();
    assert_eq!(seen, [("client", "c", "created"), ("role", "r", "created"), ("role", "r", "deleted")]);
    assert!(trail.iter().all(|entry| entry.client_id == "somebody" && entry.created == sample("").created));
    assert!(trail.windows(2).all(|pair| pair[0].position < pair[1].position));
}

async fn what_changes_nothing_leaves_nothing(store: &Store) {
    store.delete_client("absent", record(Entity::Client, "absent", Action::Deleted)).await.unwrap();
    store.delete_role("absent", record(Entity::Role, "absent", Action::Deleted)).await.unwrap();
    put_role(store, 17, role("r", &[])).await;
    assert!(trail(store).await.is_empty());
    assert!(store.purge_expired_clients(sample("").created, "job", 10).await.unwrap().is_empty());
    assert!(trail(store).await.is_empty());
}

async fn histories_are_read_in_pages(store: &Store) {
    for _ in 0..3 {
        add(store, sample("c")).await;
        store.delete_client("c", record(Entity::Client, "c", Action::Deleted)).await.unwrap();
    }
    let mut by_other = record(Entity::Client, "d", Action::Created);
    by_other.client_id = "other".into();
    store.create_client(sample("d"), by_other).await.unwrap();

    let of_c = Of::Entity { entity_type: "client".into(), entity_id: "c".into() };
    let first = store.history(&of_c, 0, 4).await.unwrap();
    assert_eq!(first.len(), 4);
    let rest = store.history(&of_c, first[3].position, 4).await.unwrap();
    assert_eq!(rest.len(), 2);
    assert_eq!(rest[1].action_type, "deleted");
    assert_eq!(store.history(&Of::Client("somebody".into()), 0, 100).await.unwrap().len(), 6);
    let by_other = store.history(&Of::Client("other".into()), 0, 100).await.unwrap();
    assert_eq!(by_other.len(), 1);
    assert_eq!(by_other[0].entity_id, "d");
    let of_secret = Of::Entity { entity_type: "secret".into(), entity_id: "c".into() };
    assert!(store.history(&of_secret, 0, 100).await.unwrap().is_empty());
    assert_eq!(store.changes_since(rest[1].position, 100).await.unwrap(), by_other);
}

async fn expired_clients_are_purged_if_they_want_it(store: &Store) {
    let now = sample("").created + days(10);
    let expiring =
        |id: &str, expires: Timestamp, delete_on_expiration| Client { expires, delete_on_expiration, ..sample(id) };
    add(store, expiring("stays", now - days(1), false)).await;
    add(store, expiring("lives", now + days(1), true)).await;
    for id in ["x", "y", "z"] {
        add(store, expiring(id, now - days(1), true)).await;
    }
    assert_eq!(store.purge_expired_clients(now, "job", 2).await.unwrap().len(), 2);
    assert_eq!(store.purge_expired_clients(now, "job", 2).await.unwrap().len(), 1);
    assert_eq!(ids(&store.clients("", None, 100).await.unwrap()), ["lives", "stays"]);
    let purged = store.history(&Of::Client("job".into()), 0, 100).await.unwrap();
    assert_eq!(purged.len(), 3);
    assert!(purged.iter().all(|entry| entry.action_type == "expired" && entry.created == now));
}

async fn old_entries_are_purged_but_never_the_newest(store: &Store) {
    for id in ["a", "b", "c"] {
        add(store, sample(id)).await;
    }
    let last = trail(store).await.pop().unwrap();
    assert_eq!(store.purge_history(sample("").created).await.unwrap(), 0);
    assert_eq!(store.purge_history(sample("").created + days(1)).await.unwrap(), 2);
    assert_eq!(trail(store).await, std::slice::from_ref(&last));
    add(store, sample("d")).await;
    assert!(trail(store).await[1].position > last.position);
}

async fn one_of_many_rivals_wins(store: &Store) {
    add(store, sample("c")).await;
    let client = store.client("c").await.unwrap().unwrap();
    let version = store.roles().await.unwrap().version;
    let rivals = (0..8).map(|number| {
        let client = Client { description: format!("{number}"), ..client.clone() };
        async move {
            let update = record(Entity::Client, "c", Action::Updated);
            let changed = store.update_client(client, update).await.unwrap();
            (changed, put_role(store, version, role(&format!("r{number}"), &[])).await)
        }
    });
    let outcomes = futures_util::future::join_all(rivals).await;
    assert_eq!(outcomes.iter().filter(|(client, _)| *client).count(), 1);
    assert_eq!(outcomes.iter().filter(|(_, role)| *role).count(), 1);
    assert_eq!(store.roles().await.unwrap().roles.len(), 1);
    assert_eq!(trail(store).await.len(), 3);
}

async fn everything_is_everything(store: &Store) {
    add(store, sample("c")).await;
    let version = store.roles().await.unwrap().version;
    put_role(store, version, role("r", &["s"])).await;
    let everything = store.everything().await.unwrap();
    assert_eq!(ids(&everything.clients), ["c"]);
    assert_eq!(everything.roles, store.roles().await.unwrap());
    assert_eq!(everything.position, trail(store).await.last().unwrap().position);
    assert!(store.changes_since(everything.position, 10).await.unwrap().is_empty());
}

/// Rows as the first version of this service left them.
const SAMPLE: &str = include_str!("../../migrations/0001_auth.sample.sql");

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    for left in testing::left(&SCHEMA.of_version(1), SAMPLE).await {
        let sealer = Sealer::new(&super::KEY).unwrap();
        the_sample_is_read(&Store::open(&left.database, sealer).await.unwrap()).await;
    }
}

async fn the_sample_is_read(store: &Store) {
    let client = store.client("sample/client").await.unwrap().unwrap();
    assert_eq!(client.access_token.expose(), "a-token-of-the-sample-client");
    assert_eq!((client.scopes.as_slice(), client.version), (&["assume:sample:x".to_owned()][..], 3));
    assert!(client.delete_on_expiration && !client.disabled);
    assert_eq!(client.last_rotated, Timestamp::from_millis(1_767_323_048_000));
    let roles = store.roles().await.unwrap();
    assert_eq!((roles.version, roles.roles[0].role_id.as_str()), (5, "sample:*"));
    let actions: Vec<String> = trail(store).await.into_iter().map(|entry| entry.action_type).collect();
    assert_eq!(actions, ["created", "created"]);
    assert!(put_role(store, 5, role("r", &[])).await, "and it can be changed");
}
