//! The payload of a task: declared in parts, composed once, validated once.
//!
//! Each engine and plugin describes its part as a Rust type. Parts are merged property by property, so two plugins may both
//! have a flag under `features`, but no two may define the same property. The composed schema is closed: what nobody
//! declared is a violation.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Error;

mod form;
mod merge;
mod part;
mod reasons;
mod refused;
mod schema;
#[cfg(test)]
mod tests;

pub use form::PayloadForm;
pub use part::{NotAPart, PayloadPart};
pub use refused::Refused;
pub use schema::{PayloadConflict, PayloadSchema};

/// A payload that fits the schema. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Payload {
    value: Arc<Value>,
}

impl Payload {
    /// The part that `T` describes.
    ///
    /// # Errors
    /// [`Error::Payload`]: the part is stricter than its schema says.
    pub fn part<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(&*self.value).map_err(|error| Error::payload(format!("payload: {error}")))
    }

    /// The whole of it.
    #[must_use]
    pub fn as_value(&self) -> &Value {
        &self.value
    }
}
