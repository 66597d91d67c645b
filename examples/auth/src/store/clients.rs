//! Clients.

use std::sync::Arc;

use service_kit::seal::Sealer;
use service_kit::store::Row;
use taskcluster_core::time::Timestamp;

use super::trail::leave_trail;
use super::{Created, Store, StoreError, scopes};
use crate::client::Client;
use crate::history::{Action, Entity, Record};

macro_rules! columns {
    () => {
        "client_id, access_token, description, scopes, expires, disabled, delete_on_expiration, \
         created, last_modified, last_date_used, last_rotated, version"
    };
}

const SELECT: &str = concat!("SELECT ", columns!(), " FROM clients WHERE client_id = $1");

const SELECT_ALL: &str = concat!("SELECT ", columns!(), " FROM clients");

/// From a prefix, to what no id with that prefix reaches, after an id, so many.
const SELECT_SOME: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM clients WHERE client_id >= $1 AND client_id < $2 AND client_id > $3 ORDER BY client_id LIMIT $4"
);

const INSERT: &str = concat!(
    "INSERT INTO clients (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (client_id) DO NOTHING"
);

const UPDATE: &str = "UPDATE clients \
     SET access_token = $2, description = $3, scopes = $4, expires = $5, disabled = $6, delete_on_expiration = $7, \
         last_modified = $8, last_rotated = $9, version = version + 1 \
     WHERE client_id = $1 AND version = $10";

const DELETE: &str = "DELETE FROM clients WHERE client_id = $1";

const NOTE_USE: &str = "UPDATE clients SET last_date_used = $2 WHERE client_id = $1 AND last_date_used < $2";

const SELECT_EXPIRED: &str =
    "SELECT client_id FROM clients WHERE delete_on_expiration AND expires < $1 ORDER BY expires LIMIT $2";

impl Store {
    pub(super) async fn all_clients(&self) -> Result<Vec<Client>, StoreError> {
        self.kit.rows(SELECT_ALL, &[]).await?.iter().map(|row| client(&self.sealer, row)).collect()
    }

    /// The client of this id.
    pub async fn client(&self, client_id: &str) -> Result<Option<Client>, StoreError> {
        let found = self.kit.row(SELECT, &[client_id.into()]).await?;
        found.map(|row| client(&self.sealer, &row)).transpose()
    }

    /// Clients whose id starts with `prefix` and comes after `after`, in byte order, at most `limit`.
    pub async fn clients(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Client>, StoreError> {
        let args = [prefix.into(), beyond(prefix).into(), after.unwrap_or_default().into(), limit.into()];
        self.kit.rows(SELECT_SOME, &args).await?.iter().map(|row| client(&self.sealer, row)).collect()
    }

    /// Adds a client, unless there is one of its id. Atomic.
    pub async fn create_client(&self, client: Client, record: Record) -> Result<Created<Client>, StoreError> {
        let sealer = Arc::clone(&self.sealer);
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    let args = [
                        (&client.client_id).into(),
                        sealer.seal(&client.client_id, &client.access_token)?.into(),
                        (&client.description).into(),
                        scopes(&client.scopes).into(),
                        client.expires.into(),
                        client.disabled.into(),
                        client.delete_on_expiration.into(),
                        client.created.into(),
                        client.last_modified.into(),
                        client.last_date_used.into(),
                        client.last_rotated.into(),
                        client.version.into(),
                    ];
                    if sql.run(INSERT, &args).await? > 0 {
                        leave_trail(sql, &record).await?;
                        return Ok(Created::New);
                    }
                    let existing = sql.one(SELECT, &[(&client.client_id).into()]).await?;
                    Ok(Created::Exists(Box::new(self::client(&sealer, &existing)?)))
                })
            })
            .await
    }

    /// Replaces all but the id and `last_date_used` of a client, if it is still at `client.version`, and counts the
    /// version up. Atomic. Answers whether it did.
    pub async fn update_client(&self, client: Client, record: Record) -> Result<bool, StoreError> {
        let sealer = Arc::clone(&self.sealer);
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    let args = [
                        (&client.client_id).into(),
                        sealer.seal(&client.client_id, &client.access_token)?.into(),
                        (&client.description).into(),
                        scopes(&client.scopes).into(),
                        client.expires.into(),
                        client.disabled.into(),
                        client.delete_on_expiration.into(),
                        client.last_modified.into(),
                        client.last_rotated.into(),
                        client.version.into(),
                    ];
                    let changed = sql.run(UPDATE, &args).await? > 0;
                    if changed {
                        leave_trail(sql, &record).await?;
                    }
                    Ok(changed)
                })
            })
            .await
    }

    /// Removes a client. Atomic. Answers whether it was there.
    pub async fn delete_client(&self, client_id: &str, record: Record) -> Result<bool, StoreError> {
        let client_id = client_id.to_owned();
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    let deleted = sql.run(DELETE, &[client_id.into()]).await? > 0;
                    if deleted {
                        leave_trail(sql, &record).await?;
                    }
                    Ok(deleted)
                })
            })
            .await
    }

    /// Notes when clients were last used. Never moves such a time back; clients that are gone are passed over. Leaves
    /// no trail.
    pub async fn note_uses(&self, uses: Vec<(String, Timestamp)>) -> Result<(), StoreError> {
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    for (client_id, at) in uses {
                        sql.run(NOTE_USE, &[client_id.into(), at.into()]).await?;
                    }
                    Ok(())
                })
            })
            .await
    }

    /// Removes clients that are expired and to be deleted then, at most `limit` of them, as `by`. Atomic. Answers
    /// their ids.
    pub async fn purge_expired_clients(
        &self,
        now: Timestamp,
        by: &str,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let by = by.to_owned();
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    let found = sql.rows(SELECT_EXPIRED, &[now.into(), limit.into()]).await?;
                    let expired: Vec<String> =
                        found.iter().map(|row| row.text("client_id")).collect::<Result<_, _>>()?;
                    for client_id in &expired {
                        sql.run(DELETE, &[client_id.into()]).await?;
                        let record = Record {
                            entity: Entity::Client,
                            entity_id: client_id.clone(),
                            action: Action::Expired,
                            client_id: by.clone(),
                            created: now,
                        };
                        leave_trail(sql, &record).await?;
                    }
                    Ok(expired)
                })
            })
            .await
    }
}

fn client(sealer: &Sealer, row: &Row) -> Result<Client, StoreError> {
    let client_id = row.text("client_id")?;
    Ok(Client {
        access_token: sealer.open(&client_id, &row.text("access_token")?)?,
        client_id,
        description: row.text("description")?,
        scopes: row.json("scopes")?,
        expires: row.time("expires")?,
        disabled: row.flag("disabled")?,
        delete_on_expiration: row.flag("delete_on_expiration")?,
        created: row.time("created")?,
        last_modified: row.time("last_modified")?,
        last_date_used: row.time("last_date_used")?,
        last_rotated: row.time("last_rotated")?,
        version: row.int("version")?,
    })
}

/// No id with this prefix reaches it: ids have no character beyond `~`.
fn beyond(prefix: &str) -> String {
    format!("{prefix}\u{7f}")
}
