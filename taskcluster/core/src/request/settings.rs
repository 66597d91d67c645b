use crate::backoff::RetryPolicy;
use crate::caller::Caller;

/// What a single call does otherwise than its handle. Most calls have none, and pay nothing for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    retry: Option<RetryPolicy>,
    idempotent: Option<bool>,
}

impl Settings {
    pub(crate) fn policy(&self) -> Option<&RetryPolicy> {
        self.retry.as_ref()
    }

    pub(crate) fn idempotent(&self) -> Option<bool> {
        self.idempotent
    }

    /// The policy of the call, which begins as the handle's.
    pub(super) fn policy_mut(&mut self, caller: &Caller) -> &mut RetryPolicy {
        self.retry.get_or_insert_with(|| caller.retry_policy().clone())
    }

    pub(super) fn set_policy(&mut self, policy: RetryPolicy) {
        self.retry = Some(policy);
    }

    pub(super) fn set_idempotent(&mut self, idempotent: bool) {
        self.idempotent = Some(idempotent);
    }
}

/// The settings of a single call, for whatever holds a [`Request`](crate::Request) in its field `request`: each is handed on.
#[doc(hidden)]
#[macro_export]
macro_rules! __request_settings {
    ($name:ident $(<$of:ident>)?) => {
        impl $(<$of>)? $name $(<$of>)? {
            /// Tries this call as the policy says, whatever that of the handle; see
            /// [`Request::retry`]($crate::request::Request::retry).
            #[inline]
            pub fn retry(mut self, policy: $crate::backoff::RetryPolicy) -> Self {
                self.request = self.request.retry(policy);
                self
            }

            /// Repeats this call at most so often; 0 for one attempt and no more.
            #[inline]
            pub fn retries(mut self, retries: u32) -> Self {
                self.request = self.request.retries(retries);
                self
            }

            /// Gives this call so long, all attempts and delays together.
            #[inline]
            pub fn deadline(mut self, deadline: ::core::time::Duration) -> Self {
                self.request = self.request.deadline(deadline);
                self
            }

            /// Gives each attempt of this call so long.
            #[inline]
            pub fn attempt_timeout(mut self, timeout: ::core::time::Duration) -> Self {
                self.request = self.request.attempt_timeout(timeout);
                self
            }

            /// Lets the service be silent for so long in the midst of an answer that is read as it comes.
            #[inline]
            pub fn stall_timeout(mut self, timeout: ::core::time::Duration) -> Self {
                self.request = self.request.stall_timeout(timeout);
                self
            }

            /// Says whether this call may be repeated although it may have arrived; see
            /// [`Request::idempotent`]($crate::request::Request::idempotent).
            #[inline]
            pub fn idempotent(mut self, idempotent: bool) -> Self {
                self.request = self.request.idempotent(idempotent);
                self
            }
        }
    };
}
