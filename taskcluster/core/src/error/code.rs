use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The code of a service's refusal, as TaskCluster's API library defines them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// 400: the body is missing, is not JSON or has another content type.
    MalformedPayload,
    /// 400: an argument of the path or the query is not valid.
    InvalidRequestArguments,
    /// 400: the body does not follow its schema.
    InputValidationError,
    /// 400: the body follows its schema and is wrong nevertheless.
    InputError,
    /// 401: the credentials are not valid.
    AuthenticationFailed,
    /// 403: the credentials are not enough.
    InsufficientScopes,
    /// 404: there is no such thing.
    ResourceNotFound,
    /// 409: the call contradicts the state of things.
    RequestConflict,
    /// 410: there was such a thing.
    ResourceExpired,
    /// 413: the body is too long.
    InputTooLarge,
    /// 429: too many calls; try later.
    TooManyRequests,
    /// 500: the service's own fault.
    InternalServerError,
    /// A code of a newer service; `status-<number>` where an answer had none.
    Unknown(Box<str>),
}

impl ErrorCode {
    /// All that are known.
    pub const ALL: [Self; 12] = [
        Self::MalformedPayload,
        Self::InvalidRequestArguments,
        Self::InputValidationError,
        Self::InputError,
        Self::AuthenticationFailed,
        Self::InsufficientScopes,
        Self::ResourceNotFound,
        Self::RequestConflict,
        Self::ResourceExpired,
        Self::InputTooLarge,
        Self::TooManyRequests,
        Self::InternalServerError,
    ];

    /// The word on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::MalformedPayload => "MalformedPayload",
            Self::InvalidRequestArguments => "InvalidRequestArguments",
            Self::InputValidationError => "InputValidationError",
            Self::InputError => "InputError",
            Self::AuthenticationFailed => "AuthenticationFailed",
            Self::InsufficientScopes => "InsufficientScopes",
            Self::ResourceNotFound => "ResourceNotFound",
            Self::RequestConflict => "RequestConflict",
            Self::ResourceExpired => "ResourceExpired",
            Self::InputTooLarge => "InputTooLarge",
            Self::TooManyRequests => "TooManyRequests",
            Self::InternalServerError => "InternalServerError",
            Self::Unknown(word) => word,
        }
    }

    /// The status that goes with the code; 500 for one that is not known.
    #[must_use]
    pub fn status(&self) -> http::StatusCode {
        use http::StatusCode as Status;
        match self {
            Self::MalformedPayload | Self::InvalidRequestArguments | Self::InputValidationError | Self::InputError => {
                Status::BAD_REQUEST
            }
            Self::AuthenticationFailed => Status::UNAUTHORIZED,
            Self::InsufficientScopes => Status::FORBIDDEN,
            Self::ResourceNotFound => Status::NOT_FOUND,
            Self::RequestConflict => Status::CONFLICT,
            Self::ResourceExpired => Status::GONE,
            Self::InputTooLarge => Status::PAYLOAD_TOO_LARGE,
            Self::TooManyRequests => Status::TOO_MANY_REQUESTS,
            Self::InternalServerError | Self::Unknown(_) => Status::INTERNAL_SERVER_ERROR,
        }
    }

    /// The code for an answer that names none: the one of its status if there is exactly one.
    pub(crate) fn of_status(status: http::StatusCode) -> Self {
        let mut of_status = Self::ALL.into_iter().filter(|code| code.status() == status);
        match (of_status.next(), of_status.next()) {
            (Some(code), None) => code,
            _ => Self::Unknown(format!("status-{}", status.as_u16()).into()),
        }
    }
}

impl From<&str> for ErrorCode {
    fn from(word: &str) -> Self {
        Self::ALL.into_iter().find(|code| code.as_str() == word).unwrap_or_else(|| Self::Unknown(word.into()))
    }
}

impl FromStr for ErrorCode {
    type Err = Infallible;

    fn from_str(word: &str) -> Result<Self, Infallible> {
        Ok(word.into())
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|word| Self::from(word.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_statuses_belong_together() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from(code.as_str()), code);
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
        assert_eq!(ErrorCode::from("Newer").as_str(), "Newer");
        assert_eq!(ErrorCode::of_status(http::StatusCode::GONE), ErrorCode::ResourceExpired);
        assert_eq!(ErrorCode::of_status(http::StatusCode::BAD_REQUEST).as_str(), "status-400");
        assert_eq!(ErrorCode::of_status(http::StatusCode::BAD_GATEWAY).as_str(), "status-502");
    }
}
