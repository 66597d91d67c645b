//! Tokens of clients: JSON web tokens (RFC 7519) with an HMAC (RFC 7518, section 3.2), as the auth service signs them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::Deserialize;
use taskcluster_core::secret::Secret;
use taskcluster_core::time::{Timestamp, hours};

/// No token may be good for longer.
const LONGEST: Duration = hours(31 * 24);

/// Whose tokens are good, and for whom they must be.
#[derive(Debug)]
pub struct Verifier {
    keys: Vec<hmac::Key>,
    audience: Option<String>,
}

/// Why a token is no good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is no token.
    #[error("it is no JSON web token with the claims tid, nbf and exp")]
    Malformed,
    /// It says that it was signed in another way.
    #[error("it is not signed by HS256")]
    Algorithm,
    /// Somebody else has signed it, or nobody.
    #[error("its signature is wrong")]
    Signature,
    /// It is not good any more.
    #[error("it has expired")]
    Expired,
    /// It is not good yet.
    #[error("it is not good yet")]
    NotYet,
    /// It would be good for too long.
    #[error("it is good for more than 31 days")]
    TooLong,
    /// It is for another client.
    #[error("it is for a client of another name")]
    Id,
    /// It is for another server.
    #[error("it is for another audience")]
    Audience,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    /// What must be understood, of which nothing is.
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    tid: String,
    nbf: f64,
    exp: f64,
    aud: Option<Audience>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Verifier {
    /// Tokens that were signed with one of these secrets, and are for this audience where they name any.
    pub fn new(secrets: impl IntoIterator<Item = Secret>, audience: Option<String>) -> Self {
        let key = |secret: Secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        Self { keys: secrets.into_iter().map(key).collect(), audience }
    }

    /// Whether it lets a client of this name in now; and if so, until when.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn verify(&self, token: &str, id: &str, now: Timestamp) -> Result<Timestamp, Refused> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
        let (head, claims) = signed.split_once('.').ok_or(Refused::Malformed)?;
        let head: Head = decode(head)?;
        // Whatever a token says of itself, it is judged in this one way.
        if head.alg != "HS256" || head.crit.is_some() {
            return Err(Refused::Algorithm);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refused::Malformed)?;
        if !self.keys.iter().any(|key| hmac::verify(key, signed.as_bytes(), &signature).is_ok()) {
            return Err(Refused::Signature);
        }
        self.judge(&decode(claims)?, id, now)
    }

    fn judge(&self, claims: &Claims, id: &str, now: Timestamp) -> Result<Timestamp, Refused> {
        let now = seconds(now);
        if now >= claims.exp {
            return Err(Refused::Expired);
        }
        if now < claims.nbf {
            return Err(Refused::NotYet);
        }
        if claims.exp - claims.nbf > LONGEST.as_secs_f64() {
            return Err(Refused::TooLong);
        }
        if claims.tid != id {
            return Err(Refused::Id);
        }
        if let (Some(ours), Some(named)) = (&self.audience, &claims.aud)
            && !named.holds(ours)
        {
            return Err(Refused::Audience);
        }
        // It is within 31 days of now.
        Ok(Timestamp::from_millis((claims.exp * 1000.0) as i64))
    }
}

impl Audience {
    fn holds(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

/// Milliseconds of our time are far below 2^53.
fn seconds(time: Timestamp) -> f64 {
    time.as_millis() as f64 / 1000.0
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, Refused> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Refused::Malformed)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_767_323_045;

    fn now() -> Timestamp {
        Timestamp::from_millis(NOW * 1000)
    }

    fn sign(head: &Value, claims: &Value, secret: &str) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(head), encode(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes())))
    }

    fn head() -> Value {
        json!({"alg": "HS256", "typ": "JWT"})
    }

    fn claims(change: &Value) -> Value {
        let mut claims = json!({"tid": "group.worker", "iat": NOW, "nbf": NOW - 900, "exp": NOW + 3600, "aud": "here"});
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        claims
    }

    fn verifier() -> Verifier {
        Verifier::new(["new".into(), "old".into()], Some("here".to_owned()))
    }

    fn judged(token: &str) -> Result<i64, Refused> {
        verifier().verify(token, "group.worker", now()).map(Timestamp::as_seconds)
    }

    #[test]
    fn tokens_of_both_secrets_are_good() {
        for secret in ["new", "old"] {
            assert_eq!(judged(&sign(&head(), &claims(&json!({})), secret)), Ok(NOW + 3600));
        }
        assert_eq!(judged(&sign(&head(), &claims(&json!({})), "other")), Err(Refused::Signature));
    }

    #[test]
    fn claims_are_judged() {
        for (change, expected) in [
            (json!({"exp": NOW}), Err(Refused::Expired)),
            (json!({"exp": NOW - 1}), Err(Refused::Expired)),
            (json!({"nbf": NOW + 1}), Err(Refused::NotYet)),
            (json!({"exp": NOW + 31 * 86_400}), Err(Refused::TooLong)),
            (json!({"exp": NOW - 900 + 31 * 86_400}), Ok(NOW - 900 + 31 * 86_400)),
            (json!({"tid": "group.other"}), Err(Refused::Id)),
            (json!({"aud": "there"}), Err(Refused::Audience)),
            (json!({"aud": ["there", "here"]}), Ok(NOW + 3600)),
            (json!({"aud": null}), Ok(NOW + 3600)),
            (json!({"exp": "never"}), Err(Refused::Malformed)),
            (json!({"nbf": null}), Err(Refused::Malformed)),
        ] {
            assert_eq!(judged(&sign(&head(), &claims(&change), "new")), expected, "{change}");
        }
    }

    #[test]
    fn no_other_algorithm_is_believed() {
        for algorithm in ["none", "None", "", "HS384", "RS256", "hs256"] {
            let token = sign(&json!({"alg": algorithm}), &claims(&json!({})), "new");
            assert_eq!(judged(&token), Err(Refused::Algorithm), "{algorithm}");
        }
        let token = sign(&json!({"alg": "none"}), &claims(&json!({})), "new");
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        assert_eq!(judged(&unsigned), Err(Refused::Algorithm));
        let critical = sign(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}), &claims(&json!({})), "new");
        assert_eq!(judged(&critical), Err(Refused::Algorithm));
    }

    #[test]
    fn what_is_changed_or_cut_is_refused() {
        let good = sign(&head(), &claims(&json!({})), "new");
        let forged = sign(&head(), &claims(&json!({"tid": "group.other"})), "guess");
        let (claims, signature) = (forged.split('.').nth(1).unwrap(), good.split('.').nth(2).unwrap());
        let mixed = format!("{}.{claims}.{signature}", good.split('.').next().unwrap());
        assert_eq!(judged(&mixed), Err(Refused::Signature));
        let unsigned = format!("{}.", good.rsplit_once('.').unwrap().0);
        assert_eq!(judged(&unsigned), Err(Refused::Signature));
        let cut = &good[..good.len() - 4];
        assert_eq!(judged(cut), Err(Refused::Signature));
        for nothing in ["", ".", "..", "a.b.c", "a.b", &good[1..]] {
            assert_eq!(judged(nothing), Err(Refused::Malformed), "{nothing}");
        }
    }
}
