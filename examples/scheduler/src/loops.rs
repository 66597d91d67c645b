//! What the scheduler does by itself.

pub(crate) mod act;
pub(crate) mod ask;
pub(crate) mod expiry;
pub(crate) mod hear;
pub(crate) mod take_up;
