//! What nobody may read who has the database alone: what workers find under tokens, and definitions, since these have secrets in many places:
//! as such in each of their fragments, in the environment of processes, in user data.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use service_kit::seal::{self, SealError, Sealer};
use service_kit::store::{AnyStore, Database, Sql, StoreError};

/// The sealer of a database: with the key in this file, or for SQLite in the file beside the database. In memory a key for now will do.
///
/// # Errors
/// When the file cannot be read or made, or when there is no place for it.
pub fn sealer_for(database: &Database, key_file: Option<&Path>) -> Result<Sealer, SealError> {
    seal::sealer_for(database, key_file, "secrets_key")
}

/// Whose a definition is, so that it opens in its own place only.
pub(super) fn version(worker_type: &str, number: u32) -> String {
    format!("version {number} of {worker_type}")
}

/// Whose a stored secret is.
pub(super) fn token(digest: &str) -> String {
    format!("token {digest}")
}

/// Something as JSON, sealed.
pub(super) fn seal(sealer: &Sealer, owner: &str, value: &impl Serialize) -> Result<String, StoreError> {
    let text = serde_json::to_string(value).expect("what came as JSON can be written as JSON");
    Ok(sealer.seal(owner, &text.into())?)
}

/// The same, read again. What it says is nothing for messages, not even where it cannot be read.
pub(super) fn open<T: DeserializeOwned>(
    sealer: &Sealer,
    owner: &str,
    column: &'static str,
    sealed: &str,
) -> Result<T, StoreError> {
    let text = sealer.open(owner, sealed)?;
    serde_json::from_str(text.expose())
        .map_err(|error| StoreError::unreadable(column, format!("something else at character {}", error.column())))
}

/// Sees to it that the key is the right one, and seals what an earlier version of this service has left as it was.
pub(super) async fn bring_up_to_date(kit: &AnyStore, sealer: &Arc<Sealer>) -> Result<(), StoreError> {
    let sealer = Arc::clone(sealer);
    kit.write(move |sql| {
        Box::pin(async move {
            versions(sql, &sealer).await?;
            secrets(sql, &sealer).await
        })
    })
    .await
}

async fn versions(sql: &mut dyn Sql, sealer: &Sealer) -> Result<(), StoreError> {
    const SELECT: &str = "SELECT worker_type, number, definition FROM versions";
    const SEAL: &str = "UPDATE versions SET definition = $3 WHERE worker_type = $1 AND number = $2";
    for row in sql.rows(SELECT, &[]).await? {
        let (worker_type, number, text) = (row.text("worker_type")?, row.number("number")?, row.text("definition")?);
        if let Some(sealed) = sealed_now(sealer, &version(&worker_type, number), text)? {
            sql.run(SEAL, &[worker_type.into(), number.into(), sealed.into()]).await?;
        }
    }
    Ok(())
}

async fn secrets(sql: &mut dyn Sql, sealer: &Sealer) -> Result<(), StoreError> {
    const SELECT: &str = "SELECT digest, secrets FROM secrets WHERE instance_id IS NULL";
    const SEAL: &str = "UPDATE secrets SET secrets = $2 WHERE digest = $1";
    for row in sql.rows(SELECT, &[]).await? {
        let (digest, text) = (row.text("digest")?, row.text("secrets")?);
        if let Some(sealed) = sealed_now(sealer, &token(&digest), text)? {
            sql.run(SEAL, &[digest.into(), sealed.into()]).await?;
        }
    }
    Ok(())
}

/// What to put in the place of a text that is not sealed, as all JSON objects; nothing, if it is and opens.
fn sealed_now(sealer: &Sealer, owner: &str, text: String) -> Result<Option<String>, StoreError> {
    if text.starts_with('{') {
        return Ok(Some(sealer.seal(owner, &text.into())?));
    }
    sealer.open(owner, &text)?;
    Ok(None)
}
