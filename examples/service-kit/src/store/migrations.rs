//! Migrations: numbered SQL files, embedded, applied in order and never edited after a release.

use sha2::{Digest as _, Sha256};

use super::StoreError;

/// A migration: its name, such as `0001_tasks.sql`, and its SQL (any number of statements).
pub type Migration = (&'static str, &'static str);

/// What a database remembers of the migrations that it has seen; the same on both backends.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations (
    service TEXT NOT NULL,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    PRIMARY KEY (service, name)
)";

/// What has been applied, oldest first.
pub(super) const APPLIED: &str = "SELECT service, name, checksum FROM migrations ORDER BY service, name";

/// One row of [`APPLIED`].
pub(super) type Applied = (String, String, String);

/// Which migrations are still to be applied to a database.
///
/// # Errors
/// When the database is another service's, is newer than this program, or was made by other migrations of the same names.
pub(super) fn pending(service: &str, known: &[Migration], applied: &[Applied]) -> Result<Vec<Migration>, StoreError> {
    for (owner, name, recorded) in applied {
        if owner != service {
            return Err(StoreError::Foreign { found: owner.clone(), expected: service.to_owned() });
        }
        let Some((_, sql)) = known.iter().find(|(known, _)| known == name) else {
            return Err(StoreError::Newer { service: service.to_owned(), migration: name.clone() });
        };
        if checksum(sql) != *recorded {
            return Err(StoreError::Changed { service: service.to_owned(), migration: name.clone() });
        }
    }
    let is_applied = |name: &str| applied.iter().any(|(_, applied, _)| applied == name);
    Ok(known.iter().copied().filter(|(name, _)| !is_applied(name)).collect())
}

/// Tells two texts of one migration apart; line ends do not count.
pub(super) fn checksum(sql: &str) -> String {
    let mut hasher = Sha256::new();
    for line in sql.lines() {
        hasher.update(line.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Migration; 2] = [("0001_a.sql", "SELECT 1;\n"), ("0002_b.sql", "SELECT 2;\n")];

    fn applied(name: &str, sql: &str) -> Applied {
        ("queue".to_owned(), name.to_owned(), checksum(sql))
    }

    #[test]
    fn what_is_missing_is_applied_in_order() {
        assert_eq!(pending("queue", &KNOWN, &[]).unwrap(), KNOWN);
        assert_eq!(pending("queue", &KNOWN, &[applied("0001_a.sql", "SELECT 1;\r\n")]).unwrap(), KNOWN[1..]);
    }

    #[test]
    fn other_data_is_refused() {
        let refused = |row| pending("queue", &KNOWN, &[row]).unwrap_err().to_string();
        assert!(refused(applied("0003_c.sql", "")).contains("newer version"));
        assert!(refused(applied("0001_a.sql", "SELECT 3")).contains("differs"));
        assert!(refused(("auth".to_owned(), "0001_a.sql".to_owned(), String::new())).contains("service auth"));
    }
}
