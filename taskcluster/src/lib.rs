//! To come.

#[cfg(feature = "events")]
pub mod events;
