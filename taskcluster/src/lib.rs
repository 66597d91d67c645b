//! To come.

#[cfg(feature = "events")]
pub mod events;

mod services;

#[allow(unused_imports, reason = "without a feature there is no service")]
pub use services::*;
