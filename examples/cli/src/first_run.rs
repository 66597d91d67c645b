//! What a deployment needs before it is of use: the roles that everything else refers to.
//!
//! Making them again changes nothing, so it is done at each start; what somebody added to a role stays.

use anyhow::{Context as _, Result};
use taskcluster::auth::{Auth, CreateRoleRequest};
use taskcluster_core::caller::Caller;

/// The client that may do everything.
pub(crate) const ROOT_CLIENT: &str = "static/taskcluster/root";

/// Role id, what it is for, and its scopes.
const ROLES: [(&str, &str, &[&str]); 2] = [
    (
        "anonymous",
        "What everybody may do, also without credentials: look.",
        &[
            "auth:current-scopes",
            "auth:get-client:*",
            "auth:get-role:*",
            "auth:list-clients",
            "auth:list-roles",
            "queue:get-artifact:public/*",
            "queue:get-provisioner:*",
            "queue:get-task-group:*",
            "queue:get-task-queue:*",
            "queue:get-task:*",
            "queue:get-worker-type:*",
            "queue:get-worker:*",
            "queue:list-artifacts:*",
            "queue:list-claimed-tasks:*",
            "queue:list-dependent-tasks:*",
            "queue:list-pending-tasks:*",
            "queue:list-provisioners",
            "queue:list-task-group:*",
            "queue:list-task-queues",
            "queue:list-worker-types:*",
            "queue:list-workers:*",
            "queue:pending-count:*",
            "queue:claimed-count:*",
            "queue:status:*",
        ],
    ),
    (
        "repo:*",
        "What the tasks of a push may do.",
        &[
            "generic-worker:*",
            "queue:cancel-task:*",
            "queue:create-task:highest:*",
            "queue:create-task:project:*",
            "queue:get-artifact:*",
            "queue:rerun-task:*",
            "queue:route:*",
            "queue:schedule-task:*",
            "queue:scheduler-id:*",
        ],
    ),
];

/// Makes the roles, or adds to them what they lack.
pub(crate) async fn prepare(caller: &Caller) -> Result<()> {
    let auth = Auth::new(caller.clone());
    for (id, description, scopes) in ROLES {
        let made = match auth.role(id).await {
            Ok(role) => {
                let lacks = |scope: &&&str| !role.scopes.iter().any(|held| held == **scope);
                let missing: Vec<String> = scopes.iter().filter(lacks).map(ToString::to_string).collect();
                if missing.is_empty() {
                    continue;
                }
                let all = role.scopes.into_iter().chain(missing);
                auth.update_role(id, &CreateRoleRequest::new(role.description, all)).await
            }
            Err(error) if error.is_not_found() => {
                auth.create_role(id, &CreateRoleRequest::new(description, scopes.iter().copied())).await
            }
            Err(error) => Err(error),
        };
        made.with_context(|| format!("cannot make the role {id}"))?;
    }
    Ok(())
}
