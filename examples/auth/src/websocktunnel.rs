//! Tokens for websocktunnel: leave to wait for connections under a name.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::json;
use taskcluster_core::secret::Secret;
use taskcluster_core::time::{Timestamp, hours, minutes};

/// How long a token is good for.
const LIFE: std::time::Duration = hours(96);

/// How far the tunnel's clock may be behind.
const DRIFT: std::time::Duration = minutes(15);

/// A JSON web token, and when it ends.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) expires: Timestamp,
}

/// A token for the tunnel `audience`, good for the name `client`, asked for by `subject`.
pub(crate) fn token(secret: &Secret, audience: &str, client: &str, subject: &str, now: Timestamp) -> Token {
    let expires = now + LIFE;
    let claims = json!({
        "tid": client,
        "aud": audience,
        "sub": subject,
        "iat": now.as_seconds(),
        "exp": expires.as_seconds(),
        "nbf": (now - DRIFT).as_seconds(),
        "iss": "taskcluster-auth",
    });
    let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(json!({ "alg": "HS256", "typ": "JWT" })), encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
    Token { text: format!("{signed}.{signature}"), expires }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_says_who_may_wait_where() {
        let now = Timestamp::from_millis(1_767_323_045_000);
        let token = token(&"secret".into(), "audience", "client.1", "subject", now);
        let parts: Vec<&str> = token.text.split('.').collect();
        let [head, claims, signature] = parts[..] else { panic!("{}", token.text) };
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        hmac::verify(&key, format!("{head}.{claims}").as_bytes(), &signature).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
        assert_eq!(
            claims,
            json!({
                "tid": "client.1", "aud": "audience", "sub": "subject", "iss": "taskcluster-auth",
                "iat": 1_767_323_045, "exp": 1_767_323_045 + 96 * 3600, "nbf": 1_767_323_045 - 900,
            })
        );
        assert_eq!(token.expires.as_seconds(), 1_767_323_045 + 96 * 3600);
    }
}
