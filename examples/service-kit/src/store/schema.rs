//! What a service's state consists of.

use super::Migration;

/// Whose state it is, and the tables that it consists of, in both databases.
///
/// ```
/// use service_kit::store::Schema;
///
/// const SCHEMA: Schema = Schema::new(
///     "notes",
///     &[("0001_notes.sql", "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT")],
///     &[("0001_notes.sql", "CREATE TABLE notes (id BIGINT PRIMARY KEY, text TEXT NOT NULL)")],
/// );
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Schema {
    /// The service; in PostgreSQL also the name of its schema, so without a dash.
    pub service: &'static str,
    /// For SQLite, in the order in which they are applied; never edited after a release.
    pub sqlite: &'static [Migration],
    /// For PostgreSQL, likewise.
    pub postgres: &'static [Migration],
    /// Whether [`AnyStore`](super::AnyStore) makes one change at a time.
    pub in_turn: bool,
}

impl Schema {
    /// The tables that these migrations make, for changes at the same time.
    #[must_use]
    pub const fn new(service: &'static str, sqlite: &'static [Migration], postgres: &'static [Migration]) -> Self {
        Self { service, sqlite, postgres, in_turn: false }
    }

    /// One change at a time, also among processes. In SQLite there is one writer anyway; PostgreSQL locks rows, and changes that touch
    /// several of them would wait for each other's in any order.
    #[must_use]
    pub const fn with_changes_in_turn(mut self) -> Self {
        self.in_turn = true;
        self
    }

    /// As it was when there were only the first so many migrations.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn of_version(self, migrations: usize) -> Self {
        Self { sqlite: &self.sqlite[..migrations], postgres: &self.postgres[..migrations], ..self }
    }
}
