//! Roles: scopes under a name, granted to whoever may assume it.

use taskcluster_core::time::Timestamp;

use crate::expand::{PARAMETER, Rule};

/// A role, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its name; a final star makes it stand for all that begin so.
    pub role_id: String,
    /// What it grants, sorted.
    pub scopes: Vec<String>,
    /// For people.
    pub description: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub last_modified: Timestamp,
}

impl Role {
    /// What expansion needs of it.
    pub fn rule(&self) -> Rule {
        Rule { role_id: self.role_id.clone(), scopes: self.scopes.clone() }
    }
}

/// All roles at one moment. They are changed as one unit, since a cycle may lead through any of them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Roles {
    /// Counts changes of any role; a change says which version it was made from.
    pub version: i64,
    /// By id.
    pub roles: Vec<Role>,
}

impl Roles {
    /// The role of this id.
    pub fn get(&self, role_id: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.role_id == role_id)
    }

    /// What expansion needs of them.
    pub fn rules(&self) -> Vec<Rule> {
        self.roles.iter().map(Role::rule).collect()
    }

    /// What expansion would need if this role were there, in place of one of the same id.
    pub fn rules_with(&self, role: &Role) -> Vec<Rule> {
        let others = self.roles.iter().filter(|other| other.role_id != role.role_id);
        others.map(Role::rule).chain([role.rule()]).collect()
    }
}

/// Why a scope may not stand in a role or a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// One star says all that two could.
    #[error("scope '{0}' must not end in more than one star")]
    TwoStars(String),
    /// What the second would become is nobody's guess.
    #[error("scope '{0}' must not contain more than one '{PARAMETER}'")]
    TwoParameters(String),
    /// The star would no longer be the last character, so no star at all.
    #[error("scope '{0}' must not have a star in front of '{PARAMETER}'")]
    StarBeforeParameter(String),
}

/// Whether a client may have these scopes.
///
/// # Errors
/// The first scope that it may not.
pub(crate) fn check_client_scopes(scopes: &[String]) -> Result<(), ScopeError> {
    match scopes.iter().find(|scope| scope.ends_with("**")) {
        Some(scope) => Err(ScopeError::TwoStars(scope.clone())),
        None => Ok(()),
    }
}

/// Whether a role may have these scopes.
///
/// # Errors
/// The first scope that it may not.
pub(crate) fn check_role_scopes(scopes: &[String]) -> Result<(), ScopeError> {
    check_client_scopes(scopes)?;
    for scope in scopes {
        if scope.matches(PARAMETER).count() > 1 {
            return Err(ScopeError::TwoParameters(scope.clone()));
        }
        if scope.strip_suffix(PARAMETER).is_some_and(|before| before.ends_with('*')) {
            return Err(ScopeError::StarBeforeParameter(scope.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_that_mean_nothing_sensible_are_refused() {
        let role = |scope: &str| check_role_scopes(&["ok:*".into(), scope.into()]);
        assert_eq!(role("a:<..>:*"), Ok(()));
        assert_eq!(role("a**b"), Ok(()));
        assert_eq!(role("a:**"), Err(ScopeError::TwoStars("a:**".into())));
        assert_eq!(role("<..>:<..>"), Err(ScopeError::TwoParameters("<..>:<..>".into())));
        assert_eq!(role("a:*<..>"), Err(ScopeError::StarBeforeParameter("a:*<..>".into())));
        assert_eq!(check_client_scopes(&["a:*<..>".into()]), Ok(()));
    }
}
