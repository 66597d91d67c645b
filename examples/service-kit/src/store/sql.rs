//! The narrow waist between a service's statements and the two databases: a statement, its arguments, its rows.
//!
//! Most statements are the same text for both: they number their arguments (`$1`), hold text, whole numbers, floating-point numbers and
//! truth values, and take a list of any length as one text of JSON.

use std::borrow::Cow;

use async_trait::async_trait;
use taskcluster_core::time::Timestamp;

use super::StoreError;

mod on;
mod row;

#[cfg(feature = "postgres")]
pub use on::OnPostgres;
pub use on::OnSqlite;
pub use row::Row;

/// Something that statements can be sent to: a connection that reads, or a transaction that writes.
#[async_trait]
pub trait Sql: Send {
    /// Runs the statement and gives its rows.
    ///
    /// # Errors
    /// When the database refuses it, or cannot be reached.
    async fn rows(&mut self, statement: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, StoreError>;

    /// Runs the statement and counts the rows that it touched.
    ///
    /// # Errors
    /// When the database refuses it, or cannot be reached.
    async fn run(&mut self, statement: &'static str, args: &[Arg<'_>]) -> Result<u64, StoreError>;

    /// The text for the database that this is, where the two do not understand the same.
    fn either(&self, sqlite: &'static str, postgres: &'static str) -> &'static str;

    /// Runs the statement and gives its first row.
    ///
    /// # Errors
    /// When the database refuses it, or cannot be reached.
    async fn row(&mut self, statement: &'static str, args: &[Arg<'_>]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(statement, args).await?.into_iter().next())
    }

    /// Runs a statement that always gives a row, and gives that.
    ///
    /// # Errors
    /// When there is none, or as [`row`](Self::row).
    async fn one(&mut self, statement: &'static str, args: &[Arg<'_>]) -> Result<Row, StoreError> {
        Ok(self.row(statement, args).await?.ok_or(sqlx::Error::RowNotFound)?)
    }
}

/// An argument of a statement, made from a value by `into()`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Arg<'a> {
    /// Text, or none.
    Text(Option<Cow<'a, str>>),
    /// A whole number, or none.
    Int(Option<i64>),
    /// A floating-point number.
    Float(f64),
    /// `BOOLEAN`, or in SQLite the whole number 0 or 1.
    Flag(bool),
}

impl Arg<'_> {
    /// The same, with nothing borrowed.
    #[must_use]
    pub fn into_owned(self) -> Arg<'static> {
        match self {
            Self::Text(text) => Arg::Text(text.map(|text| Cow::Owned(text.into_owned()))),
            Self::Int(number) => Arg::Int(number),
            Self::Float(number) => Arg::Float(number),
            Self::Flag(flag) => Arg::Flag(flag),
        }
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text.into()))
    }
}

impl<'a> From<&'a String> for Arg<'a> {
    fn from(text: &'a String) -> Self {
        text.as_str().into()
    }
}

impl From<String> for Arg<'_> {
    fn from(text: String) -> Self {
        Self::Text(Some(text.into()))
    }
}

impl<'a> From<Option<&'a str>> for Arg<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text.map(Cow::from))
    }
}

impl From<i64> for Arg<'_> {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Arg<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

impl From<u32> for Arg<'_> {
    fn from(number: u32) -> Self {
        Self::Int(Some(number.into()))
    }
}

/// For limits: as many as the database can count.
impl From<usize> for Arg<'_> {
    fn from(number: usize) -> Self {
        Self::Int(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

/// In milliseconds since 1970.
impl From<Timestamp> for Arg<'_> {
    fn from(time: Timestamp) -> Self {
        Self::Int(Some(time.as_millis()))
    }
}

impl From<Option<Timestamp>> for Arg<'_> {
    fn from(time: Option<Timestamp>) -> Self {
        Self::Int(time.map(Timestamp::as_millis))
    }
}

impl From<f64> for Arg<'_> {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for Arg<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}
