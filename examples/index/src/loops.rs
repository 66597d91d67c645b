//! What the service does by itself.

pub(crate) mod expiry;
pub(crate) mod hear;
pub(crate) mod settle;
