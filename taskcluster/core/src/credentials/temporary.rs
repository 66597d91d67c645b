//! Issuing temporary credentials, without asking anybody (TaskCluster's documentation of temporary credentials,
//! certificates of version 1).

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;

use super::{Certificate, Credentials};
use crate::error::Error;
use crate::ids::TaskId;
use crate::secret::Secret;
use crate::time::{Timestamp, days};

impl Credentials {
    /// Temporary credentials for `scopes`, valid from `start` to `expiry`, made offline. With a `name` they have that
    /// client id instead of this one, for which the issuer needs the scope `auth:create-client:<name>`.
    ///
    /// Services allow a clock to be 5 minutes off, so a `start` a few minutes ago is wise.
    ///
    /// ```
    /// use taskcluster_core::time::{hours, minutes};
    /// use taskcluster_core::{Credentials, Timestamp};
    ///
    /// let mine = Credentials::new("project/me", "hunter2");
    /// let now = Timestamp::now();
    /// let scopes = ["queue:cancel-task:*"];
    /// let lent = mine.temporary(&scopes, now - minutes(5), now + hours(1), Some("project/me/bot"))?;
    /// assert_eq!(lent.client_id, "project/me/bot");
    /// # Ok::<(), taskcluster_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] if these credentials are temporary themselves, the time is longer than 31 days or not
    /// positive, a scope has a character other than printable ASCII, or the name is empty or the issuer's own.
    pub fn temporary<S: AsRef<str>>(
        &self,
        scopes: &[S],
        start: Timestamp,
        expiry: Timestamp,
        name: Option<&str>,
    ) -> Result<Self, Error> {
        // Two slugids, as every client makes it.
        let seed = format!("{}{}", TaskId::new(), TaskId::new());
        self.temporary_with_seed(scopes, start, expiry, name, seed)
    }

    fn temporary_with_seed<S: AsRef<str>>(
        &self,
        scopes: &[S],
        start: Timestamp,
        expiry: Timestamp,
        name: Option<&str>,
        seed: String,
    ) -> Result<Self, Error> {
        let refuse =
            |reason: &str| Err(Error::config(format!("no temporary credentials of {}: {reason}", self.client_id)));
        if self.certificate.is_some() {
            return refuse("temporary credentials cannot issue others");
        }
        if expiry <= start {
            return refuse("they would expire before they start");
        }
        if expiry.since(start) > days(31) {
            return refuse("they would be valid for more than 31 days");
        }
        if name.is_some_and(|name| name.is_empty() || name == self.client_id) {
            return refuse("their name must differ from the issuer's and not be empty");
        }
        if let Some(scope) = scopes.iter().find(|scope| !scope.as_ref().bytes().all(|b| matches!(b, b' '..=b'~'))) {
            return refuse(&format!("the scope {:?} has a character that scopes cannot have", scope.as_ref()));
        }

        let scopes = scopes.iter().map(|scope| scope.as_ref().to_owned()).collect();
        let issuer = name.map(|_| self.client_id.clone());
        let mut certificate = Certificate::unsigned(scopes, start, expiry, seed, issuer);
        let client_id = name.unwrap_or(&self.client_id).to_owned();
        certificate.signature = certificate.sign(&client_id, &self.access_token);
        let access_token = certificate.access_token(&self.access_token);
        Ok(Self {
            client_id,
            access_token,
            certificate: Some(certificate),
            authorized_scopes: self.authorized_scopes.clone(),
        })
    }
}

impl Certificate {
    /// The signature that the issuer with this token gives; `client_id` is the name of the credentials and counts only
    /// if there is an issuer.
    #[must_use]
    pub fn sign(&self, client_id: &str, issuer_token: &Secret) -> String {
        STANDARD.encode(hmac::sign(&key(issuer_token), self.signed_text(client_id).as_bytes()))
    }

    /// Whether the issuer with this token has signed this, compared in constant time.
    ///
    /// It says nothing about times, scopes or the issuer's right to do so.
    #[must_use]
    pub fn is_signed_by(&self, client_id: &str, issuer_token: &Secret) -> bool {
        // Each of these is a line of the signed text: with a line break in one, two certificates would have the same text.
        let texts = [client_id, &self.seed].into_iter().chain(self.issuer.as_deref());
        if texts.chain(self.scopes.iter().map(String::as_str)).any(|text| text.contains('\n')) {
            return false;
        }
        let Ok(signature) = STANDARD.decode(&self.signature) else { return false };
        let (key, text) = (key(issuer_token), self.signed_text(client_id));
        hmac::verify(&key, text.as_bytes(), &signature).is_ok()
            // With no scopes, the JavaScript clients sign the text with a newline at its end.
            || (self.scopes.is_empty() && hmac::verify(&key, format!("{text}\n").as_bytes(), &signature).is_ok())
    }

    /// The access token of the temporary credentials, which only the issuer's token gives.
    #[must_use]
    pub fn access_token(&self, issuer_token: &Secret) -> Secret {
        URL_SAFE_NO_PAD.encode(hmac::sign(&key(issuer_token), self.seed.as_bytes())).into()
    }

    fn signed_text(&self, client_id: &str) -> String {
        let mut text = format!("version:{}", self.version);
        // Writing into a String cannot fail.
        if let Some(issuer) = &self.issuer {
            let _ = write!(text, "\nclientId:{client_id}\nissuer:{issuer}");
        }
        let _ = write!(text, "\nseed:{}\nstart:{}\nexpiry:{}\nscopes:", self.seed, self.start, self.expiry);
        for scope in &self.scopes {
            text.push('\n');
            text.push_str(scope);
        }
        text
    }
}

fn key(token: &Secret) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, token.expose().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::hours;

    fn issuer() -> Credentials {
        Credentials::new("issuer", "issuer-token")
    }

    fn start() -> Timestamp {
        "2026-01-02T03:04:05Z".parse().unwrap()
    }

    #[test]
    fn temporary_credentials_are_signed_by_their_issuer() {
        for name in [None, Some("issuer/sub")] {
            let temporary = issuer().temporary(&["a:*", "b"], start(), start() + hours(1), name).unwrap();
            assert_eq!(temporary.client_id, name.unwrap_or("issuer"));
            let certificate = temporary.certificate.unwrap();
            assert_eq!(certificate.seed.len(), 44);
            assert_eq!(certificate.issuer.as_deref(), name.map(|_| "issuer"));
            assert!(certificate.is_signed_by(&temporary.client_id, &"issuer-token".into()));
            assert!(!certificate.is_signed_by(&temporary.client_id, &"other-token".into()));
            assert_eq!(certificate.is_signed_by("another", &"issuer-token".into()), name.is_none());
            assert_eq!(certificate.access_token(&"issuer-token".into()), temporary.access_token);
            let mut wider = certificate.clone();
            wider.scopes.push("*".into());
            assert!(!wider.is_signed_by(&temporary.client_id, &"issuer-token".into()));
            assert_eq!(Certificate::from_json(&certificate.to_json()).unwrap(), certificate);
        }
    }

    #[test]
    fn both_forms_without_scopes_are_accepted() {
        let none: [&str; 0] = [];
        let mut certificate =
            issuer().temporary(&none, start(), start() + hours(1), None).unwrap().certificate.unwrap();
        assert!(certificate.is_signed_by("issuer", &"issuer-token".into()));
        let text = format!("{}\n", certificate.signed_text("issuer"));
        certificate.signature = STANDARD.encode(hmac::sign(&key(&"issuer-token".into()), text.as_bytes()));
        assert!(certificate.is_signed_by("issuer", &"issuer-token".into()));
    }

    #[test]
    fn a_line_break_does_not_make_another_certificate_of_one_text() {
        let token: Secret = "issuer-token".into();
        let temporary = issuer().temporary(&["a", "b"], start(), start() + hours(1), Some("issuer/sub")).unwrap();
        let good = temporary.certificate.unwrap();
        let joined = Certificate { scopes: vec!["a\nb".into()], ..good.clone() };
        let seed = format!("{}\nstart:{}", good.seed, good.start);
        for other in [joined, Certificate { seed, ..good.clone() }, Certificate { issuer: Some("x\ny".into()), ..good }]
        {
            assert!(!other.is_signed_by("issuer/sub", &token), "{other:?}");
        }
    }

    #[test]
    fn what_a_service_would_refuse_is_refused_here() {
        let temporary = issuer().temporary(&["a"], start(), start() + hours(1), None).unwrap();
        for (result, reason) in [
            (temporary.temporary(&["a"], start(), start() + hours(1), None), "cannot issue others"),
            (issuer().temporary(&["a"], start(), start(), None), "before they start"),
            (issuer().temporary(&["a"], start(), start() + days(31) + hours(1), None), "more than 31 days"),
            (issuer().temporary(&["a"], start(), start() + hours(1), Some("issuer")), "must differ"),
            (issuer().temporary(&["a\nb"], start(), start() + hours(1), None), r#""a\nb""#),
        ] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn debug_shows_neither_token_nor_seed_nor_signature() {
        let temporary = issuer().temporary(&["a"], start(), start() + hours(1), None).unwrap();
        let certificate = temporary.certificate.clone().unwrap();
        for text in [format!("{temporary:?}"), format!("{temporary:#?}"), format!("{:?}", issuer())] {
            for secret in [temporary.access_token.expose(), "issuer-token", &certificate.seed, &certificate.signature] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }
}
