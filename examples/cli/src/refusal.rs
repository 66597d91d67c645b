//! What the queue's refusal of a task means to the author of a `.taskcluster.yml`.
//!
//! The queue speaks to clients: of the one whose credentials they use, of schemas by an address that ends with this
//! process. The author knows neither, but the task, the repository's role, and the folder with the references.

use serde_json::Value;
use taskcluster_core::error::ApiError;
use taskcluster_core::scopes::ScopeExpression;

/// A value longer than this says less than its place.
const SHORT: usize = 80;

/// The refusal of this definition in one line; `role` is the repository's.
pub(crate) fn in_words(answer: &ApiError, definition: &Value, role: &str) -> String {
    if let Some(missing) = &answer.missing_scopes {
        return of_scopes(missing, role);
    }
    let faults = answer.summary().lines().filter_map(|line| line.trim().strip_prefix("* "));
    // The top level is the task itself, which is named in front of it all.
    let faults = faults.map(|fault| fault.strip_prefix("the top level: ").unwrap_or(fault));
    let faults: Vec<String> = faults.map(|fault| with_value(fault, definition)).collect();
    if faults.is_empty() { answer.summary().to_owned() } else { faults.join("; ") }
}

/// The queue does not repeat values, which may be secrets; to the author of the file they are none.
fn with_value(fault: &str, definition: &Value) -> String {
    let known = fault.split_once(": value ").and_then(|(place, complaint)| {
        let value = definition.pointer(place)?.to_string();
        (value.len() <= SHORT).then(|| format!("{place}: {value} {complaint}{}", hint(place)))
    });
    known.unwrap_or_else(|| fault.to_owned())
}

/// What is wanted, where the pattern of a schema does not tell it to everybody.
fn hint(place: &str) -> &'static str {
    match place {
        "/taskQueueId" => " (it is PROVISIONER/TYPE)",
        _ if place.starts_with("/dependencies/") => " (a task id; `as_slugid` of a task's name gives one)",
        _ => "",
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fault_shows_the_value_unless_it_is_long() {
        let definition = json!({"dependencies": ["bogus"], "taskQueueId": "a", "payload": {"x": "y".repeat(SHORT)}});
        let told = |fault| with_value(fault, &definition);
        assert_eq!(
            told("/dependencies/0: value does not match \"^x$\""),
            "/dependencies/0: \"bogus\" does not match \"^x$\" (a task id; `as_slugid` of a task's name gives one)"
        );
        assert_eq!(told("/taskQueueId: value is odd"), "/taskQueueId: \"a\" is odd (it is PROVISIONER/TYPE)");
        for same in ["/payload/x: value is long", "/gone: value is not there", "\"owner\" is a required property"] {
            assert_eq!(told(same), same);
        }
    }
}
