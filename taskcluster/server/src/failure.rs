//! How a request fails: what the caller is told, and what the operator is told.

use std::error::Error;
use std::fmt;

use http::StatusCode;
use serde_json::Value;
use uuid::Uuid;

/// Why a request was not carried out.
///
/// A service keeps its own error types, which know no HTTP, and turns them into this at its edge. The message is for
/// the caller; the cause of an internal failure goes to the log only, next to an incident number that both sides see.
pub struct Failure(Box<Kind>);

#[derive(Debug)]
enum Kind {
    Api { code: &'static str, status: StatusCode, message: String },
    Custom { status: StatusCode, body: Value },
    Internal { incident: Uuid, cause: Box<dyn Error + Send + Sync> },
}

macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident => $code:literal, $status:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(message: impl Into<String>) -> Self {
            Self::api($code, StatusCode::$status, message.into())
        }
    )*};
}

impl Failure {
    failures! {
        /// 400 `MalformedPayload`: no JSON where JSON is needed.
        malformed_payload => "MalformedPayload", BAD_REQUEST;
        /// 400 `InvalidRequestArguments`: path or query do not fit.
        invalid_arguments => "InvalidRequestArguments", BAD_REQUEST;
        /// 400 `InputValidationError`: the body breaks its schema.
        invalid_input => "InputValidationError", BAD_REQUEST;
        /// 400 `InputError`: the request makes no sense for a reason that no schema can say.
        input_error => "InputError", BAD_REQUEST;
        /// 400 `NoMatchingBackend`: there is no storage for such a thing.
        no_matching_backend => "NoMatchingBackend", BAD_REQUEST;
        /// 401 `AuthenticationFailed`: credentials were given and are not valid.
        auth_failed => "AuthenticationFailed", UNAUTHORIZED;
        /// 403 `InsufficientScopes`: the caller may not do this.
        forbidden => "InsufficientScopes", FORBIDDEN;
        /// 404 `ResourceNotFound`: there is no such thing.
        not_found => "ResourceNotFound", NOT_FOUND;
        /// 406 `NoMatchingMethod`: it can be had by none of the methods that the caller accepts.
        no_matching_method => "NoMatchingMethod", NOT_ACCEPTABLE;
        /// 409 `RequestConflict`: it is not in the state for this.
        conflict => "RequestConflict", CONFLICT;
        /// 410 `ResourceExpired`: it existed, but not any longer.
        expired => "ResourceExpired", GONE;
        /// 413 `InputTooLarge`: the body is too large.
        input_too_large => "InputTooLarge", PAYLOAD_TOO_LARGE;
        /// 429 `TooManyRequests`: a limit of somebody else was reached.
        too_many_requests => "TooManyRequests", TOO_MANY_REQUESTS;
    }

    fn api(code: &'static str, status: StatusCode, message: String) -> Self {
        Self(Box::new(Kind::Api { code, status, message }))
    }

    /// 500 `InternalServerError`: our fault. The cause is logged and never shown.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Box::new(Kind::Internal { incident: Uuid::new_v4(), cause: cause.into() }))
    }

    /// An answer outside the usual shape, such as the 424 of an artifact that stands for an error.
    ///
    /// # Panics
    /// When `status` is none that HTTP knows (100 to 999).
    #[must_use]
    pub fn custom(status: u16, body: Value) -> Self {
        let status = StatusCode::from_u16(status).expect("a status between 100 and 999");
        Self(Box::new(Kind::Custom { status, body }))
    }

    /// The status that the caller sees.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match &*self.0 {
            Kind::Api { status, .. } | Kind::Custom { status, .. } => *status,
            Kind::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// TaskCluster's code; nothing for a custom answer.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        match &*self.0 {
            Kind::Api { code, .. } => Some(code),
            Kind::Custom { .. } => None,
            Kind::Internal { .. } => Some("InternalServerError"),
        }
    }

    /// What the caller reads, without the footer that the runtime adds.
    #[must_use]
    pub fn message(&self) -> String {
        match &*self.0 {
            Kind::Api { message, .. } => message.clone(),
            Kind::Custom { body, .. } => body.to_string(),
            Kind::Internal { incident, .. } => {
                format!("The service failed. The cause is in its log, under incident {incident}.")
            }
        }
    }

    /// The body of a custom answer.
    pub(crate) fn custom_body(&self) -> Option<&Value> {
        match &*self.0 {
            Kind::Custom { body, .. } => Some(body),
            Kind::Api { .. } | Kind::Internal { .. } => None,
        }
    }

    /// Incident number and cause of an internal failure.
    pub(crate) fn incident(&self) -> Option<(Uuid, &(dyn Error + Send + Sync + 'static))> {
        match &*self.0 {
            Kind::Internal { incident, cause } => Some((*incident, &**cause)),
            Kind::Api { .. } | Kind::Custom { .. } => None,
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Api { code, message, .. } => write!(f, "{code}: {message}"),
            Kind::Custom { status, body } => write!(f, "{status}: {body}"),
            Kind::Internal { incident, cause } => write!(f, "internal error {incident}: {cause}"),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.0 {
            Kind::Internal { cause, .. } => cause.source(),
            Kind::Api { .. } | Kind::Custom { .. } => None,
        }
    }
}
