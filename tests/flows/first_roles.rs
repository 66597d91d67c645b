//! The roles that a deployment is given at its start belong to whoever runs it from then on.

use std::future::IntoFuture;

use harness::{Ground, Process, program, soon};
use taskcluster::auth::{Auth, CreateRoleRequest};

async fn anonymous(auth: &Auth) -> Vec<String> {
    soon(auth.role("anonymous").into_future()).await.unwrap().scopes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_took_from_a_role_does_not_come_back_by_itself() {
    let Some(program) = program() else { return };
    let mut process = soon(Process::start(program, Ground::default())).await.unwrap();
    let auth = || Auth::new(process_caller(&process));
    let given = anonymous(&auth()).await;
    assert!(given.contains(&"events:listen:*".to_owned()));
    let fewer = given.iter().filter(|scope| *scope != "events:listen:*").cloned().chain(["ours:*".to_owned()]);
    let role = CreateRoleRequest::new("Ours now.", fewer);
    let changed = soon(auth().update_role("anonymous", &role).into_future()).await.unwrap().scopes;
    process.kill().await.unwrap();

    soon(process.restart()).await.unwrap();
    let auth = Auth::new(process_caller(&process));
    assert_eq!(anonymous(&auth).await, changed);
    // Without it little would work, so it is not left out by accident.
    soon(auth.delete_role("anonymous").into_future()).await.unwrap();
    process.kill().await.unwrap();
    soon(process.restart()).await.unwrap();
    assert_eq!(anonymous(&Auth::new(process_caller(&process))).await, given);
}

fn process_caller(process: &Process) -> taskcluster::Caller {
    process.root().caller().clone()
}
