//! What stands in a `.taskcluster.yml` beside its tasks, for the forge's service: nothing here goes by it, but a value
//! that does not exist is better told now than by that service later.

use serde_json::Value;

use crate::InTreeError;

/// Who may have tasks run by a pull request.
const PULL_REQUESTS: &[&str] = &["public", "public_restricted", "collaborators", "collaborators_quiet"];

/// Who may have tasks run by a comment.
const ALLOW_COMMENTS: &[&str] = &["collaborators"];

/// How results are reported, where it is not by statuses of the commit.
const REPORTING: &[&str] = &["checks-v1"];

/// Checks the rendered document.
pub(crate) fn check(document: &Value) -> Result<(), InTreeError> {
    let complain = |complaint: String| Err(InTreeError::Document(complaint));
    if let Some(policy) = document.get("policy") {
        let Value::Object(policy) = policy else {
            return complain(format!("policy must be a mapping with `pullRequests` or `allowComments`, is {policy}"));
        };
        for (key, value) in policy {
            let known = match key.as_str() {
                "pullRequests" => PULL_REQUESTS,
                "allowComments" => ALLOW_COMMENTS,
                _ => {
                    return complain(format!("unknown key `policy.{key}`, known are pullRequests, allowComments"));
                }
            };
            one_of(&format!("policy.{key}"), value, known)?;
        }
    }
    if let Some(reporting) = document.get("reporting") {
        one_of("reporting", reporting, REPORTING)?;
    }
    match document.get("autoCancelPreviousChecks") {
        None | Some(Value::Bool(_)) => Ok(()),
        Some(other) => complain(format!("autoCancelPreviousChecks is {other}, must be true or false")),
    }
}

fn one_of(place: &str, value: &Value, known: &[&str]) -> Result<(), InTreeError> {
    if value.as_str().is_some_and(|value| known.contains(&value)) {
        return Ok(());
    }
    Err(InTreeError::Document(format!("{place} is {value}, known are {}", known.join(", "))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_exists_is_taken() {
        for policy in ["public", "public_restricted", "collaborators", "collaborators_quiet"] {
            check(&json!({ "policy": { "pullRequests": policy, "allowComments": "collaborators" } })).unwrap();
        }
        check(&json!({ "policy": {}, "reporting": "checks-v1", "autoCancelPreviousChecks": false })).unwrap();
        check(&json!({})).unwrap();
    }

    #[test]
    fn what_does_not_exist_is_named_in_one_line() {
        for (document, complaint) in [
            (
                json!({ "policy": { "pullRequests": "everybody" } }),
                "policy.pullRequests is \"everybody\", known are public, public_restricted, collaborators, \
                 collaborators_quiet",
            ),
            (json!({ "policy": { "allowComments": true } }), "policy.allowComments is true, known are collaborators"),
            (
                json!({ "policy": { "pullRequest": "public" } }),
                "unknown key `policy.pullRequest`, known are pullRequests, allowComments",
            ),
            (
                json!({ "policy": "public" }),
                "policy must be a mapping with `pullRequests` or `allowComments`, is \"public\"",
            ),
            (json!({ "reporting": "checks" }), "reporting is \"checks\", known are checks-v1"),
            (json!({ "autoCancelPreviousChecks": "no" }), "autoCancelPreviousChecks is \"no\", must be true or false"),
        ] {
            assert_eq!(check(&document).unwrap_err().to_string(), format!(".taskcluster.yml: {complaint}"));
        }
    }
}
