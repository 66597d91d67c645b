//! Temporary credentials: what a certificate claims, and whether its issuer may claim it.
//!
//! Whoever has permanent credentials can issue temporary ones without asking anybody: a certificate lists scopes and
//! times and is signed with the issuer's access token. So all trust comes from the checks made here, each time such
//! credentials are used. Their order is that of other TaskCluster deployments, so that broken credentials fail for the
//! same reason everywhere.

use std::time::Duration;

use serde_json::Value;
use taskcluster_core::credentials;
use taskcluster_core::scopes::ScopeSet;
use taskcluster_core::secret::Secret;
use taskcluster_core::time::{Timestamp, days, minutes};

/// The longest life of temporary credentials.
const MAX_LIFE: Duration = days(31);

/// How far the clock of whoever issued a certificate may be off.
const DRIFT: Duration = minutes(5);

/// Two slugids, one after the other.
const SEED_LENGTH: usize = 44;

/// Why temporary credentials are not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The certificate is a string, a list or the like.
    #[error("ext.certificate must be an object")]
    NotAnObject,
    /// Only version 1 exists.
    #[error("ext.certificate.version must be 1")]
    Version,
    /// The seed is missing or has the wrong length.
    #[error("ext.certificate.seed must be a string of {SEED_LENGTH} characters")]
    Seed,
    /// A time is missing or not a whole number of milliseconds.
    #[error("ext.certificate.{0} must be a number of milliseconds")]
    Time(&'static str),
    /// The scopes are missing or are not all scopes.
    #[error("ext.certificate.scopes must be a list of valid scopes")]
    Scopes,
    /// The signature is missing.
    #[error("ext.certificate.signature must be a string")]
    SignatureMissing,
    /// The credentials are for later.
    #[error("ext.certificate.start is later than the current time")]
    NotYetValid,
    /// The credentials were for earlier.
    #[error("ext.certificate.expiry is in the past: the temporary credentials have expired")]
    Expired,
    /// The credentials would live too long.
    #[error("ext.certificate must not be valid for more than 31 days")]
    TooLong,
    /// The issuer is not a client's id, or is the name itself.
    #[error("ext.certificate.issuer must be the id of a client other than the one that uses the certificate")]
    Issuer,
    /// The issuer may not act under that name.
    #[error(
        "issuer '{issuer}' does not have 'auth:create-client:{client_id}', which it needs to issue credentials of that name"
    )]
    Name {
        /// Who issued the certificate.
        issuer: String,
        /// The name that it gave.
        client_id: String,
    },
    /// The certificate has a name but no issuer.
    #[error("ext.certificate.clientId must only be used together with ext.certificate.issuer")]
    NameWithoutIssuer,
    /// The issuer does not have what it hands on.
    #[error("ext.certificate holds scopes that its issuer '{issuer}' does not have")]
    IssuerLacksScopes {
        /// Who issued the certificate.
        issuer: String,
    },
    /// Somebody changed the certificate, or the issuer's access token was reset.
    #[error("ext.certificate.signature is not valid")]
    Signature,
}

/// Who is said to have issued a certificate, as the store knows it.
#[derive(Clone, Copy, Debug)]
pub struct Issuer<'a> {
    /// The client's id.
    pub client_id: &'a str,
    /// What it signs with.
    pub access_token: &'a Secret,
    /// Its scopes, expanded.
    pub scopes: &'a ScopeSet,
}

/// A certificate that has the right shape, nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    claims: credentials::Certificate,
    has_client_id: bool,
}

/// What valid temporary credentials are worth.
#[derive(Clone, Debug)]
pub struct Temporary {
    /// What requests are signed with.
    pub access_token: Secret,
    /// The scopes, not expanded.
    pub scopes: Vec<String>,
    /// When the certificate ends.
    pub expires: Timestamp,
}

/// Whether a text is a scope: printable ASCII.
pub(crate) fn is_scope(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

/// The list of scopes that a JSON value is, if it is one.
pub(crate) fn scope_list(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|scope| scope.as_str().filter(|scope| is_scope(scope)).map(str::to_owned)).collect()
}

impl Certificate {
    /// Reads a certificate as it came with a request.
    ///
    /// # Errors
    /// The first thing that is missing or of the wrong type.
    pub fn read(value: &Value) -> Result<Self, CertificateError> {
        let object = value.as_object().ok_or(CertificateError::NotAnObject)?;
        let get = |name: &str| object.get(name).unwrap_or(&Value::Null);
        if whole(get("version")) != Some(1) {
            return Err(CertificateError::Version);
        }
        let seed = get("seed").as_str().filter(|seed| seed.len() == SEED_LENGTH).ok_or(CertificateError::Seed)?;
        let start = whole(get("start")).ok_or(CertificateError::Time("start"))?;
        let expiry = whole(get("expiry")).ok_or(CertificateError::Time("expiry"))?;
        let scopes = scope_list(get("scopes")).ok_or(CertificateError::Scopes)?;
        let issuer = match object.get("issuer") {
            None => None,
            Some(issuer) => Some(issuer.as_str().ok_or(CertificateError::Issuer)?.to_owned()),
        };
        let signature = get("signature").as_str().ok_or(CertificateError::SignatureMissing)?;
        let (start, expiry) = (Timestamp::from_millis(start), Timestamp::from_millis(expiry));
        let mut claims = credentials::Certificate::unsigned(scopes, start, expiry, seed.to_owned(), issuer);
        signature.clone_into(&mut claims.signature);
        Ok(Self { claims, has_client_id: object.contains_key("clientId") })
    }

    /// The client whose access token signed this, when `client_id` uses it.
    pub fn issuer<'a>(&'a self, client_id: &'a str) -> &'a str {
        self.claims.issuer.as_deref().unwrap_or(client_id)
    }

    /// Whether `client_id` may use this certificate now, and what it then has.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check(&self, client_id: &str, issuer: Issuer<'_>, now: Timestamp) -> Result<Temporary, CertificateError> {
        self.check_times(now)?;
        match &self.claims.issuer {
            Some(name) if name == client_id => return Err(CertificateError::Issuer),
            Some(_) if !issuer.scopes.satisfies(&format!("auth:create-client:{client_id}")) => {
                return Err(CertificateError::Name {
                    issuer: issuer.client_id.to_owned(),
                    client_id: client_id.to_owned(),
                });
            }
            None if self.has_client_id => return Err(CertificateError::NameWithoutIssuer),
            Some(_) | None => {}
        }
        if !issuer.scopes.satisfies_all(&self.claims.scopes) {
            return Err(CertificateError::IssuerLacksScopes { issuer: issuer.client_id.to_owned() });
        }
        if !self.claims.is_signed_by(client_id, issuer.access_token) {
            return Err(CertificateError::Signature);
        }
        Ok(Temporary {
            access_token: self.claims.access_token(issuer.access_token),
            scopes: self.claims.scopes.clone(),
            expires: self.claims.expires(),
        })
    }

    fn check_times(&self, now: Timestamp) -> Result<(), CertificateError> {
        let (start, expiry) = (self.claims.starts(), self.claims.expires());
        if start > now + DRIFT {
            return Err(CertificateError::NotYetValid);
        }
        if expiry < now - DRIFT {
            return Err(CertificateError::Expired);
        }
        if expiry.since(start) > MAX_LIFE {
            return Err(CertificateError::TooLong);
        }
        Ok(())
    }
}

/// A whole number that the time type can hold. JavaScript knows only one kind of number, so `1.0` is whole.
fn whole(value: &Value) -> Option<i64> {
    /// The year 9999, after which times cannot be written down any more.
    const LIMIT: i64 = 253_402_207_200_000;
    let number = value.as_i64().or_else(|| {
        let float = value.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < LIMIT as f64)?;
        Some(float as i64)
    })?;
    (-LIMIT..LIMIT).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TOKEN: &str = "tok0ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmn";
    const NOW: i64 = 1_767_323_045_000;
    const JAVASCRIPT_SIGNATURE: &str = "vAgysViKg9af6y9cImBjtDfdHx2jpBQA4p15ym71HVo=";

    /// A certificate that is valid now, changed as the test likes before it is signed.
    fn signed(client_id: &str, change: impl FnOnce(&mut Value)) -> Value {
        let mut value = json!({
            "version": 1,
            "scopes": ["a:1"],
            "start": NOW - 60_000,
            "expiry": NOW + 3_600_000,
            "seed": "0".repeat(44),
            "signature": "",
        });
        change(&mut value);
        if let Ok(certificate) = Certificate::read(&value) {
            value["signature"] = certificate.claims.sign(client_id, &TOKEN.into()).into();
        }
        value
    }

    fn check(client_id: &str, value: &Value, issuer_scopes: &[&str]) -> Result<Temporary, CertificateError> {
        let certificate = Certificate::read(value)?;
        let scopes: ScopeSet = issuer_scopes.iter().map(ToString::to_string).collect();
        let issuer = Issuer { client_id: "issuer", access_token: &Secret::from(TOKEN), scopes: &scopes };
        certificate.check(client_id, issuer, Timestamp::from_millis(NOW))
    }

    fn failure(client_id: &str, issuer_scopes: &[&str], change: impl FnOnce(&mut Value)) -> CertificateError {
        check(client_id, &signed(client_id, change), issuer_scopes).unwrap_err()
    }

    #[test]
    fn every_issued_vector_is_accepted_and_gives_its_token() {
        let vectors: Vec<Value> =
            serde_json::from_str(include_str!("../tests/fixtures/temporary-credentials.json")).unwrap();
        for vector in vectors {
            let text = |name: &str| vector[name].as_str().unwrap();
            let certificate = Certificate::read(&vector["certificate"]).unwrap();
            assert_eq!(certificate.issuer(text("clientId")), text("issuer"));
            let everything: ScopeSet = ["*".to_owned()].into_iter().collect();
            let issuer = Issuer {
                client_id: text("issuer"),
                access_token: &Secret::from(text("issuerAccessToken")),
                scopes: &everything,
            };
            let start = Timestamp::from_millis(vector["certificate"]["start"].as_i64().unwrap());
            let temporary = certificate.check(text("clientId"), issuer, start).unwrap();
            assert_eq!(temporary.access_token.expose(), text("accessToken"));
        }
    }

    #[test]
    fn a_certificate_of_the_wrong_shape_says_what_is_wrong() {
        use CertificateError as E;
        assert_eq!(Certificate::read(&json!("text")).unwrap_err(), E::NotAnObject);
        assert_eq!(Certificate::read(&json!(null)).unwrap_err(), E::NotAnObject);
        for (name, wrong, expected) in [
            ("version", json!(2), E::Version),
            ("version", json!("1"), E::Version),
            ("version", json!(null), E::Version),
            ("seed", json!("short"), E::Seed),
            ("seed", json!(44), E::Seed),
            ("start", json!("2026"), E::Time("start")),
            ("start", json!(1.5), E::Time("start")),
            ("start", json!(u64::MAX), E::Time("start")),
            ("expiry", json!(null), E::Time("expiry")),
            ("scopes", json!("a"), E::Scopes),
            ("scopes", json!(["a", 1]), E::Scopes),
            ("scopes", json!(["a\n"]), E::Scopes),
            ("issuer", json!(17), E::Issuer),
            ("signature", json!(17), E::SignatureMissing),
        ] {
            assert_eq!(failure("issuer", &["*"], |value| value[name] = wrong.clone()), expected, "{name}: {wrong}");
        }
    }

    #[test]
    fn clocks_may_differ_by_five_minutes() {
        let at = |name: &'static str, offset: i64| signed("issuer", |value| value[name] = json!(NOW + offset));
        assert!(check("issuer", &at("start", 300_000), &["*"]).is_ok());
        assert_eq!(check("issuer", &at("start", 300_001), &["*"]).unwrap_err(), CertificateError::NotYetValid);
        assert!(check("issuer", &at("expiry", -300_000), &["*"]).is_ok());
        assert_eq!(check("issuer", &at("expiry", -300_001), &["*"]).unwrap_err(), CertificateError::Expired);
    }

    #[test]
    fn thirty_one_days_are_the_limit() {
        let month = 31 * 24 * 3_600_000;
        assert!(
            check("issuer", &signed("issuer", |value| value["expiry"] = json!(NOW - 60_000 + month)), &["*"]).is_ok()
        );
        assert_eq!(
            failure("issuer", &["*"], |value| value["expiry"] = json!(NOW - 60_000 + month + 1)),
            CertificateError::TooLong
        );
    }

    #[test]
    fn a_name_needs_an_issuer_who_may_give_it() {
        let named = |value: &mut Value| value["issuer"] = json!("issuer");
        assert!(check("name/x", &signed("name/x", named), &["a:1", "auth:create-client:name/*"]).is_ok());
        assert_eq!(
            failure("name/x", &["a:1"], named),
            CertificateError::Name { issuer: "issuer".into(), client_id: "name/x".into() }
        );
        assert_eq!(failure("issuer", &["*"], named), CertificateError::Issuer);
        assert_eq!(
            failure("issuer", &["*"], |value| value["clientId"] = json!("issuer")),
            CertificateError::NameWithoutIssuer
        );
    }

    #[test]
    fn nobody_hands_on_what_they_do_not_have() {
        assert_eq!(
            failure("issuer", &["a:2", "b"], |_| {}),
            CertificateError::IssuerLacksScopes { issuer: "issuer".into() }
        );
    }

    #[test]
    fn a_changed_certificate_is_refused() {
        let mut certificate = signed("issuer", |_| {});
        certificate["scopes"] = json!(["a:1", "a:2"]);
        assert_eq!(check("issuer", &certificate, &["*"]).unwrap_err(), CertificateError::Signature);
        let mut certificate = signed("one", |value| value["issuer"] = json!("issuer"));
        assert_eq!(check("two", &certificate, &["*"]).unwrap_err(), CertificateError::Signature);
        certificate["signature"] = json!("");
        assert_eq!(check("one", &certificate, &["*"]).unwrap_err(), CertificateError::Signature);
    }

    #[test]
    fn without_scopes_both_forms_of_the_signed_text_stand() {
        let mut certificate = signed("issuer", |value| value["scopes"] = json!([]));
        assert!(check("issuer", &certificate, &[]).is_ok());
        // HMAC over the text with a newline at its end, as JavaScript clients make it.
        certificate["signature"] = JAVASCRIPT_SIGNATURE.into();
        assert!(check("issuer", &certificate, &[]).is_ok());
    }
}
