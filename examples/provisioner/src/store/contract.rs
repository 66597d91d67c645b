//! What the store has to do, on each kind of database.
