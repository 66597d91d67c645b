//! Where it is kept what objects there are. Their data is elsewhere.
//!
//! Nobody holds a lock while somebody decides: a change names the object that it was made from, and is refused if that
//! has changed meanwhile. Whoever asked then decides again on what is there now.

use service_kit::store::{AnyStore, Arg, Database, Row, Schema, StoreError};
use taskcluster_core::time::Timestamp;

use crate::object::{Hashes, Object};

#[cfg(test)]
mod contract;

/// What the state consists of.
pub const SCHEMA: Schema = Schema::new(
    "object",
    &[("0001_objects.sql", include_str!("../migrations/sqlite/0001_objects.sql"))],
    &[("0001_objects.sql", include_str!("../migrations/postgres/0001_objects.sql"))],
);

macro_rules! columns {
    () => {
        "name, project_id, upload_id, blob_key, hashes, expires, finished, gone_from"
    };
}

const SELECT: &str = concat!("SELECT ", columns!(), " FROM objects WHERE name = $1");

const INSERT: &str = concat!(
    "INSERT INTO objects (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO NOTHING"
);

/// The key tells this object from an earlier and a later one of the same name.
const REPLACE: &str = "UPDATE objects SET hashes = $1, finished = $2, gone_from = $3 \
     WHERE name = $4 AND blob_key = $5 AND hashes = $6 AND finished = $7";

const SELECT_GONE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM objects WHERE gone_from < $1 AND gone_from >= $2 AND (gone_from > $2 OR name > $3) \
     ORDER BY gone_from, name LIMIT $4"
);

const DELETE: &str = "DELETE FROM objects WHERE name = $1 AND blob_key = $2";

/// The store of this service. Every method fails when the database does.
#[derive(Clone, Debug)]
pub struct Store {
    kit: AnyStore,
}

impl Store {
    /// Opens the database and brings it up to date.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(Self { kit: AnyStore::open(database, &SCHEMA).await? })
    }

    /// The object of this name, whatever has become of it.
    pub async fn object(&self, name: &str) -> Result<Option<Object>, StoreError> {
        self.kit.row(SELECT, &[name.into()]).await?.as_ref().map(object).transpose()
    }

    /// Adds an object, unless there is one of its name. Atomic. Answers whether it did.
    pub async fn add(&self, object: &Object) -> Result<bool, StoreError> {
        let args = [
            (&object.name).into(),
            (&object.project_id).into(),
            object.upload_id.to_string().into(),
            (&object.blob_key).into(),
            hashes(&object.hashes),
            object.expires.into(),
            object.finished.into(),
            object.gone_from.into(),
        ];
        Ok(self.kit.run(INSERT, &args).await? > 0)
    }

    /// Replaces checksums and state of an object, if they are still those of `before`. Atomic. Answers whether it did.
    pub async fn replace(&self, before: &Object, after: &Object) -> Result<bool, StoreError> {
        let args = [
            hashes(&after.hashes),
            after.finished.into(),
            after.gone_from.into(),
            (&before.name).into(),
            (&before.blob_key).into(),
            hashes(&before.hashes),
            before.finished.into(),
        ];
        Ok(self.kit.run(REPLACE, &args).await? > 0)
    }

    /// Objects that are gone from a time before `before` on, those that went first come first, at most `limit`; after
    /// the given one, which need not be there any more.
    pub async fn gone(
        &self,
        before: Timestamp,
        after: Option<&Object>,
        limit: usize,
    ) -> Result<Vec<Object>, StoreError> {
        // Nothing comes before the beginning.
        let (gone_from, name) = after.map_or((i64::MIN, ""), |last| (last.gone_from.as_millis(), &last.name));
        let args = [before.into(), gone_from.into(), name.into(), limit.into()];
        self.kit.rows(SELECT_GONE, &args).await?.iter().map(object).collect()
    }

    /// Forgets objects. Their data is deleted before, by the caller: so nothing stays behind that nobody knows of.
    pub async fn forget(&self, objects: Vec<Object>) -> Result<(), StoreError> {
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    for object in &objects {
                        sql.run(DELETE, &[(&object.name).into(), (&object.blob_key).into()]).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Finishes what was begun and closes the database. Nothing works afterwards.
    pub async fn close(&self) {
        self.kit.close().await;
    }
}

fn object(row: &Row) -> Result<Object, StoreError> {
    Ok(Object {
        name: row.text("name")?,
        project_id: row.text("project_id")?,
        upload_id: row.parsed("upload_id")?,
        blob_key: row.text("blob_key")?,
        hashes: row.json("hashes")?,
        expires: row.time("expires")?,
        finished: row.flag("finished")?,
        gone_from: row.time("gone_from")?,
    })
}

/// The same checksums are always the same text.
fn hashes(hashes: &Hashes) -> Arg<'static> {
    serde_json::to_string(hashes).expect("checksums are plain data").into()
}
