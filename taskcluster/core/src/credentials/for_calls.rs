use std::time::Duration;

use super::Credentials;
use crate::error::Error;
use crate::scopes::ScopeExpression;
use crate::time::Timestamp;

impl Credentials {
    /// Temporary credentials that can make these calls and no others, valid from now for this time, made offline.
    ///
    /// Each call stands for itself by the scopes that it asks for, and all of them get the smallest set that will do for
    /// all; where a call leaves a choice, it is made as [`ScopeExpression::least`] says. Whether these credentials have
    /// such scopes themselves is for the service to say.
    ///
    /// ```
    /// use taskcluster_core::time::minutes;
    /// use taskcluster_core::{Credentials, ScopeExpression};
    ///
    /// let mine = Credentials::new("project/me", "hunter2");
    /// // In the crate `taskcluster` a call says it: `tc.queue().cancel_task(&id).needs_of(&status)?`.
    /// let cancel = ScopeExpression::Scope("queue:cancel-task:-/fN1SbArXTPSVFNUvaOlinQ/*".into());
    /// let lent = mine.for_calls([cancel], minutes(15))?;
    /// assert_eq!(lent.certificate.unwrap().scopes, ["queue:cancel-task:-/fN1SbArXTPSVFNUvaOlinQ/*"]);
    /// # Ok::<(), taskcluster_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Config`] if no scopes at all would do, and as [`temporary`](Self::temporary).
    pub fn for_calls(&self, calls: impl IntoIterator<Item = ScopeExpression>, valid: Duration) -> Result<Self, Error> {
        let needed = ScopeExpression::AllOf(calls.into_iter().collect());
        let Some(scopes) = needed.least() else {
            return Err(Error::config("no scopes satisfy these calls: one asks for one of nothing"));
        };
        self.lent(scopes.as_slice(), Timestamp::now(), valid, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::minutes;

    fn any<const N: usize>(scopes: [&str; N]) -> ScopeExpression {
        ScopeExpression::AnyOf(scopes.map(|scope| ScopeExpression::Scope(scope.into())).into())
    }

    #[test]
    fn the_calls_get_what_they_need_together() {
        let mine = Credentials::new("me", "token");
        let public = ScopeExpression::AllOf(Vec::new());
        let calls = [any(["cancel:a", "project:x"]), any(["rerun:a", "project:x"]), public.clone()];
        let lent = mine.for_calls(calls, minutes(15)).unwrap();
        let certificate = lent.certificate.unwrap();
        assert_eq!(certificate.scopes, ["project:x"]);
        let expiry = Timestamp::from_millis(certificate.expiry);
        assert!(expiry.distance(Timestamp::now() + minutes(15)) < minutes(1));
        assert!(mine.for_calls([public], minutes(15)).unwrap().certificate.unwrap().scopes.is_empty());
        let error = mine.for_calls([any([])], minutes(15)).unwrap_err().to_string();
        assert!(error.contains("no scopes satisfy"), "{error}");
    }
}
