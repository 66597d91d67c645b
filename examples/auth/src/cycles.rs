//! Roles that lead back to themselves, which are refused.
//!
//! Role A depends on role B if one of A's scopes could grant B, whatever A's parameter becomes. Along a cycle an
//! expansion might never end: `a*` with `assume:a<..>x` asks for ever longer ids. Any cycle is refused, also those
//! that would do no harm, as every TaskCluster deployment does; an administrator can then read the roles from top to
//! bottom.

use std::collections::HashSet;

use crate::expand::{Index, PARAMETER, Rule, substitute};

/// Role ids, each granting the next, the last one the same as the first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these roles would grant each other in a cycle: {}", .0.join(" -> "))]
pub struct Cycle(pub Vec<String>);

/// Looks for any cycle among these roles.
///
/// ```
/// use taskcluster_auth::cycles;
/// use taskcluster_auth::expand::Rule;
///
/// let roles = [Rule::new("a", ["assume:b"]), Rule::new("b*", ["assume:a"])];
/// assert_eq!(cycles::check(&roles).unwrap_err().0, ["a", "b*", "a"]);
/// ```
///
/// # Errors
/// The first cycle that is found.
pub fn check(rules: &[Rule]) -> Result<(), Cycle> {
    let index = Index::new(rules.to_vec());
    let mut finished = HashSet::new();
    (0..rules.len()).try_for_each(|start| search(&index, start, &mut finished))
}

/// Looks for a cycle that contains this role. Enough after a change of one role in a set that had no cycle before.
///
/// # Errors
/// The first cycle that is found.
pub fn check_through(rules: &[Rule], role_id: &str) -> Result<(), Cycle> {
    let index = Index::new(rules.to_vec());
    match rules.iter().position(|rule| rule.role_id == role_id) {
        Some(start) => search(&index, start, &mut HashSet::new()),
        None => Ok(()),
    }
}

/// A role on the way from the start to where the search is, and the roles it grants that are still to be looked at.
struct Step {
    rule: usize,
    to_visit: Vec<usize>,
}

/// Depth first, without recursion: chains may be as long as there are roles.
fn search(index: &Index, start: usize, finished: &mut HashSet<usize>) -> Result<(), Cycle> {
    if finished.contains(&start) {
        return Ok(());
    }
    let mut on_path = HashSet::from([start]);
    let mut path = vec![Step { rule: start, to_visit: dependencies(index, start) }];
    while let Some(step) = path.last_mut() {
        match step.to_visit.pop() {
            Some(next) if on_path.contains(&next) => return Err(name(index, &path, next)),
            Some(next) if finished.contains(&next) => {}
            Some(next) => {
                on_path.insert(next);
                path.push(Step { rule: next, to_visit: dependencies(index, next) });
            }
            None => {
                on_path.remove(&step.rule);
                finished.insert(step.rule);
                path.pop();
            }
        }
    }
    Ok(())
}

/// The roles that a role could grant, whatever its parameter is.
pub(crate) fn dependencies(index: &Index, rule: usize) -> Vec<usize> {
    let rule = &index.rules()[rule];
    let mut found = HashSet::new();
    for scope in &rule.scopes {
        let scope = match rule.is_prefix() && scope.contains(PARAMETER) {
            true => substitute(scope, "*"),
            false => scope.as_str().into(),
        };
        index.granted(&scope, |number, _| {
            found.insert(number);
        });
    }
    // Sorted, so that the same roles always give the same message.
    let mut found: Vec<usize> = found.into_iter().collect();
    found.sort_unstable();
    found
}

fn name(index: &Index, path: &[Step], closing: usize) -> Cycle {
    let id = |rule: usize| index.rules()[rule].role_id.clone();
    Cycle(path.iter().map(|step| step.rule).skip_while(|&rule| rule != closing).chain([closing]).map(id).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle(rules: &[(&str, &[&str])]) -> Option<Vec<String>> {
        let rules: Vec<Rule> = rules.iter().map(|(id, scopes)| Rule::new(*id, scopes.iter().copied())).collect();
        let whole = check(&rules).err();
        let through_any = rules.iter().any(|rule| check_through(&rules, &rule.role_id).is_err());
        assert_eq!(whole.is_some(), through_any, "both ways of looking agree");
        whole.map(|cycle| cycle.0)
    }

    #[test]
    fn the_cycle_is_named_from_a_role_back_to_it() {
        let found = cycle(&[("a", &["assume:b"]), ("b", &["assume:c"]), ("c", &["assume:b"]), ("d", &[])]);
        assert_eq!(found.unwrap(), ["b", "c", "b"]);
        let error = Cycle(vec!["b".into(), "c".into(), "b".into()]);
        assert!(error.to_string().ends_with("b -> c -> b"));
    }

    #[test]
    fn a_role_that_grants_itself_is_a_cycle() {
        assert_eq!(cycle(&[("a", &["assume:a"])]).unwrap(), ["a", "a"]);
        assert_eq!(cycle(&[("a*", &["assume:ab"])]).unwrap(), ["a*", "a*"]);
        assert_eq!(cycle(&[("a*", &["assume:a<..>x"])]).unwrap(), ["a*", "a*"]);
        assert_eq!(cycle(&[("ab", &["assume:a*"])]).unwrap(), ["ab", "ab"]);
        assert_eq!(cycle(&[("x", &["assume*"])]).unwrap(), ["x", "x"]);
    }

    #[test]
    fn two_ways_to_one_role_are_no_cycle() {
        assert_eq!(
            cycle(&[("a", &["assume:b", "assume:c"]), ("b", &["assume:d"]), ("c", &["assume:d"]), ("d", &["x"])]),
            None
        );
    }

    #[test]
    fn everything_is_not_a_role() {
        assert_eq!(cycle(&[("admin", &["*"]), ("admin*", &["x:<..>"])]), None);
    }
}
