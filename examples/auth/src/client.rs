//! Clients: who may ask, with which secret, until when, with which scopes.

use std::time::Duration;

use taskcluster_core::ids::TaskId;
use taskcluster_core::secret::Secret;
use taskcluster_core::time::{Timestamp, hours, minutes};

/// Clients under this prefix come from the configuration and cannot be changed through the API.
pub(crate) const STATIC: &str = "static/";

/// How often the time of a client's last use is written down, at most.
pub(crate) const USE_NOTED_EVERY: Duration = hours(6);

/// How long a repeated creation of the same client counts as a retry, which gets the token that the first one got.
pub(crate) const CREATION_REPEATABLE: Duration = minutes(15);

/// A client, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// Its name.
    pub client_id: String,
    /// What it signs requests with.
    pub access_token: Secret,
    /// For people.
    pub description: String,
    /// Its scopes, as given.
    pub scopes: Vec<String>,
    /// When it stops working.
    pub expires: Timestamp,
    /// Whether somebody turned it off.
    pub disabled: bool,
    /// Whether it is removed once expired.
    pub delete_on_expiration: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub last_modified: Timestamp,
    /// When it was last used, to within six hours.
    pub last_date_used: Timestamp,
    /// When it got its present token.
    pub last_rotated: Timestamp,
    /// Counts changes; a change says which version it was made from.
    pub version: i64,
}

/// Why a known client may not ask anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Somebody turned it off.
    #[error("is disabled")]
    Disabled,
    /// Its time is over.
    #[error("has expired")]
    Expired,
}

impl Client {
    /// Whether the client may ask anything now.
    ///
    /// # Errors
    /// Why not.
    pub fn usable(&self, now: Timestamp) -> Result<(), Unusable> {
        if self.disabled {
            return Err(Unusable::Disabled);
        }
        if self.expires < now {
            return Err(Unusable::Expired);
        }
        Ok(())
    }

    /// Whether this is what somebody asked to create a moment ago, so that asking again is a retry.
    pub fn is_retry_of(&self, wanted: &Self, now: Timestamp) -> bool {
        let same_scopes = sorted(&self.scopes) == sorted(&wanted.scopes);
        same_scopes
            && self.expires == wanted.expires
            && self.description == wanted.description
            && !self.disabled
            && now.as_millis() - self.created.as_millis() < CREATION_REPEATABLE.as_millis() as i64
    }

    /// Whether the client comes from the configuration.
    pub fn is_static(&self) -> bool {
        self.client_id.starts_with(STATIC)
    }
}

fn sorted(scopes: &[String]) -> Vec<&String> {
    let mut sorted: Vec<&String> = scopes.iter().collect();
    sorted.sort_unstable();
    sorted
}

/// A new access token: two slugids, 242 random bits.
pub(crate) fn new_access_token() -> Secret {
    format!("{}{}", TaskId::new(), TaskId::new()).into()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn sample(client_id: &str) -> Client {
        let now = Timestamp::from_millis(1_767_323_045_000);
        Client {
            client_id: client_id.into(),
            access_token: "0123456789012345678901".into(),
            description: "a client".into(),
            scopes: vec!["b".into(), "a".into()],
            expires: now + hours(24),
            disabled: false,
            delete_on_expiration: false,
            created: now,
            last_modified: now,
            last_date_used: now,
            last_rotated: now,
            version: 1,
        }
    }

    #[test]
    fn a_client_works_until_it_expires_or_is_turned_off() {
        let client = sample("c");
        assert_eq!(client.usable(client.expires), Ok(()));
        assert_eq!(client.usable(client.expires + Duration::from_millis(1)), Err(Unusable::Expired));
        let disabled = Client { disabled: true, ..client };
        assert_eq!(disabled.usable(disabled.created), Err(Unusable::Disabled));
    }

    #[test]
    fn a_repeated_creation_is_a_retry_for_a_quarter_of_an_hour() {
        let client = sample("c");
        let now = client.created;
        let wanted = Client { scopes: vec!["a".into(), "b".into()], ..client.clone() };
        assert!(client.is_retry_of(&wanted, now));
        assert!(!client.is_retry_of(&wanted, now + minutes(15)));
        assert!(!client.is_retry_of(&Client { description: "other".into(), ..wanted.clone() }, now));
        assert!(!client.is_retry_of(&Client { scopes: vec![], ..wanted.clone() }, now));
        assert!(!client.is_retry_of(&Client { expires: now, ..wanted.clone() }, now));
        assert!(!Client { disabled: true, ..client }.is_retry_of(&wanted, now));
    }

    #[test]
    fn tokens_are_long_and_differ() {
        let token = new_access_token();
        assert_eq!(token.expose().len(), 44);
        assert!(!token.expose().starts_with('-'));
        assert_ne!(token.expose(), new_access_token().expose());
    }
}
