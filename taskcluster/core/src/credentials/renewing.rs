use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Credentials, CredentialsProvider};
use crate::clock::{SharedClock, SystemClock};
use crate::error::Error;
use crate::time::{Timestamp, minutes};

/// How long before now temporary credentials are valid: services allow a clock to be this much off.
const BACKDATED: Duration = minutes(5);

/// Temporary credentials that are made anew, offline, before they expire: when a quarter of their time is left.
///
/// A process that lives long works with few scopes that way, and what leaks from it is worth little and not for long.
///
/// ```
/// use taskcluster_core::time::hours;
/// use taskcluster_core::{Credentials, CredentialsProvider};
///
/// let mine = Credentials::new("project/me", "hunter2");
/// let careful = mine.renewing(["queue:cancel-task:*"], hours(1), Some("project/me/cancels"))?;
/// assert_eq!(careful.credentials().unwrap().client_id, "project/me/cancels");
/// // For a handle: Taskcluster::builder(root_url).provider(careful).build()?
/// # Ok::<(), taskcluster_core::Error>(())
/// ```
pub struct RenewingCredentials {
    issuer: Credentials,
    scopes: Vec<String>,
    valid: Duration,
    name: Option<String>,
    clock: SharedClock,
    current: Mutex<Credentials>,
}

impl Credentials {
    /// Temporary credentials for `scopes` that are valid from now for this time, as [`temporary`](Self::temporary) makes
    /// them.
    ///
    /// # Errors
    /// As [`temporary`](Self::temporary).
    pub(super) fn lent<S: AsRef<str>>(
        &self,
        scopes: &[S],
        now: Timestamp,
        valid: Duration,
        name: Option<&str>,
    ) -> Result<Self, Error> {
        self.temporary(scopes, now - BACKDATED, now + valid, name)
    }

    /// A source of temporary credentials for `scopes`, each valid for this time and made anew before it is over. With a
    /// `name` they have that client id, as with [`temporary`](Self::temporary).
    ///
    /// # Errors
    /// As [`temporary`](Self::temporary), whose 31 days begin 5 minutes ago.
    pub fn renewing<S: Into<String>>(
        self,
        scopes: impl IntoIterator<Item = S>,
        valid: Duration,
        name: Option<&str>,
    ) -> Result<RenewingCredentials, Error> {
        let (scopes, clock) = (scopes.into_iter().map(Into::into).collect::<Vec<_>>(), SystemClock::shared());
        let current = Mutex::new(self.lent(&scopes, clock.now(), valid, name)?);
        Ok(RenewingCredentials { issuer: self, scopes, valid, name: name.map(str::to_owned), clock, current })
    }
}

impl RenewingCredentials {
    /// Goes by this clock instead of the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    fn is_fresh(&self, credentials: &Credentials, now: Timestamp) -> bool {
        let (now, left) = (now.as_millis(), (now + self.valid / 4).as_millis());
        // A clock that was set back may stand before their beginning.
        credentials
            .certificate
            .as_ref()
            .is_some_and(|certificate| certificate.start <= now && left < certificate.expiry)
    }
}

impl CredentialsProvider for RenewingCredentials {
    fn credentials(&self) -> Option<Credentials> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if !self.is_fresh(&current, now) {
            match self.issuer.lent(&self.scopes, now, self.valid, self.name.as_deref()) {
                Ok(fresh) => *current = fresh,
                Err(error) => tracing::warn!(%error, "temporary credentials are not renewed"),
            }
        }
        Some(current.clone())
    }
}

impl fmt::Debug for RenewingCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenewingCredentials")
            .field("issuer", &self.issuer.client_id)
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .field("valid", &self.valid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Certificate;
    use crate::clock::ManualClock;
    use crate::time::{days, hours};

    fn certificate(credentials: &impl CredentialsProvider) -> Certificate {
        credentials.credentials().unwrap().certificate.unwrap()
    }

    fn expiry(certificate: &Certificate) -> Timestamp {
        Timestamp::from_millis(certificate.expiry)
    }

    #[test]
    fn they_are_made_anew_before_they_expire() {
        let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let clock = ManualClock::at(start);
        let issuer = Credentials::new("issuer", "issuer-token");
        let renewing = issuer.renewing(["a", "b:*"], hours(4), None).unwrap().with_clock(clock.shared());

        let first = certificate(&renewing);
        assert_eq!((first.start, expiry(&first)), ((start - minutes(5)).as_millis(), start + hours(4)));
        clock.advance(hours(2) + minutes(59));
        assert_eq!(certificate(&renewing), first);
        clock.advance(minutes(1));
        let second = certificate(&renewing);
        assert_eq!(expiry(&second), start + hours(7));
        assert!(second.is_signed_by("issuer", &"issuer-token".into()) && second.seed != first.seed);
        assert_eq!(second.scopes, ["a", "b:*"]);

        clock.set(start - days(1));
        assert_eq!(expiry(&certificate(&renewing)), start - days(1) + hours(4));
    }

    #[test]
    fn what_cannot_be_issued_is_said_at_once_and_nothing_shows_a_secret() {
        let issuer = Credentials::new("issuer", "issuer-token");
        let error = issuer.clone().renewing(["a"], days(31), None).unwrap_err().to_string();
        assert!(error.contains("more than 31 days"), "{error}");
        let renewing = issuer.renewing(["a"], hours(1), Some("issuer/x")).unwrap();
        let token = renewing.credentials().unwrap().access_token;
        let shown = format!("{renewing:?}");
        assert!(shown.contains("issuer/x") && !shown.contains("issuer-token") && !shown.contains(token.expose()));
    }
}
