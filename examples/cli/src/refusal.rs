//! What the queue's refusal of a task means to the author of a `.taskcluster.yml`.
//!
//! The queue speaks to clients: of the one whose credentials they use, of schemas by an address that ends with this
//! process. The author knows neither, but the task, the repository's role, and the folder with the references.

use taskcluster_core::error::ApiError;
use taskcluster_core::scopes::ScopeExpression;

/// The refusal in one line; `role` is the repository's.
pub(crate) fn in_words(answer: &ApiError, role: &str) -> String {
    if let Some(missing) = &answer.missing_scopes {
        return of_scopes(missing, role);
    }
    let faults: Vec<&str> = answer.summary().lines().filter_map(|line| line.trim().strip_prefix("* ")).collect();
    // The top level is the task itself, which is named in front of it all.
    let faults: Vec<&str> =
        faults.into_iter().map(|fault| fault.strip_prefix("the top level: ").unwrap_or(fault)).collect();
    if faults.is_empty() { answer.summary().to_owned() } else { faults.join("; ") }
}

fn of_scopes(missing: &ScopeExpression, role: &str) -> String {
    let wanted = spoken(missing);
    let remedy = match each(missing) {
        Some(scopes) => {
            let options = scopes.iter().map(|scope| format!("--grant '{scope}'")).collect::<Vec<_>>().join(" ");
            format!("ask for less in the task, or allow it here: {options}")
        }
        None => "ask for less in the task, or allow it here with --grant SCOPE".to_owned(),
    };
    format!("the repository's role {role} does not have {wanted}; {remedy}")
}

/// An expression as one would say it.
fn spoken(expression: &ScopeExpression) -> String {
    let list = |parts: &[ScopeExpression], word: &str| parts.iter().map(spoken).collect::<Vec<_>>().join(word);
    match expression {
        ScopeExpression::Scope(scope) => scope.clone(),
        ScopeExpression::AllOf(parts) => list(parts, ", "),
        ScopeExpression::AnyOf(parts) => format!("({})", list(parts, " or ")),
    }
}

/// The scopes of an expression that leaves no choice.
fn each(expression: &ScopeExpression) -> Option<Vec<&str>> {
    match expression {
        ScopeExpression::Scope(scope) => Some(vec![scope]),
        ScopeExpression::AllOf(parts) => {
            parts.iter().map(each).collect::<Option<Vec<_>>>().map(|scopes| scopes.concat())
        }
        ScopeExpression::AnyOf(_) => None,
    }
}
