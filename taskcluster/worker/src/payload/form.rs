//! How a plugin finds its settings in payloads of different shapes.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::{Payload, PayloadPart};
use crate::error::Error;

/// How a plugin finds its settings `T` in a payload. The feature is the same in every worker, but payloads of different workers
/// name and nest it differently.
///
/// ```
/// use taskcluster_worker::PayloadForm;
///
/// /// Seconds without output after which something is done.
/// #[derive(Debug, PartialEq)]
/// struct Patience(u64);
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// #[serde(rename_all = "camelCase")]
/// struct OurPayload {
///     /// How long the task may be silent, in minutes.
///     silent_minutes: u64,
/// }
///
/// impl From<OurPayload> for Patience {
///     fn from(payload: OurPayload) -> Self {
///         Self(payload.silent_minutes * 60)
///     }
/// }
///
/// let form = PayloadForm::<Patience>::of::<OurPayload>();
/// # let schema = taskcluster_worker::PayloadSchema::compose([("patience", form.part())])?;
/// # let payload = serde_json::from_value(serde_json::json!({"silentMinutes": 2}))?;
/// # let payload = schema.validate(&payload)?;
/// assert_eq!(form.read(&payload)?, Patience(120));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PayloadForm<T> {
    part: PayloadPart,
    read: fn(&Payload) -> Result<T, Error>,
}

impl<T> PayloadForm<T> {
    /// The settings stand in the payload as `P` says.
    #[must_use]
    pub fn of<P: DeserializeOwned + JsonSchema + Into<T>>() -> Self {
        Self { part: PayloadPart::of::<P>(), read: |payload| Ok(payload.part::<P>()?.into()) }
    }

    /// What the plugin declares of the payload.
    #[must_use]
    pub fn part(&self) -> PayloadPart {
        self.part.clone()
    }

    /// The settings of a task.
    ///
    /// # Errors
    /// [`Error::Payload`]: the part is stricter than its schema says.
    pub fn read(&self, payload: &Payload) -> Result<T, Error> {
        (self.read)(payload)
    }
}

impl<T> Clone for PayloadForm<T> {
    fn clone(&self) -> Self {
        Self { part: self.part.clone(), read: self.read }
    }
}

impl<T> std::fmt::Debug for PayloadForm<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayloadForm").field("part", &self.part).finish_non_exhaustive()
    }
}
