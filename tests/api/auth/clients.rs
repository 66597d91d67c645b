//! Clients: what their credentials are good for, and for how long.

use harness::{Backend, Deployment, Options, soon};
use taskcluster::auth::CreateClientRequest;
use taskcluster::time::{days, hours, minutes};
use taskcluster::{Credentials, Secret};

const ID: &str = "project/e2e";

#[tokio::test]
async fn a_client_calls_with_its_scopes_until_it_is_disabled_or_gets_another_token() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let request =
            CreateClientRequest::new("For a test.", root.now() + days(1)).with_scopes(["auth:current-scopes", "a:*"]);
        let made = soon(root.auth().create_client(ID, &request).into_future()).await.unwrap();
        let client = deployment.with(Credentials::new(ID, made.access_token));
        let scopes = soon(client.auth().current_scopes().into_future()).await.unwrap().scopes;
        assert!(scopes.contains(&"a:*".to_owned()), "{scopes:?}");

        soon(root.auth().disable_client(ID).into_future()).await.unwrap();
        let refused = soon(client.auth().current_scopes().into_future()).await.unwrap_err();
        assert_eq!(refused.status().unwrap(), 401, "{refused}");
        soon(root.auth().enable_client(ID).into_future()).await.unwrap();
        soon(client.auth().current_scopes().into_future()).await.unwrap();

        let reset: Secret = soon(root.auth().reset_access_token(ID).into_future()).await.unwrap().access_token;
        assert_eq!(soon(client.auth().current_scopes().into_future()).await.unwrap_err().status().unwrap(), 401);
        let client = deployment.with(Credentials::new(ID, reset));
        soon(client.auth().current_scopes().into_future()).await.unwrap();
        deployment.stop().await;
    }
}

#[tokio::test]
async fn temporary_credentials_have_their_own_scopes_and_end() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let now = root.now();
        let issuer = root.caller().credentials().unwrap();
        let issue = |start, expiry| {
            issuer.temporary(&["auth:current-scopes", "b:*"], start, expiry, Some("e2e/temporary")).unwrap()
        };

        let client = deployment.with(issue(now - minutes(5), now + hours(1)));
        let scopes = soon(client.auth().current_scopes().into_future()).await.unwrap().scopes;
        assert!(scopes.contains(&"b:*".to_owned()) && !scopes.contains(&"*".to_owned()), "{scopes:?}");
        let client = deployment.with(issue(now - hours(2), now - hours(1)));
        assert_eq!(soon(client.auth().current_scopes().into_future()).await.unwrap_err().status().unwrap(), 401);
        deployment.stop().await;
    }
}
