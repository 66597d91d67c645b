//! What workers find under their tokens. Of a token only its digest is kept, and what is under it is sealed: who reads the database has neither.

use std::sync::Arc;

use service_kit::seal::Sealer;
use service_kit::store::{Sql, StoreError};
use taskcluster_core::secret::SecretObject;
use taskcluster_core::time::Timestamp;

use super::{Store, sealed};
use crate::instance::Instance;

/// What is stored for a worker that was started in another way.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_structs, reason = "rows of the database are read into it")]
pub struct Secret {
    /// Whose.
    pub worker_type: String,
    /// What it finds.
    pub secrets: SecretObject,
    /// What its credentials are good for, besides its type's role.
    pub scopes: Vec<String>,
}

/// What there is under a token.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "the two kinds of tokens")]
pub enum Found {
    /// It is that of an instance; what it finds follows from its version.
    Instance(String),
    /// It was stored.
    Stored(Secret),
}

/// What came of a wish to store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the three things that can have happened")]
pub enum Put {
    /// It was.
    New,
    /// It is there already, and the same.
    Same,
    /// There is something else.
    Other,
}

const INSERT: &str = "INSERT INTO secrets (digest, worker_type, instance_id, secrets, scopes, expires)
     VALUES ($1, $2, $3, $4, $5, $6)";
const SELECT: &str = "SELECT worker_type, instance_id, secrets, scopes FROM secrets WHERE digest = $1 AND expires > $2";
const DELETE: &str = "DELETE FROM secrets WHERE digest = $1";
const DELETE_EXPIRED: &str = "DELETE FROM secrets WHERE digest = $1 AND expires <= $2";
const DELETE_OF: &str = "DELETE FROM secrets WHERE instance_id = $1";

impl Store {
    /// Stores what a worker shall find, unless there is something.
    pub async fn put_secret(
        &self,
        digest: &str,
        secret: &Secret,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<Put, StoreError> {
        let (digest, secret, sealer) = (digest.to_owned(), secret.clone(), Arc::clone(&self.sealer));
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    sql.run(DELETE_EXPIRED, &[(&digest).into(), now.into()]).await?;
                    match find(sql, &sealer, &digest, now).await? {
                        Some(Found::Stored(there)) if there == secret => return Ok(Put::Same),
                        Some(_) => return Ok(Put::Other),
                        None => {}
                    }
                    let secrets = sealed::seal(&sealer, &sealed::token(&digest), &secret.secrets)?;
                    let scopes = serde_json::to_string(&secret.scopes).expect("texts can be written as JSON");
                    let (digest, worker_type) = ((&digest).into(), (&secret.worker_type).into());
                    let none = None::<&str>.into();
                    sql.run(INSERT, &[digest, worker_type, none, secrets.into(), scopes.into(), expires.into()])
                        .await?;
                    Ok(Put::New)
                })
            })
            .await
    }

    /// What is under a token, unless it has expired.
    pub async fn secret(&self, digest: &str, now: Timestamp) -> Result<Option<Found>, StoreError> {
        find(&mut *self.kit.reader().await?, &self.sealer, digest, now).await
    }

    /// Forgets what is under a token.
    pub async fn remove_secret(&self, digest: &str) -> Result<(), StoreError> {
        self.kit.run(DELETE, &[digest.into()]).await?;
        Ok(())
    }
}

async fn find(sql: &mut dyn Sql, sealer: &Sealer, digest: &str, now: Timestamp) -> Result<Option<Found>, StoreError> {
    let Some(row) = sql.row(SELECT, &[digest.into(), now.into()]).await? else { return Ok(None) };
    if let Some(instance_id) = row.text_or_null("instance_id")? {
        return Ok(Some(Found::Instance(instance_id)));
    }
    let secrets = sealed::open(sealer, &sealed::token(digest), "secrets", &row.text("secrets")?)?;
    let scopes = row.json("scopes")?;
    Ok(Some(Found::Stored(Secret { worker_type: row.text("worker_type")?, secrets, scopes })))
}

/// What an instance finds follows from its version, and is not stored again.
pub(super) async fn insert_for(
    sql: &mut dyn Sql,
    instance: &Instance,
    digest: &str,
    expires: Timestamp,
) -> Result<(), StoreError> {
    let (worker_type, id) = ((&instance.worker_type).into(), (&instance.id).into());
    sql.run(INSERT, &[digest.into(), worker_type, id, "{}".into(), "[]".into(), expires.into()]).await?;
    Ok(())
}

pub(super) async fn forget_of(sql: &mut dyn Sql, instance_id: &str) -> Result<(), StoreError> {
    sql.run(DELETE_OF, &[instance_id.into()]).await?;
    Ok(())
}
