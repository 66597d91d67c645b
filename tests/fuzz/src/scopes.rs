//! Scope expressions: read and written alike, and satisfied by whom the rules of the documentation say.
//!
//! An input is a JSON list: an expression, then the scopes that are held.

use serde_json::Value;
use taskcluster_core::{ScopeExpression, ScopeSet};

pub(crate) fn run(data: &[u8]) {
    let Ok(Value::Array(input)) = serde_json::from_slice::<Value>(data) else { return };
    let Some((expression, held)) = input.split_first() else { return };
    let held: Vec<&str> = held.iter().filter_map(Value::as_str).collect();
    let read: Result<ScopeExpression, _> = serde_json::from_value(expression.clone());
    assert_eq!(read.is_ok(), is_expression(expression), "{expression}");
    let Ok(read) = read else { return };
    is_written_as_it_was(expression, &read);
    is_satisfied_by_the_rules(expression, &read, &held);
    the_remainder_is_what_lacks(&read, &held);
    the_least_is_enough(&read);
    sets_are_sets(&read.scopes(), &held);
}

/// What the documentation calls an expression.
fn is_expression(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Object(object) => {
            object.len() == 1
                && object.iter().all(|(key, parts)| {
                    let parts = parts.as_array();
                    (key == "AllOf" || key == "AnyOf") && parts.is_some_and(|parts| parts.iter().all(is_expression))
                })
        }
        _ => false,
    }
}

fn covers(held: &str, needed: &str) -> bool {
    held == needed || held.ends_with('*') && needed.starts_with(&held[..held.len() - 1])
}

fn holds(held: &[&str], needed: &str) -> bool {
    held.iter().any(|held| covers(held, needed))
}

/// The rules, on the JSON itself.
fn satisfied(expression: &Value, held: &[&str]) -> bool {
    if let Some(scope) = expression.as_str() {
        return holds(held, scope);
    }
    match (expression["AllOf"].as_array(), expression["AnyOf"].as_array()) {
        (Some(all), _) => all.iter().all(|part| satisfied(part, held)),
        (_, Some(any)) => any.iter().any(|part| satisfied(part, held)),
        _ => unreachable!("it is an expression"),
    }
}

fn is_written_as_it_was(expression: &Value, read: &ScopeExpression) {
    assert_eq!(serde_json::to_value(read).expect("texts and lists"), *expression);
    match read {
        ScopeExpression::Scope(scope) => assert_eq!(read.to_string(), *scope),
        _ => assert_eq!(serde_json::from_str::<ScopeExpression>(&read.to_string()).expect("JSON"), *read),
    }
}

fn is_satisfied_by_the_rules(expression: &Value, read: &ScopeExpression, held: &[&str]) {
    let set: ScopeSet = held.iter().copied().collect();
    assert_eq!(read.satisfied_by(&set), satisfied(expression, held), "{expression} by {held:?}");
}

fn the_remainder_is_what_lacks(read: &ScopeExpression, held: &[&str]) {
    let set: ScopeSet = held.iter().copied().collect();
    let remainder = read.remainder(&set);
    assert_eq!(remainder.is_none(), read.satisfied_by(&set));
    let Some(remainder) = remainder else { return };
    assert!(!remainder.satisfied_by(&set), "{remainder}");
    assert!(remainder.scopes().iter().all(|scope| !holds(held, scope)), "{remainder} names what is held");
    // Whoever gets the remainder as well has it all.
    if let Some(more) = remainder.least() {
        assert!(read.satisfied_by(&set.merge(&more)), "{read} by {set:?} and {more:?}");
    }
}

fn the_least_is_enough(read: &ScopeExpression) {
    let everything = ScopeSet::from_iter(["*"]);
    match read.least() {
        Some(least) => {
            assert!(read.satisfied_by(&least), "{read} by {least:?}");
            let named = read.scopes();
            assert!(least.iter().all(|scope| named.contains(&scope.as_str())), "{least:?} of {named:?}");
        }
        None => assert!(!read.satisfied_by(&everything), "{read}"),
    }
}

fn sets_are_sets(a: &[&str], b: &[&str]) {
    let (set_a, set_b): (ScopeSet, ScopeSet) = (a.iter().copied().collect(), b.iter().copied().collect());
    let (merged, both) = (set_a.merge(&set_b), set_a.intersect(&set_b));
    for scope in a.iter().chain(b).copied() {
        // What would be satisfied by a set is what its list would satisfy.
        assert_eq!(set_a.satisfies(scope), holds(a, scope), "{set_a:?} {scope:?}");
        assert_eq!(merged.satisfies(scope), holds(a, scope) || holds(b, scope), "{merged:?} {scope:?}");
        assert_eq!(both.satisfies(scope), holds(a, scope) && holds(b, scope), "{both:?} {scope:?}");
    }
    assert_eq!(set_a.iter().cloned().collect::<ScopeSet>(), set_a, "normalised once is normalised");
    assert_eq!(serde_json::from_value::<ScopeSet>(serde_json::json!(set_a)).expect("a list"), set_a);
}
