//! Rows and the SQL that both databases understand alike.

use taskcluster_core::time::Timestamp;

use super::StoreError;
use crate::object::{Hashes, Object};

macro_rules! columns {
    () => {
        "name, project_id, upload_id, blob_key, hashes, expires, finished, gone_from"
    };
}

pub(super) const SELECT: &str = concat!("SELECT ", columns!(), " FROM objects WHERE name = $1");

pub(super) const INSERT: &str = concat!(
    "INSERT INTO objects (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO NOTHING"
);

/// The key tells this object from an earlier and a later one of the same name.
pub(super) const REPLACE: &str = "UPDATE objects SET hashes = $1, finished = $2, gone_from = $3 \
     WHERE name = $4 AND blob_key = $5 AND hashes = $6 AND finished = $7";

pub(super) const SELECT_GONE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM objects WHERE gone_from < $1 AND gone_from >= $2 AND (gone_from > $2 OR name > $3) \
     ORDER BY gone_from, name LIMIT $4"
);

pub(super) const DELETE: &str = "DELETE FROM objects WHERE name = $1 AND blob_key = $2";

pub(super) type ObjectRow = (String, String, String, String, String, i64, bool, i64);

pub(super) fn object(row: ObjectRow) -> Result<Object, StoreError> {
    let (name, project_id, upload_id, blob_key, hashes, expires, finished, gone_from) = row;
    let unreadable = || StoreError::Unreadable(name.clone());
    Ok(Object {
        project_id,
        upload_id: upload_id.parse().map_err(|_| unreadable())?,
        blob_key,
        hashes: serde_json::from_str(&hashes).map_err(|_| unreadable())?,
        expires: Timestamp::from_millis(expires),
        finished,
        gone_from: Timestamp::from_millis(gone_from),
        name,
    })
}

/// The same checksums are always the same text.
pub(super) fn hashes(hashes: &Hashes) -> String {
    serde_json::to_string(hashes).expect("checksums are plain data")
}

/// Where to go on after an object; nothing comes before the beginning.
pub(super) fn place(after: Option<&Object>) -> (i64, &str) {
    after.map_or((i64::MIN, ""), |last| (last.gone_from.as_millis(), &last.name))
}

/// A limit as the databases take it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
