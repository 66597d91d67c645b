//! What goes on beside the passes.

pub(crate) mod expiry;
pub(crate) mod hear;
