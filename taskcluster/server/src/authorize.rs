//! Scopes: when they are checked, and how a refusal reads.

use taskcluster_core::hawk;
use taskcluster_core::operation::Operation;
use taskcluster_core::scopes::{Params, ScopeExpression, ScopeSet, ScopeTemplate};
use taskcluster_core::time::Timestamp;

use crate::Failure;
use crate::request::Received;

/// Who sent a request.
#[derive(Debug)]
pub(crate) struct Identity {
    /// Nothing without credentials.
    pub(crate) client_id: Option<String>,
    pub(crate) scopes: ScopeSet,
    pub(crate) expires: Timestamp,
}

/// Whether the scopes of an operation depend on nothing but its path, so that they can be checked up front.
pub(crate) fn needs_only_the_path(operation: &Operation) -> bool {
    operation.scopes.is_some_and(|template| only_arguments(template, operation.args))
}

fn only_arguments(template: &ScopeTemplate, arguments: &[&str]) -> bool {
    match template {
        ScopeTemplate::Scope(text) => placeholders(text).all(|name| arguments.contains(&name)),
        ScopeTemplate::AllOf(parts) | ScopeTemplate::AnyOf(parts) => {
            parts.iter().all(|part| only_arguments(part, arguments))
        }
        ScopeTemplate::ForEach { .. } | ScopeTemplate::If { .. } => false,
    }
}

/// The names between `<` and `>`.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('<').skip(1).filter_map(|rest| rest.split_once('>').map(|(name, _)| name))
}

/// The parameters of the path added to those that a handler gives.
pub(crate) fn with_arguments(params: Params, operation: &Operation, arguments: &[String]) -> Params {
    operation.args.iter().zip(arguments).fold(params, |params, (name, value)| {
        if params.get(name).is_some() { params } else { params.text(*name, value.as_str()) }
    })
}

/// Refuses a caller whose scopes do not satisfy an expression.
pub(crate) fn check(identity: &Identity, needed: &ScopeExpression) -> Result<(), Failure> {
    let Some(missing) = needed.remainder(&identity.scopes) else { return Ok(()) };
    let (missing, needed) = (shown(&missing), shown(needed));
    Err(Failure::forbidden(match &identity.client_id {
        Some(client_id) => format!(
            "Client ID {client_id} does not have sufficient scopes and is missing the following scopes:\n\n\
             ```\n{missing}\n```\n\n\
             This request requires the client to satisfy the following scope expression:\n\n\
             ```\n{needed}\n```"
        ),
        None => format!(
            "This request requires Taskcluster credentials that satisfy the following scope expression:\n\n\
             ```\n{needed}\n```"
        ),
    }))
}

/// An expression as text. Nobody reads a very long one to its end.
fn shown(expression: &ScopeExpression) -> String {
    const LONGEST: usize = 64 * 1024;
    let mut text = expression.to_string();
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Refuses a caller who does not hold every one of some scopes.
pub(crate) fn check_all<S: AsRef<str>>(identity: &Identity, needed: &[S]) -> Result<(), Failure> {
    let leaves = needed.iter().map(|scope| ScopeExpression::Scope(scope.as_ref().to_owned())).collect();
    check(identity, &ScopeExpression::AllOf(leaves))
}

/// Compares the payload hash of a signature to the body. Without one the caller did not sign the body.
pub(crate) fn check_payload_hash(hash: Option<&str>, received: &Received) -> Result<(), Failure> {
    let Some(hash) = hash else { return Ok(()) };
    let content_type = received.content_type.as_deref().unwrap_or_default();
    if hawk::payload_hash(content_type, &received.body) == hash {
        Ok(())
    } else {
        Err(Failure::auth_failed("The body is not the one that was signed: its hash differs."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_not_much_longer_than_anybody_reads() {
        let expires = Timestamp::from_millis(0);
        let identity = Identity { client_id: Some("me".to_owned()), scopes: ScopeSet::default(), expires };
        let needed: Vec<String> = (0..100_000).map(|number| format!("scope:{number}")).collect();
        let message = check_all(&identity, &needed).unwrap_err().message();
        assert!(message.len() < 200_000 && message.contains("scope:99\""), "{}", message.len());
    }

    #[test]
    fn scopes_of_the_path_are_known_up_front() {
        use ScopeTemplate::{AllOf, AnyOf, ForEach, Scope};
        let arguments = ["taskId", "runId"];
        assert!(only_arguments(&Scope("queue:resolve-task:<taskId>/<runId>"), &arguments));
        assert!(only_arguments(&AllOf(&[Scope("a:<taskId>"), AnyOf(&[Scope("b"), Scope("c:<runId>")])]), &arguments));
        assert!(!only_arguments(&AnyOf(&[Scope("a:<taskId>"), Scope("b:<schedulerId>")]), &arguments));
        assert!(!only_arguments(&AllOf(&[ForEach { variable: "scope", list: "scopes", each: "<scope>" }]), &arguments));
    }
}
