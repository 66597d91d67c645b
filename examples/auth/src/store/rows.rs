//! Rows and the SQL that both databases understand alike.

use taskcluster_core::time::Timestamp;

use super::StoreError;
use crate::client::Client;
use crate::history::Entry;
use crate::role::Role;
use crate::seal::Sealer;

macro_rules! client_columns {
    () => {
        "client_id, access_token, description, scopes, expires, disabled, delete_on_expiration, \
         created, last_modified, last_date_used, last_rotated, version"
    };
}

pub(super) const SELECT_CLIENT: &str = concat!("SELECT ", client_columns!(), " FROM clients WHERE client_id = $1");

pub(super) const SELECT_ALL_CLIENTS: &str = concat!("SELECT ", client_columns!(), " FROM clients");

/// From a prefix, to what no id with that prefix reaches, after an id, so many.
pub(super) const SELECT_CLIENTS: &str = concat!(
    "SELECT ",
    client_columns!(),
    " FROM clients WHERE client_id >= $1 AND client_id < $2 AND client_id > $3 ORDER BY client_id LIMIT $4"
);

pub(super) const INSERT_CLIENT: &str = concat!(
    "INSERT INTO clients (",
    client_columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (client_id) DO NOTHING"
);

pub(super) const UPDATE_CLIENT: &str = "UPDATE clients \
     SET access_token = $2, description = $3, scopes = $4, expires = $5, disabled = $6, delete_on_expiration = $7, \
         last_modified = $8, last_rotated = $9, version = version + 1 \
     WHERE client_id = $1 AND version = $10";

pub(super) const DELETE_CLIENT: &str = "DELETE FROM clients WHERE client_id = $1";

pub(super) const NOTE_USE: &str = "UPDATE clients SET last_date_used = $2 WHERE client_id = $1 AND last_date_used < $2";

pub(super) const SELECT_EXPIRED: &str =
    "SELECT client_id FROM clients WHERE delete_on_expiration AND expires < $1 ORDER BY expires LIMIT $2";

pub(super) const SELECT_ROLES: &str =
    "SELECT role_id, scopes, description, created, last_modified FROM roles ORDER BY role_id";

pub(super) const SELECT_ROLES_VERSION: &str = "SELECT version FROM roles_version";

/// The compare-and-set that makes a change of any role wait for, and see, every other.
pub(super) const RAISE_ROLES_VERSION: &str = "UPDATE roles_version SET version = version + 1 WHERE version = $1";

pub(super) const RAISE_ANY_ROLES_VERSION: &str = "UPDATE roles_version SET version = version + 1";

pub(super) const PUT_ROLE: &str = "INSERT INTO roles (role_id, scopes, description, created, last_modified) \
     VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (role_id) DO UPDATE \
     SET scopes = excluded.scopes, description = excluded.description, created = excluded.created, \
         last_modified = excluded.last_modified";

pub(super) const DELETE_ROLE: &str = "DELETE FROM roles WHERE role_id = $1";

pub(super) const INSERT_ENTRY: &str =
    "INSERT INTO audit (entity_type, entity_id, action_type, client_id, created) VALUES ($1, $2, $3, $4, $5)";

macro_rules! select_entries {
    ($condition:literal) => {
        concat!(
            "SELECT position, entity_type, entity_id, action_type, client_id, created FROM audit WHERE position > $1",
            $condition,
            " ORDER BY position LIMIT $2"
        )
    };
}

pub(super) const SELECT_ENTRIES: &str = select_entries!("");
pub(super) const SELECT_ENTRIES_OF_ENTITY: &str = select_entries!(" AND entity_type = $3 AND entity_id = $4");
pub(super) const SELECT_ENTRIES_OF_CLIENT: &str = select_entries!(" AND client_id = $3");

pub(super) const SELECT_POSITION: &str = "SELECT COALESCE(MAX(position), 0) FROM audit";

pub(super) const PURGE_ENTRIES: &str =
    "DELETE FROM audit WHERE created < $1 AND position < (SELECT MAX(position) FROM audit)";

pub(super) type ClientRow = (String, String, String, String, i64, bool, bool, i64, i64, i64, i64, i64);

pub(super) fn client(sealer: &Sealer, row: ClientRow) -> Result<Client, StoreError> {
    let (
        id,
        token,
        description,
        scopes,
        expires,
        disabled,
        delete_on_expiration,
        created,
        modified,
        used,
        rotated,
        version,
    ) = row;
    Ok(Client {
        access_token: sealer.open(&id, &token)?,
        client_id: id,
        description,
        scopes: serde_json::from_str(&scopes)?,
        expires: Timestamp::from_millis(expires),
        disabled,
        delete_on_expiration,
        created: Timestamp::from_millis(created),
        last_modified: Timestamp::from_millis(modified),
        last_date_used: Timestamp::from_millis(used),
        last_rotated: Timestamp::from_millis(rotated),
        version,
    })
}

pub(super) fn clients(sealer: &Sealer, rows: Vec<ClientRow>) -> Result<Vec<Client>, StoreError> {
    rows.into_iter().map(|row| client(sealer, row)).collect()
}

pub(super) fn scopes(scopes: &[String]) -> String {
    serde_json::json!(scopes).to_string()
}

/// No id with this prefix reaches it: ids have no character beyond `~`.
pub(super) fn beyond(prefix: &str) -> String {
    format!("{prefix}\u{7f}")
}

pub(super) type RoleRow = (String, String, String, i64, i64);

pub(super) fn role(row: RoleRow) -> Result<Role, StoreError> {
    let (role_id, scopes, description, created, last_modified) = row;
    Ok(Role {
        role_id,
        scopes: serde_json::from_str(&scopes)?,
        description,
        created: Timestamp::from_millis(created),
        last_modified: Timestamp::from_millis(last_modified),
    })
}

pub(super) type EntryRow = (i64, String, String, String, String, i64);

pub(super) fn entry(row: EntryRow) -> Entry {
    let (position, entity_type, entity_id, action_type, client_id, created) = row;
    Entry { position, entity_type, entity_id, action_type, client_id, created: Timestamp::from_millis(created) }
}

/// A limit as the databases take it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
