//! Makes a role and a client that has it, asks as that client what it may do, and removes both.
//!
//! Wants a running service and, in the usual variables, the credentials of somebody who may do all that:
//!
//! ```sh
//! export TASKCLUSTER_ROOT_URL=http://127.0.0.1:8080
//! export TASKCLUSTER_CLIENT_ID=static/taskcluster/root TASKCLUSTER_ACCESS_TOKEN=a-token-of-22-to-66-characters
//! cargo run -p taskcluster-auth --example first_client
//! ```

use taskcluster::auth::{Auth, CreateClientRequest, CreateRoleRequest};
use taskcluster_core::time::hours;
use taskcluster_core::{Caller, CallerBuilder, Clock as _, Credentials, SystemClock};

#[tokio::main]
async fn main() -> Result<(), taskcluster::Report> {
    let caller = CallerBuilder::from_env()?.build()?;
    let root_url = caller.root_url().to_string();
    let auth = Auth::new(caller);

    let scopes = ["auth:current-scopes", "queue:create-task:lowest:<..>/*"];
    auth.create_role("example-team:*", &CreateRoleRequest::new("What a team may do.", scopes)).await?;

    let expires = SystemClock.now() + hours(1);
    let wanted = CreateClientRequest::new("Made by an example.", expires).with_scopes(["assume:example-team:blue"]);
    let client = auth.create_client("example/first-client", &wanted).await?;
    println!("{} has {:?}, worth {:?}", client.client_id, client.scopes, client.expanded_scopes);

    let credentials = Credentials::new(client.client_id, client.access_token);
    let itself = Auth::new(Caller::builder(&root_url).credentials(credentials).build()?);
    println!("It says of itself: {:?}", itself.current_scopes().await?.scopes);

    auth.delete_client("example/first-client").await?;
    auth.delete_role("example-team:*").await?;
    Ok(())
}
