//! Scopes: what a client may do, and what a method asks for.
//!
//! The rules are those of the TaskCluster documentation: a scope is satisfied by an equal one, or by one that ends in
//! `*` and whose part before that star begins it. A star anywhere else is an ordinary character.

mod expression;
mod least;
mod set;
mod template;

pub use expression::ScopeExpression;
pub use set::{ScopeSet, compare};
pub use template::{Param, Params, RenderError, ScopeTemplate};

/// Whether one of the scopes `held` satisfies the scope `needed`.
///
/// ```
/// use taskcluster_core::scopes::satisfies;
/// assert!(satisfies(&["queue:*"], "queue:cancel-task"));
/// assert!(!satisfies(&["queue:cancel-task"], "queue:*"));
/// ```
pub fn satisfies<S: AsRef<str>>(held: &[S], needed: &str) -> bool {
    held.iter().any(|scope| covers(scope.as_ref(), needed))
}

/// Whether the single scope `held` satisfies `needed`.
#[must_use]
pub fn covers(held: &str, needed: &str) -> bool {
    match held.strip_suffix('*') {
        Some(prefix) => needed.starts_with(prefix),
        None => held == needed,
    }
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn only_a_final_star_is_a_wildcard() {
        assert!(covers("*", ""));
        assert!(covers("a*", "a"));
        assert!(covers("a*", "a*"));
        assert!(covers("a**", "a*"));
        assert!(!covers("a**", "ab"));
        assert!(!covers("a*c", "abc"));
        assert!(!covers("a", "a*"));
        assert!(!covers("ab*", "a*"));
    }
}
