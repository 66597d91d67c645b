//! Roles: what assuming one gives, as soon as it changes.

use harness::{Backend, Deployment, Options, soon};
use taskcluster::Credentials;
use taskcluster::auth::{CreateClientRequest, CreateRoleRequest};
use taskcluster::time::days;

#[tokio::test]
async fn a_change_of_a_role_is_felt_by_the_next_call() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let role = |scopes: &[&str]| CreateRoleRequest::new("For a test.", scopes.iter().copied());
        let id = "project:*";
        soon(root.auth().create_role(id, &role(&["auth:current-scopes", "get:<..>"])).into_future()).await.unwrap();
        let request = CreateClientRequest::new("", root.now() + days(1)).with_scopes(["assume:project:x"]);
        let made = soon(root.auth().create_client("project/x", &request).into_future()).await.unwrap();
        let client = deployment.with(Credentials::new("project/x", made.access_token));

        let scopes = soon(client.auth().current_scopes().into_future()).await.unwrap().scopes;
        assert!(scopes.contains(&"get:x".to_owned()), "{scopes:?}");
        soon(root.auth().update_role(id, &role(&["auth:current-scopes", "put:<..>"])).into_future()).await.unwrap();
        let scopes = soon(client.auth().current_scopes().into_future()).await.unwrap().scopes;
        assert!(scopes.contains(&"put:x".to_owned()) && !scopes.contains(&"get:x".to_owned()), "{scopes:?}");
        deployment.stop().await;
    }
}
