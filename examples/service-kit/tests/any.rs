//! What a service's statements can rely on, in whichever database.

use futures_util::future::join_all;
use service_kit::store::{AnyStore, Database, Schema, Sql, StoreError};
use taskcluster_core::time::Timestamp;

const SCHEMA: Schema = Schema::new(
    "kit_any",
    &[
        ("0001_all.sql", "CREATE TABLE all_kinds (id INTEGER PRIMARY KEY, text TEXT, number INTEGER, float REAL, flag INTEGER) STRICT"),
        ("0002_two.sql", "CREATE TABLE counters (name TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT"),
    ],
    &[
        (
            "0001_all.sql",
            "CREATE TABLE all_kinds (id BIGINT PRIMARY KEY, text TEXT, number BIGINT, float DOUBLE PRECISION, flag BOOLEAN)",
        ),
        ("0002_two.sql", "CREATE TABLE counters (name TEXT PRIMARY KEY, count BIGINT NOT NULL)"),
    ],
)
.with_changes_in_turn();

const INSERT: &str = "INSERT INTO all_kinds (id, text, number, float, flag) VALUES ($1, $2, $3, $4, $5)";
const SELECT: &str = "SELECT id, text, number, float, flag FROM all_kinds WHERE id = $1";
const COUNT: &str = "INSERT INTO counters (name, count) VALUES ($1, 1)
    ON CONFLICT (name) DO UPDATE SET count = counters.count + 1";

async fn open(database: &Database) -> Result<AnyStore, StoreError> {
    AnyStore::open(database, &SCHEMA).await
}

service_kit::contract! { SCHEMA, open =>
    values_come_back_as_they_went_in,
    what_means_nothing_is_named,
    a_change_that_fails_takes_back_all_of_it,
    changes_take_turns,
    a_statement_may_differ,
}

async fn values_come_back_as_they_went_in(store: &AnyStore) {
    let now = Timestamp::from_millis(1_800_000_000_123);
    let text = "a \\u0000 'quoted' ü";
    assert_eq!(
        store.run(INSERT, &[1_i64.into(), text.into(), now.into(), 1.5e300.into(), true.into()]).await.unwrap(),
        1
    );
    let none = [2_i64.into(), None::<&str>.into(), None::<i64>.into(), (-0.25).into(), false.into()];
    store.run(INSERT, &none).await.unwrap();
    let row = store.one(SELECT, &[1_i64.into()]).await.unwrap();
    assert_eq!((row.text("text").unwrap().as_str(), row.time("number").unwrap()), (text, now));
    assert_eq!((row.float("float").unwrap(), row.flag("flag").unwrap()), (1.5e300, true));
    let row = store.one(SELECT, &[2_i64.into()]).await.unwrap();
    assert_eq!((row.text_or_null("text").unwrap(), row.time_or_null("number").unwrap()), (None, None));
    assert_eq!((row.float("float").unwrap(), row.flag("flag").unwrap()), (-0.25, false));
    assert!(store.row(SELECT, &[3_i64.into()]).await.unwrap().is_none());
    assert!(store.one(SELECT, &[3_i64.into()]).await.is_err());
}

async fn what_means_nothing_is_named(store: &AnyStore) {
    store.run(INSERT, &[1_i64.into(), "no number".into(), (-1_i64).into(), 0.0.into(), true.into()]).await.unwrap();
    let row = store.one(SELECT, &[1_i64.into()]).await.unwrap();
    let unreadable = "the database holds an unreadable";
    assert_eq!(row.parsed::<u32>("text").unwrap_err().to_string(), format!("{unreadable} text: no number"));
    assert_eq!(row.number("number").unwrap_err().to_string(), format!("{unreadable} number: -1"));
    assert!(matches!(row.json::<Vec<i64>>("text"), Err(StoreError::Unreadable { column: "text", .. })));
    assert!(matches!(row.int("nothing"), Err(StoreError::Database(_))));
}

async fn a_change_that_fails_takes_back_all_of_it(store: &AnyStore) {
    let refused = store.write(|sql| {
        Box::pin(async move {
            count(sql, "a").await?;
            Err::<(), _>(StoreError::unreadable("nothing", "as asked"))
        })
    });
    assert!(matches!(refused.await, Err(StoreError::Unreadable { .. })));
    assert!(counts(store).await.is_empty());
}

/// They touch the same rows in either order; none waits for another that waits for it.
async fn changes_take_turns(store: &AnyStore) {
    let changes = (0..40).map(|n| {
        let names = if n % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
        store.write(move |sql| {
            Box::pin(async move {
                for name in names {
                    count(sql, name).await?;
                }
                Ok::<_, StoreError>(())
            })
        })
    });
    for changed in join_all(changes).await {
        changed.unwrap();
    }
    assert_eq!(counts(store).await, [("a".to_owned(), 40), ("b".to_owned(), 40)]);
}

async fn a_statement_may_differ(store: &AnyStore) {
    let mut sql = store.reader().await.unwrap();
    let list = sql.either(
        "SELECT value AS item FROM json_each($1) ORDER BY key",
        "SELECT item FROM json_array_elements_text(CAST($1 AS json)) WITH ORDINALITY AS list (item, place) ORDER BY place",
    );
    let rows = sql.rows(list, &[r#"["b","a"]"#.into()]).await.unwrap();
    let items: Vec<String> = rows.iter().map(|row| row.text("item").unwrap()).collect();
    assert_eq!(items, ["b", "a"]);
}

async fn count(sql: &mut dyn Sql, name: &'static str) -> Result<(), StoreError> {
    sql.run(COUNT, &[name.into()]).await?;
    Ok(())
}

async fn counts(store: &AnyStore) -> Vec<(String, i64)> {
    let rows = store.rows("SELECT name, count FROM counters ORDER BY name", &[]).await.unwrap();
    rows.iter().map(|row| (row.text("name").unwrap(), row.int("count").unwrap())).collect()
}
