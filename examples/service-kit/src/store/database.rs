//! Which database: told by a URL.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

/// A database, as configuration names it.
///
/// `sqlite:PATH` is a file, `sqlite::memory:` lasts as long as the process, `postgres://user@host/name` is a server
/// (`?sslmode=verify-full` and its like are obeyed).
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    /// SQLite, in this file.
    Sqlite(PathBuf),
    /// SQLite, in memory.
    Memory,
    /// PostgreSQL, under this URL.
    Postgres(Url),
}

/// A text that names no database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// Another scheme, or none.
    #[error("{0:?} names no database; use sqlite:PATH, sqlite::memory: or postgres://user@host/name")]
    Unknown(String),
}

impl FromStr for Database {
    type Err = DatabaseError;

    fn from_str(text: &str) -> Result<Self, DatabaseError> {
        let unknown = || DatabaseError::Unknown(without_password(text));
        if text == "sqlite::memory:" {
            return Ok(Self::Memory);
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(unknown()) } else { Ok(Self::Sqlite(PathBuf::from(path))) };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let url = Url::parse(text).map_err(|_| unknown())?;
            return Ok(Self::Postgres(url));
        }
        Err(unknown())
    }
}

impl fmt::Display for Database {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Memory => f.write_str("sqlite::memory:"),
            Self::Postgres(url) => f.write_str(&without_password(url.as_str())),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({self})")
    }
}

impl serde::Serialize for Database {
    /// Without the password.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Database {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn without_password(text: &str) -> String {
    match Url::parse(text) {
        Ok(mut url) if url.password().is_some() => match url.set_password(Some("***")) {
            Ok(()) => url.into(),
            Err(()) => "(hidden)".to_owned(),
        },
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_choose_the_backend() {
        let parse = str::parse::<Database>;
        assert_eq!(parse("sqlite:/var/lib/tc/queue.db"), Ok(Database::Sqlite("/var/lib/tc/queue.db".into())));
        assert_eq!(parse("sqlite:///var/lib/tc.db"), Ok(Database::Sqlite("/var/lib/tc.db".into())));
        assert_eq!(parse("sqlite:relative.db"), Ok(Database::Sqlite("relative.db".into())));
        assert_eq!(parse("sqlite::memory:"), Ok(Database::Memory));
        assert!(matches!(parse("postgres://tc@db/queue"), Ok(Database::Postgres(_))));
        assert!(matches!(parse("mysql://x"), Err(DatabaseError::Unknown(_))));
        assert!(matches!(parse("sqlite:"), Err(DatabaseError::Unknown(_))));
    }

    #[test]
    fn passwords_are_not_shown() {
        let database: Database = "postgres://tc:hunter2@db/queue".parse().unwrap();
        assert_eq!(database.to_string(), "postgres://tc:***@db/queue");
        assert!(!format!("{database:?}").contains("hunter2"));
        let error = "mysql://tc:hunter2@db/queue".parse::<Database>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
