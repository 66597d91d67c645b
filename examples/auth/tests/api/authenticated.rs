//! Judging requests for others: `authenticateHawk`, and the same without the detour for services of this process.

use taskcluster::auth::{AuthenticateHawkRequest, AuthenticateHawkResponse};
use taskcluster_core::Credentials;
use taskcluster_core::hawk::{self, RequestFacts};
use taskcluster_core::time::{Timestamp, hours, minutes};
use taskcluster_server::{AuthOutcome, AuthRequest};

use crate::deployment::{Deployment, assert_refused, owned};

/// A request to some other service.
pub(crate) const RESOURCE: &str = "/api/other/v1/things?limit=3";
pub(crate) const HOST: &str = "other.test";
pub(crate) const PORT: u16 = 443;

pub(crate) const FACTS: RequestFacts<'_> = RequestFacts { method: "get", resource: RESOURCE, host: HOST, port: PORT };

/// The request, with this header.
pub(crate) fn with_header(authorization: &str) -> AuthRequest {
    AuthRequest {
        method: "get".to_owned(),
        resource: RESOURCE.to_owned(),
        host: HOST.to_owned(),
        port: PORT,
        authorization: Some(authorization.to_owned()),
        source_ip: None,
        trace_id: None,
    }
}

fn signed(credentials: &Credentials, at: Timestamp) -> AuthRequest {
    with_header(hawk::sign(credentials, FACTS, None, at).unwrap().to_str().unwrap())
}

fn with_bewit(credentials: &Credentials, expires: Timestamp) -> AuthRequest {
    let bewit = hawk::bewit(credentials, FACTS, expires).unwrap();
    AuthRequest { authorization: None, resource: format!("{RESOURCE}&bewit={bewit}"), ..with_header("") }
}

impl Deployment {
    /// Judges a request by both ways, which must say the same.
    pub(crate) async fn judge(&self, request: &AuthRequest) -> AuthOutcome {
        let local = self.local().authenticate(request).await;
        let (resource, host) = (request.resource.clone(), request.host.clone());
        let mut payload = AuthenticateHawkRequest::new(request.method.as_str(), resource, host, request.port.into());
        payload.authorization.clone_from(&request.authorization);
        let answer = self.by_nobody().authenticate_hawk(&payload).await.unwrap();
        let remote = match answer {
            AuthenticateHawkResponse::AuthSuccess(success) => AuthOutcome::Success {
                client_id: success.client_id,
                scopes: success.scopes,
                expires: success.expires,
                hash: success.hash.and_then(|hash| hash.as_str().map(str::to_owned)),
            },
            AuthenticateHawkResponse::AuthFailed(failed) => AuthOutcome::Failed { message: failed.message },
            AuthenticateHawkResponse::NoAuth(none) => AuthOutcome::None { scopes: none.scopes, expires: none.expires },
            other => panic!("{other:?}"),
        };
        assert_eq!(local, remote);
        local
    }

    /// The name and the scopes of an accepted request.
    async fn accepted(&self, request: &AuthRequest) -> (String, Vec<String>) {
        match self.judge(request).await {
            AuthOutcome::Success { client_id, scopes, .. } => (client_id, scopes),
            other => panic!("expected success, got {other:?}"),
        }
    }

    /// Why a request is refused.
    pub(crate) async fn refusal(&self, request: &AuthRequest) -> String {
        match self.judge(request).await {
            AuthOutcome::Failed { message } => message,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_header_is_accepted_for_the_request_that_it_signs() {
    let auth = Deployment::start().await;
    auth.role("r", &["from-role"]).await;
    let client = auth.client("c", &["assume:r"]).await;
    let request = signed(&client, auth.now());
    assert_eq!(auth.accepted(&request).await, ("c".into(), owned(&["assume:anonymous", "assume:r", "from-role"])));
    let AuthOutcome::Success { expires, hash, .. } = auth.judge(&request).await else { panic!() };
    assert_eq!((expires, hash), (auth.now() + hours(24), None));

    let other = |change: fn(&mut AuthRequest)| {
        let mut other = request.clone();
        change(&mut other);
        other
    };
    for changed in [
        other(|request| request.method = "post".to_owned()),
        other(|request| request.resource = "/api/other/v1/things?limit=4".to_owned()),
        other(|request| request.host = "another.test".to_owned()),
        other(|request| request.port = 80),
    ] {
        let message = auth.refusal(&changed).await;
        assert!(message.starts_with("Unauthorized: "), "{message}");
    }
}

#[tokio::test]
async fn a_signed_payload_is_handed_to_whoever_has_the_body() {
    let auth = Deployment::start().await;
    let client = auth.client("c", &[]).await;
    let header = hawk::sign(&client, FACTS, Some(("application/json", b"{}")), auth.now()).unwrap();
    let AuthOutcome::Success { hash, .. } = auth.judge(&with_header(header.to_str().unwrap())).await else { panic!() };
    assert_eq!(hash, Some(hawk::payload_hash("application/json", b"{}")));
}

#[tokio::test]
async fn clocks_may_differ_by_a_quarter_of_an_hour() {
    let auth = Deployment::start().await;
    let client = auth.client("c", &[]).await;
    for at in [auth.now() - minutes(15), auth.now() + minutes(15)] {
        auth.accepted(&signed(&client, at)).await;
    }
    for at in [auth.now() - minutes(16), auth.now() + minutes(16)] {
        let message = auth.refusal(&signed(&client, at)).await;
        assert!(message.starts_with("Unauthorized: "), "{message}");
    }
}

#[tokio::test]
async fn a_bewit_is_accepted_until_its_time() {
    let auth = Deployment::start().await;
    let client = auth.client("c", &["x"]).await;
    let request = with_bewit(&client, auth.now() + minutes(10));
    assert_eq!(auth.accepted(&request).await, ("c".into(), owned(&["assume:anonymous", "x"])));
    let head = AuthRequest { method: "head".to_owned(), ..request.clone() };
    assert_eq!(auth.accepted(&head).await.0, "c");
    let post = AuthRequest { method: "post".to_owned(), ..request.clone() };
    auth.refusal(&post).await;
    let other = AuthRequest { resource: request.resource.replace("limit=3", "limit=4"), ..request.clone() };
    auth.refusal(&other).await;
    let both = AuthRequest { authorization: signed(&client, auth.now()).authorization, ..request.clone() };
    auth.refusal(&both).await;
    auth.advance(minutes(10));
    auth.refusal(&request).await;
}

#[tokio::test]
async fn temporary_credentials_are_worth_what_their_certificate_says() {
    let auth = Deployment::start().await;
    auth.role("r", &["from-role"]).await;
    let client = auth.client("c", &["assume:r", "x:*", "auth:create-client:c/*"]).await;
    let now = auth.now();
    let unnamed = client.temporary(&["x:1"], now, now + hours(1), None).unwrap();
    assert_eq!(auth.accepted(&signed(&unnamed, now)).await, ("c".into(), owned(&["assume:anonymous", "x:1"])));
    let named = client.temporary(&["assume:r"], now, now + hours(1), Some("c/named")).unwrap();
    let expected = ("c/named".to_owned(), owned(&["assume:anonymous", "assume:r", "from-role"]));
    assert_eq!(auth.accepted(&signed(&named, now)).await, expected);
    assert_eq!(auth.accepted(&with_bewit(&named, now + minutes(1))).await, expected);
    let AuthOutcome::Success { expires, .. } = auth.judge(&signed(&named, now)).await else { panic!() };
    assert_eq!(expires, now + hours(1));
    let long = client.temporary(&["x:1"], now, now + hours(48), None).unwrap();
    let AuthOutcome::Success { expires, .. } = auth.judge(&signed(&long, now)).await else { panic!() };
    assert_eq!(expires, now + hours(24), "not longer than their issuer");
    let empty = client.temporary::<&str>(&[], now, now + hours(1), None).unwrap();
    assert_eq!(auth.accepted(&signed(&empty, now)).await.1, ["assume:anonymous"]);
}

#[tokio::test]
async fn authorized_scopes_take_the_place_of_all_others() {
    let auth = Deployment::start().await;
    auth.role("r", &["from-role:*"]).await;
    let client = auth.client("c", &["assume:r", "x"]).await;
    let limited = client.clone().with_authorized_scopes(["from-role:1"]);
    assert_eq!(auth.accepted(&signed(&limited, auth.now())).await.1, ["assume:anonymous", "from-role:1"]);
    let expands = client.clone().with_authorized_scopes(["assume:r"]);
    assert_eq!(auth.accepted(&signed(&expands, auth.now())).await.1, ["assume:anonymous", "assume:r", "from-role:*"]);
    let none = client.clone().with_authorized_scopes(Vec::<String>::new());
    assert_eq!(auth.accepted(&signed(&none, auth.now())).await.1, ["assume:anonymous"]);
    let message = auth.refusal(&signed(&client.with_authorized_scopes(["x", "y"]), auth.now())).await;
    assert!(message.contains("authorizedScopes") && message.ends_with(": y"), "{message}");
}

#[tokio::test]
async fn who_shows_nothing_has_what_everybody_has() {
    let auth = Deployment::start().await;
    auth.role("anonymous", &["public"]).await;
    let request = AuthRequest { authorization: None, ..with_header("") };
    let expected =
        AuthOutcome::None { scopes: owned(&["assume:anonymous", "public"]), expires: auth.now() + minutes(15) };
    assert_eq!(auth.judge(&request).await, expected);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let auth = Deployment::start().await;
    let too_long = "x".repeat(10_000);
    for header in ["", "Hawk", "Bearer abc", "Hawk id=\"c\"", "Hawk id=c, mac=d", &too_long] {
        auth.refusal(&with_header(header)).await;
    }
    let request = AuthRequest { authorization: None, resource: "/x?bewit=abc".to_owned(), ..with_header("") };
    auth.refusal(&request).await;
}

#[tokio::test]
async fn clients_that_may_not_ask_are_named() {
    let auth = Deployment::start().await;
    let client = auth.client("c", &[]).await;
    let absent = Credentials::new("absent", "token");
    assert_eq!(auth.refusal(&signed(&absent, auth.now())).await, "client 'absent' does not exist");
    auth.by_root().disable_client("c").await.unwrap();
    assert_eq!(auth.refusal(&signed(&client, auth.now())).await, "client 'c' is disabled");
    auth.by_root().enable_client("c").await.unwrap();
    auth.advance(hours(25));
    assert_eq!(auth.refusal(&signed(&client, auth.now())).await, "client 'c' has expired");
}

#[tokio::test]
async fn a_service_elsewhere_that_asks_decides_the_same() {
    let auth = Deployment::start().await;
    auth.role("anonymous", &["public"]).await;
    let elsewhere = auth.elsewhere();
    let client = auth.client("c", &["auth:current-scopes", "x"]).await;
    let now = auth.now();
    let temporary = client.temporary(&["auth:current-scopes"], now, now + hours(1), None).unwrap();
    let limited = client.clone().with_authorized_scopes(["auth:current-scopes"]);
    for credentials in [client.clone(), temporary, limited] {
        let here = auth.by(credentials.clone()).current_scopes().await.unwrap();
        let there = elsewhere.by(credentials).current_scopes().await.unwrap();
        assert_eq!(here, there);
    }
    assert_refused!(elsewhere.by_nobody().current_scopes(), 403, "InsufficientScopes");
    let wrong = Credentials::new("c", "wrong");
    assert_refused!(elsewhere.by(wrong).current_scopes(), 401, "AuthenticationFailed");
    auth.by_root().disable_client("c").await.unwrap();
    assert_refused!(elsewhere.by(client).current_scopes(), 401, "AuthenticationFailed");
}

#[tokio::test]
async fn a_host_that_is_no_name_is_the_callers_fault() {
    let auth = Deployment::start().await.elsewhere();
    let url = url::Url::parse("http://no_name/api/auth/v1/roles/").unwrap();
    assert_eq!(auth.get(&url).await, 401);
}
