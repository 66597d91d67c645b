//! `bewit`: a URL of the deployment, signed for whoever has no credentials.

use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use taskcluster_core::chain;
use taskcluster_core::hawk::{RequestFacts, Signer};
use taskcluster_core::root_url::RootUrl;
use taskcluster_core::time::Timestamp;
use url::Url;

/// For how long such a URL is good, unless the task's credentials end before.
const LIFETIME: std::time::Duration = std::time::Duration::from_secs(60 * 60);

/// The longest that a URL may be.
const LONGEST: usize = 64 << 10;

/// Answers with the URL in `body`, signed: where to go on to, and as text.
///
/// # Errors
/// What to tell the task: it is no URL of the deployment at `root`.
pub(super) async fn answer(body: Body, root: &RootUrl, signer: &Signer, now: Timestamp) -> Result<Response, String> {
    let body = to_bytes(body, LONGEST).await.map_err(|error| format!("the URL cannot be read: {error}"))?;
    let text = std::str::from_utf8(&body).map_err(|_| "the URL is no text".to_owned())?;
    let url = sign(text.trim(), root, signer, now)?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, url.clone())], url).into_response())
}

fn sign(text: &str, root: &RootUrl, signer: &Signer, now: Timestamp) -> Result<String, String> {
    let mut url = Url::parse(text).map_err(|error| format!("{text:?} is no URL: {error}"))?;
    let own = Url::parse(root.as_str()).map_err(|error| format!("the root URL is none: {error}"))?;
    if url.origin() != own.origin() || !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "{text:?} is not below {root}, which is all that the proxy signs for",
            root = root.as_str()
        ));
    }
    if url.query_pairs().any(|(name, _)| name == "bewit") {
        return Err("the URL is signed already".to_owned());
    }
    url.set_fragment(None);
    let resource = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let facts = RequestFacts { method: "GET", resource: &resource, host: root.host(), port: root.port() };
    let bewit = signer.bewit(facts, now + LIFETIME).map_err(|error| chain(&error).to_string())?;
    let joint = if url.query().is_some() { '&' } else { '?' };
    Ok(format!("{url}{joint}bewit={bewit}"))
}

#[cfg(test)]
mod tests {
    use taskcluster_core::Credentials;
    use taskcluster_core::hawk::Presented;

    use super::*;

    fn signed(text: &str) -> Result<String, String> {
        let signer = Signer::new(&Credentials::new("task", "token").with_authorized_scopes(["a:scope"])).unwrap();
        sign(text, &"https://tc.example.com".parse().unwrap(), &signer, Timestamp::from_millis(1_000_000))
    }

    #[test]
    fn a_url_of_the_deployment_is_signed_for_an_hour_with_the_scopes_of_the_task() {
        for (text, joint) in [
            ("https://tc.example.com/api/queue/v1/task/x", '?'),
            ("https://tc.example.com:443/api/queue/v1/task/x?a=b#c", '&'),
        ] {
            let url = signed(text).unwrap();
            let (_, bewit) = url.split_once(&format!("{joint}bewit=")).unwrap();
            let presented = format!("{:?}", Presented::from_bewit(bewit).unwrap());
            assert!(presented.contains("a:scope") && presented.contains(&(1000 + 3600).to_string()), "{presented}");
        }
    }

    #[test]
    fn nothing_else_is_signed() {
        for text in [
            "",
            "/api/queue/v1/ping",
            "https://evil.example/api/queue/v1/ping",
            "http://tc.example.com/api/queue/v1/ping",
            "https://tc.example.com:8443/x",
            "https://user@tc.example.com/x",
            "https://tc.example.com/x?bewit=abc",
        ] {
            assert!(signed(text).is_err(), "{text}");
        }
    }
}
