//! A row of an answer.

use std::str::FromStr;

use serde::de::DeserializeOwned;
use sqlx::Row as _;
use taskcluster_core::time::Timestamp;

use super::super::StoreError;

/// A row of an answer, whose columns are asked for by name.
pub struct Row(pub(super) Inner);

pub(super) enum Inner {
    Sqlite(sqlx::sqlite::SqliteRow),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::postgres::PgRow),
}

impl std::fmt::Debug for Row {
    /// Without what it holds, which may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").finish_non_exhaustive()
    }
}

/// A macro, since a function would have to say what the type is for each of the two databases.
macro_rules! get {
    ($row:expr, $column:expr) => {
        match &$row.0 {
            Inner::Sqlite(row) => row.try_get($column),
            #[cfg(feature = "postgres")]
            Inner::Postgres(row) => row.try_get($column),
        }
        .map_err(StoreError::from)
    };
}

/// Every method fails where there is no such column, or what it holds is something else.
impl Row {
    /// Text.
    pub fn text(&self, column: &'static str) -> Result<String, StoreError> {
        get!(self, column)
    }

    /// Text, or none.
    pub fn text_or_null(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        get!(self, column)
    }

    /// A whole number.
    pub fn int(&self, column: &'static str) -> Result<i64, StoreError> {
        get!(self, column)
    }

    /// A whole number, or none.
    pub fn int_or_null(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        get!(self, column)
    }

    /// A whole number that is small and not negative.
    pub fn number(&self, column: &'static str) -> Result<u32, StoreError> {
        let number = self.int(column)?;
        u32::try_from(number).map_err(|_| StoreError::unreadable(column, number))
    }

    /// A floating-point number.
    pub fn float(&self, column: &'static str) -> Result<f64, StoreError> {
        get!(self, column)
    }

    /// `BOOLEAN`, or in SQLite the whole number 0 or 1.
    pub fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        get!(self, column)
    }

    /// A time, kept in milliseconds since 1970.
    pub fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        Ok(Timestamp::from_millis(self.int(column)?))
    }

    /// A time, or none.
    pub fn time_or_null(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.int_or_null(column)?.map(Timestamp::from_millis))
    }

    /// What a text means, such as an id.
    pub fn parsed<T: FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        let text = self.text(column)?;
        text.parse().map_err(|_| StoreError::unreadable(column, text))
    }

    /// What a text of JSON means.
    pub fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        serde_json::from_str(&self.text(column)?).map_err(|error| StoreError::unreadable(column, error))
    }
}
