//! What a deployment needs before it is of use: the roles that everything else refers to.
//!
//! Each start gives what was not given before, such as a scope that a newer version knows. What somebody took away stays away,
//! what somebody added stays, and only a role that is gone is made anew: the file `given.json` in the data folder has what was
//! given.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use service_kit::data_dir::DataDir;
use taskcluster::auth::{Auth, CreateRoleRequest};
use taskcluster_core::caller::Caller;
use taskcluster_core::error::Error;

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
            "events:listen:*",
            "index:find-task:*",
            "index:list-namespaces:*",
            "index:list-tasks:*",
            "purge-cache:all-purge-requests",
            "purge-cache:purge-requests::*",
            "queue:get-artifact:public/*",
            "queue:get-provisioner:*",
            "queue:get-task-queue:*",
            "queue:get-task:*",
            "queue:get-worker-type:*",
            "queue:get-worker:*",
            "queue:list-artifacts:*",
            "queue:list-dependent-tasks:*",
            "queue:list-provisioners",
            "queue:list-task-group:*",
            "queue:list-task-queues",
            "queue:list-worker-types:*",
            "queue:list-workers:*",
            "queue:pending-count:*",
            "queue:pending-list:*",
            "queue:claimed-count:*",
            "queue:claimed-list:*",
            "queue:status:*",
            "scheduler:list-task-graphs",
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
            "scheduler:cancel-task-graph:*",
            "scheduler:create-task-graph",
            "scheduler:extend-task-graph:*",
            "scheduler:rerun-task-graph:*",
            "scheduler:route:*",
        ],
    ),
];

/// The file that says what was given.
const GIVEN: &str = "given.json";

/// By role, the scopes that it was given at some time.
type Given = BTreeMap<String, BTreeSet<String>>;

/// Makes the roles, or adds to them what they were not given yet.
pub(crate) async fn prepare(caller: &Caller, data: &DataDir) -> Result<()> {
    let auth = Auth::new(caller.clone());
    let given = data.read(GIVEN)?.unwrap_or_else(|| "{}".to_owned());
    let given: Given =
        serde_json::from_str(&given).with_context(|| format!("{GIVEN} in the data folder is damaged"))?;
    let mut now_given = given.clone();
    for (id, description, scopes) in ROLES {
        let before = given.get(id).cloned().unwrap_or_default();
        let new: BTreeSet<String> =
            scopes.iter().map(ToString::to_string).filter(|scope| !before.contains(scope)).collect();
        give(&auth, id, description, scopes, &new).await.with_context(|| format!("cannot make the role {id}"))?;
        now_given.entry(id.to_owned()).or_default().extend(new);
    }
    if now_given != given {
        // After a crash before this the same is given once more.
        data.write(GIVEN, &serde_json::to_string_pretty(&now_given)?)?;
    }
    Ok(())
}

async fn give(auth: &Auth, id: &str, description: &str, all: &[&str], new: &BTreeSet<String>) -> Result<(), Error> {
    match auth.role(id).await {
        Ok(role) => {
            let held = BTreeSet::from_iter(role.scopes);
            if !new.is_subset(&held) {
                auth.update_role(id, &CreateRoleRequest::new(role.description, held.union(new).cloned())).await?;
            }
        }
        Err(error) if error.is_not_found() => {
            auth.create_role(id, &CreateRoleRequest::new(description, all.iter().copied())).await?;
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Tells the role of `grant` from one that somebody made.
const GRANTED: &str = "What `taskcluster run --grant` allows.";

/// Gives the role of a repository what its user allows in this run, and nothing of what was allowed in an earlier one.
pub(crate) async fn grant(caller: &Caller, id: &str, scopes: &[String]) -> Result<()> {
    let auth = Auth::new(caller.clone());
    let cannot = || format!("cannot make the role {id}");
    match auth.role(id).await {
        Ok(role) if role.description == GRANTED => auth.delete_role(id).await.with_context(cannot)?,
        Ok(_) if scopes.is_empty() => return Ok(()),
        Ok(_) => bail!("the role {id} was made by somebody else than --grant: add the scopes to that one"),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error).with_context(cannot),
    }
    if !scopes.is_empty() {
        let role = CreateRoleRequest::new(GRANTED, scopes.iter().map(String::as_str));
        auth.create_role(id, &role).await.with_context(cannot)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use taskcluster::{auth, event_stream, index, purge_cache, queue, scheduler};
    use taskcluster_core::scopes::ScopeTemplate;

    use super::*;

    /// What the scopes of a template begin with, before anything is filled in.
    fn beginnings(template: &ScopeTemplate) -> Vec<&'static str> {
        match template {
            ScopeTemplate::Scope(text) | ScopeTemplate::ForEach { each: text, .. } => {
                vec![text.split('<').next().unwrap_or_default()]
            }
            ScopeTemplate::AllOf(parts) | ScopeTemplate::AnyOf(parts) => parts.iter().flat_map(beginnings).collect(),
            ScopeTemplate::If { then, otherwise, .. } => {
                [Some(*then), *otherwise].into_iter().flatten().flat_map(beginnings).collect()
            }
        }
    }

    #[test]
    fn every_scope_allows_something() {
        let operations = [auth::operations::ALL, queue::operations::ALL, event_stream::operations::ALL];
        let more = [index::operations::ALL, purge_cache::operations::ALL, scheduler::operations::ALL];
        let operations = operations.into_iter().chain(more).flatten();
        let asked: Vec<&str> = operations.filter_map(|operation| operation.scopes).flat_map(beginnings).collect();
        for scope in
            ROLES.iter().flat_map(|(_, _, scopes)| *scopes).filter(|scope| !scope.starts_with("generic-worker:"))
        {
            let allows = |beginning: &&str| !beginning.is_empty() && scope.starts_with(*beginning);
            assert!(asked.iter().any(allows), "{scope}");
        }
    }
}
