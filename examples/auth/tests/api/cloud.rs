//! Credentials for what is not TaskCluster, of which this deployment has none but those for websocktunnel.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use taskcluster::auth::{GitHubPermissionLevel, GitHubPermissions, GitHubRepoTokenRequest};
use taskcluster_auth::Settings;
use taskcluster_core::time::hours;

use crate::deployment::{Deployment, ROOT, assert_refused};

#[tokio::test]
#[allow(deprecated, reason = "the methods for Azure are, and still answer")]
async fn what_is_not_configured_is_not_there() {
    let auth = Deployment::start().await;
    let root = auth.by_root();
    assert_refused!(root.aws_s3_credentials("read-only", "bucket", "path/to"), 404, "ResourceNotFound");
    assert_refused!(root.aws_s3_credentials("read-write", "bucket", "/path"), 400, "InputError");
    assert_refused!(root.aws_s3_credentials("write-only", "bucket", "path"), 400, "InvalidRequestArguments");
    assert!(root.azure_accounts().await.unwrap().accounts.is_empty());
    assert_refused!(root.azure_tables("account"), 404, "ResourceNotFound");
    assert_refused!(root.azure_containers("account"), 404, "ResourceNotFound");
    assert_refused!(root.azure_table_sas("account", "table", "read-only"), 404, "ResourceNotFound");
    assert_refused!(root.azure_container_sas("account", "container", "read-write"), 404, "ResourceNotFound");
    assert_refused!(root.azure_container_sas("account", "container", "all"), 400, "InvalidRequestArguments");
    assert_refused!(root.sentry_dsn("project"), 404, "ResourceNotFound");
    assert_refused!(root.gcp_credentials("project", "account"), 400, "InvalidRequestArguments");
    assert_refused!(root.websocktunnel_token("audience", "client"), 404, "ResourceNotFound");
}

#[tokio::test]
async fn scopes_are_asked_for_first() {
    let auth = Deployment::start().await;
    let reader = auth.client("reader", &["auth:aws-s3:read-only:bucket/*", "auth:aws-s3:read-write:bucket/rw/*"]).await;
    let reader = auth.by(reader);
    assert_refused!(reader.aws_s3_credentials("read-only", "bucket", "a"), 404, "ResourceNotFound");
    assert_refused!(reader.aws_s3_credentials("read-only", "bucket", "rw/a"), 404, "ResourceNotFound");
    assert_refused!(reader.aws_s3_credentials("read-write", "bucket", "rw/a"), 404, "ResourceNotFound");
    assert_refused!(reader.aws_s3_credentials("read-write", "bucket", "a"), 403, "InsufficientScopes");
    assert_refused!(reader.sentry_dsn("project"), 403, "InsufficientScopes");
    assert_refused!(reader.gcp_credentials("project", "account"), 403, "InsufficientScopes");
}

#[tokio::test]
async fn a_token_for_github_needs_each_permission_on_each_repository() {
    let auth = Deployment::start().await;
    let asker = auth.client("asker", &["auth:github-repo-token:app/owner/one:contents:read"]).await;
    let asker = auth.by(asker);
    let request = |repositories: &[&str]| {
        let permissions = GitHubPermissions::new().with_contents(GitHubPermissionLevel::Read);
        GitHubRepoTokenRequest::new(repositories.iter().copied(), permissions)
    };
    assert_refused!(asker.github_repo_token("app", "Owner", &request(&["One"])), 404, "ResourceNotFound");
    assert_refused!(asker.github_repo_token("app", "owner", &request(&["one", "two"])), 403, "InsufficientScopes");
    assert_refused!(asker.github_repo_token("app", "other", &request(&["one"])), 403, "InsufficientScopes");
}

#[tokio::test]
async fn a_token_for_websocktunnel_is_signed_with_the_secret() {
    let settings = Settings { websocktunnel_secret: Some("tunnel-secret".into()) };
    let auth = Deployment::start_with(settings).await;
    let answer = auth.by_root().websocktunnel_token("audience", "client.1").await.unwrap();
    assert_eq!((answer.wst_audience.as_str(), answer.wst_client.as_str()), ("audience", "client.1"));
    assert_eq!(answer.expires, auth.now() + hours(96));
    let (signed, signature) = answer.token.expose().rsplit_once('.').unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"tunnel-secret");
    hmac::verify(&key, signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(
        (&claims["aud"], &claims["tid"], &claims["sub"]),
        (&"audience".into(), &"client.1".into(), &ROOT.into())
    );
    assert_refused!(auth.by_root().websocktunnel_token("with space", "c"), 400, "InvalidRequestArguments");
    assert_refused!(auth.by_nobody().websocktunnel_token("audience", "c"), 403, "InsufficientScopes");
}
