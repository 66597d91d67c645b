//! Signatures of requests: AWS Signature Version 4, in the header `authorization`.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Identity;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::Request;
use taskcluster_core::time::Timestamp;
use taskcluster_core::transport::Body;

use super::credentials::Credentials;

/// A request that cannot be signed.
#[derive(Debug, thiserror::Error)]
#[error("the request cannot be signed: {0}")]
pub(crate) struct Unsigned(String);

/// For which part of AWS a signature holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

/// Signs a request whose body is all here. All its headers are signed; `host` is one if the request has none.
pub(crate) fn signed(
    mut request: Request<Body>,
    credentials: &Credentials,
    scope: Scope<'_>,
    now: Timestamp,
) -> Result<Request<Body>, Unsigned> {
    let fault = |error: &dyn std::fmt::Display| Unsigned(error.to_string());
    let token = credentials.session_token.as_ref().map(|token| token.expose().to_owned());
    let secret = credentials.secret_access_key.expose();
    let identity = Identity::new(&credentials.access_key_id, secret, token, None, "taskcluster").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region)
        .name(scope.service)
        .time(SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or_default()))
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| fault(&error))?
        .into();
    let mut headers = Vec::new();
    for (name, value) in request.headers() {
        headers.push((name.as_str(), value.to_str().map_err(|error| fault(&error))?));
    }
    let body = request.body().as_bytes().ok_or_else(|| Unsigned("its body is a stream".to_owned()))?;
    let method = request.method().as_str();
    let signable =
        SignableRequest::new(method, request.uri().to_string(), headers.into_iter(), SignableBody::Bytes(body))
            .map_err(|error| fault(&error))?;
    let (instructions, _) = sign(signable, &parameters).map_err(|error| fault(&error))?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use sha2::{Digest, Sha256};

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn hmac(key: &[u8], text: &str) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    /// The signature of a canonical request, as "Create a signed AWS API request" in AWS's documentation derives it.
    fn recomputed(secret: &str, date: &str, time: &str, scope: Scope<'_>, canonical: &str) -> String {
        let granted = format!("{date}/{}/{}/aws4_request", scope.region, scope.service);
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{granted}\n{}", hex(&Sha256::digest(canonical)));
        let key = [date, scope.region, scope.service, "aws4_request"]
            .iter()
            .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part));
        hex(&hmac(&key, &to_sign))
    }

    /// Those of AWS's test suite for Signature Version 4.
    fn example(token: Option<&str>) -> Credentials {
        Credentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: SECRET.into(),
            session_token: token.map(Into::into),
        }
    }

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const SERVICE: Scope<'static> = Scope { region: "us-east-1", service: "service" };

    fn authorization(request: &Request<Body>) -> &str {
        request.headers()["authorization"].to_str().unwrap()
    }

    fn sign_at(request: Request<Body>, token: Option<&str>, scope: Scope<'_>) -> Request<Body> {
        signed(request, &example(token), scope, "2015-08-30T12:36:00Z".parse().unwrap()).unwrap()
    }

    /// The cases `get-vanilla` and `get-vanilla-with-session-token` of the suite, and what its rules give for them.
    #[test]
    fn signatures_are_those_of_the_published_suite() {
        let empty = hex(&Sha256::digest(""));
        let request = || Request::get("https://example.amazonaws.com/").body(Body::empty()).unwrap();
        let published = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        let canonical =
            format!("GET\n/\n\nhost:example.amazonaws.com\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date\n{empty}");
        assert_eq!(recomputed(SECRET, "20150830", "20150830T123600Z", SERVICE, &canonical), published);
        assert_eq!(
            authorization(&sign_at(request(), None, SERVICE)),
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature={published}"
            )
        );
    }

    #[test]
    fn a_query_is_signed_with_its_body_and_the_token_of_its_session() {
        let scope = Scope { region: "us-west-2", service: "ec2" };
        let body = "Action=DescribeInstances&Version=2016-11-15";
        let request = Request::post("https://ec2.us-west-2.amazonaws.com/")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap();
        let request = sign_at(request, Some("a/session=="), scope);
        let canonical = format!(
            "POST\n/\n\ncontent-type:application/x-www-form-urlencoded\nhost:ec2.us-west-2.amazonaws.com\n\
             x-amz-date:20150830T123600Z\nx-amz-security-token:a/session==\n\n\
             content-type;host;x-amz-date;x-amz-security-token\n{}",
            hex(&Sha256::digest(body))
        );
        let signature = recomputed(SECRET, "20150830", "20150830T123600Z", scope, &canonical);
        assert!(authorization(&request).ends_with(&format!("Signature={signature}")), "{}", authorization(&request));
        assert_eq!(request.headers()["x-amz-security-token"], "a/session==");
        assert_eq!(request.headers()["x-amz-date"], "20150830T123600Z");
    }
}
