//! Roles, which change as one unit.

use service_kit::store::Row;

use super::trail::leave_trail;
use super::{Store, StoreError, scopes};
use crate::history::Record;
use crate::role::{Role, Roles};

const SELECT: &str = "SELECT role_id, scopes, description, created, last_modified FROM roles ORDER BY role_id";

const SELECT_VERSION: &str = "SELECT version FROM roles_version";

/// The compare-and-set that makes a change of any role wait for, and see, every other.
const RAISE_VERSION: &str = "UPDATE roles_version SET version = version + 1 WHERE version = $1";

const RAISE_ANY_VERSION: &str = "UPDATE roles_version SET version = version + 1";

const PUT: &str = "INSERT INTO roles (role_id, scopes, description, created, last_modified) \
     VALUES ($1, $2, $3, $4, $5) \
     ON CONFLICT (role_id) DO UPDATE \
     SET scopes = excluded.scopes, description = excluded.description, created = excluded.created, \
         last_modified = excluded.last_modified";

const DELETE: &str = "DELETE FROM roles WHERE role_id = $1";

impl Store {
    /// All roles, with the version of the whole.
    pub async fn roles(&self) -> Result<Roles, StoreError> {
        // The version first: roles that change between the two statements then belong to an old version, which no change can
        // start from.
        let version = self.kit.one(SELECT_VERSION, &[]).await?.int("version")?;
        let roles = self.kit.rows(SELECT, &[]).await?.iter().map(role).collect::<Result<_, _>>()?;
        Ok(Roles { version, roles })
    }

    /// Adds or replaces a role, if the roles are still at `version`, and counts that up. Atomic. Answers whether it
    /// did.
    pub async fn put_role(&self, version: i64, role: Role, record: Record) -> Result<bool, StoreError> {
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    if sql.run(RAISE_VERSION, &[version.into()]).await? == 0 {
                        return Ok(false);
                    }
                    let args = [
                        (&role.role_id).into(),
                        scopes(&role.scopes).into(),
                        (&role.description).into(),
                        role.created.into(),
                        role.last_modified.into(),
                    ];
                    sql.run(PUT, &args).await?;
                    leave_trail(sql, &record).await?;
                    Ok(true)
                })
            })
            .await
    }

    /// Removes a role and counts the version of the roles up, whatever it is: without a role there are fewer cycles.
    /// Atomic. Answers whether it was there.
    pub async fn delete_role(&self, role_id: &str, record: Record) -> Result<bool, StoreError> {
        let role_id = role_id.to_owned();
        self.kit
            .write(move |sql| {
                Box::pin(async move {
                    let deleted = sql.run(DELETE, &[role_id.into()]).await? > 0;
                    if deleted {
                        sql.run(RAISE_ANY_VERSION, &[]).await?;
                        leave_trail(sql, &record).await?;
                    }
                    Ok(deleted)
                })
            })
            .await
    }
}

fn role(row: &Row) -> Result<Role, StoreError> {
    Ok(Role {
        role_id: row.text("role_id")?,
        scopes: row.json("scopes")?,
        description: row.text("description")?,
        created: row.time("created")?,
        last_modified: row.time("last_modified")?,
    })
}
