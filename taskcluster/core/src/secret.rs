//! Strings and objects that no log may show.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroize;

/// An access token or another string that must not reach a log: no `Display`, and `Debug` shows only that it is there.
/// Its memory is wiped when it is dropped. Copies that others make of it (a request on its way, say) are theirs to wipe.
///
/// ```
/// use taskcluster_core::Secret;
/// let token = Secret::from("hunter2");
/// assert_eq!(format!("{token:?}"), "Secret(…)");
/// assert_eq!(token.expose(), "hunter2");
/// ```
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret itself. The name is there to be found by a search.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the string has no characters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Takes as long for the first wrong byte as for the last.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.0.as_bytes(), other.0.as_bytes());
        ours.len() == theirs.len() && ours.iter().zip(theirs).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
    }
}

impl Eq for Secret {}

/// A JSON object that must not reach a log, such as what the secrets service keeps: `Debug` shows only that it is there.
///
/// ```
/// use taskcluster_core::{SecretObject, object};
/// let secret = SecretObject::from(object! { "password": "hunter2" });
/// assert_eq!(format!("{secret:?}"), "SecretObject(…)");
/// assert_eq!(secret.expose()["password"], "hunter2");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretObject(Map<String, Value>);

impl SecretObject {
    /// The secret itself. The name is there to be found by a search.
    #[must_use]
    pub fn expose(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The secret itself, by value.
    #[must_use]
    pub fn into_exposed(self) -> Map<String, Value> {
        self.0
    }
}

impl From<Map<String, Value>> for SecretObject {
    fn from(object: Map<String, Value>) -> Self {
        Self(object)
    }
}

impl fmt::Debug for SecretObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretObject(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_and_serde_does_not() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert!(!format!("{secret:?} {secret:#?}").contains("hunter2"));
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"hunter2\"");
    }

    #[test]
    fn an_object_is_hidden_too() {
        let secret: SecretObject = serde_json::from_str(r#"{"password":"hunter2"}"#).unwrap();
        assert!(!format!("{secret:?} {secret:#?}").contains("hunter2"));
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#"{"password":"hunter2"}"#);
        assert_eq!(secret.clone().into_exposed(), *secret.expose());
    }

    #[test]
    fn equality_is_that_of_the_text() {
        assert_eq!(Secret::from("a"), Secret::from("a".to_owned()));
        assert_ne!(Secret::from("a"), Secret::from("b"));
        assert_ne!(Secret::from("a"), Secret::from("ab"));
    }
}
