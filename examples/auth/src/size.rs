//! Roles that would be worth more than an expansion may be, which are refused.
//!
//! An expansion ends at its limits in any case; but then it lacks something, and whoever wrote the roles should hear of
//! it rather than whoever uses them. What a role with a parameter is worth depends on the parameter: it is tried with
//! the empty text and with the open one.

use std::collections::HashSet;

use crate::cycles::dependencies;
use crate::expand::{ASSUME, Index, MAX_BYTES, MAX_SCOPES, Resolver, Rule};

/// The role that would be worth too much.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "role '{0}' would expand to too much: it may be worth {MAX_SCOPES} scopes of {MAX_BYTES} bytes in all, with what \
     the roles that it grants add"
)]
pub struct TooLarge(pub String);

/// Checks a role and those that grant it, directly or not. Enough after a change of one role among roles without cycles.
///
/// # Errors
/// A role that would be worth too much.
pub fn check_through(rules: Vec<Rule>, role_id: &str) -> Result<(), TooLarge> {
    let resolver = Resolver::new(rules);
    let index = resolver.index();
    let Some(changed) = index.rules().iter().position(|rule| rule.role_id == role_id) else { return Ok(()) };
    for number in heads(index, changed) {
        let id = &index.rules()[number].role_id;
        let assume = format!("{ASSUME}{id}");
        let without_text = assume.strip_suffix('*').filter(|_| index.rules()[number].is_prefix());
        if !resolver.is_complete(&assume) || without_text.is_some_and(|scope| !resolver.is_complete(scope)) {
            return Err(TooLarge(id.clone()));
        }
    }
    Ok(())
}

/// The role itself, and of those that lead to it the ones that no other role grants: they are worth the most.
fn heads(index: &Index, changed: usize) -> Vec<usize> {
    let mut granted_by = vec![Vec::new(); index.rules().len()];
    for rule in 0..index.rules().len() {
        for dependency in dependencies(index, rule) {
            granted_by[dependency].push(rule);
        }
    }
    let mut heads = vec![changed];
    let mut seen = HashSet::from([changed]);
    let mut to_visit = vec![changed];
    while let Some(rule) = to_visit.pop() {
        if granted_by[rule].is_empty() && rule != changed {
            heads.push(rule);
        }
        to_visit.extend(granted_by[rule].iter().copied().filter(|&above| seen.insert(above)));
    }
    heads
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each role names the next one twice.
    fn doubling(count: usize) -> Vec<Rule> {
        let scopes = |n: usize| ["a", "b"].map(|end| format!("assume:r{:02}:<..>{end}", n + 1));
        (0..count).map(|n| Rule::new(format!("r{n:02}:*"), scopes(n))).collect()
    }

    #[test]
    fn the_last_link_is_refused_wherever_it_is() {
        for changed in ["r00:*", "r13:*", "r24:*"] {
            assert_eq!(check_through(doubling(25), changed).map_err(|error| error.0.len()), Err(5), "{changed}");
        }
        assert_eq!(check_through(doubling(25), "r24:*"), Err(TooLarge("r00:*".into())));
        assert_eq!(check_through(doubling(10), "r09:*"), Ok(()));
        assert_eq!(check_through(doubling(10), "absent"), Ok(()));
    }

    #[test]
    fn a_large_role_is_in_nobody_elses_way() {
        let rules = || doubling(25).into_iter().chain([Rule::new("other", ["x"])]).collect();
        assert_eq!(check_through(rules(), "other"), Ok(()));
        assert!(check_through(rules(), "r20:*").is_err());
    }

    #[test]
    fn long_scopes_count_by_their_length() {
        let long = |n: usize| vec![format!("assume:r{}:<..>{}", n + 1, "x".repeat(100_000))];
        let rules = |count: usize| (0..count).map(|n| Rule::new(format!("r{n}:*"), long(n))).collect();
        assert!(check_through(rules(20), "r0:*").is_err());
        assert_eq!(check_through(rules(7), "r0:*"), Ok(()));
    }
}
