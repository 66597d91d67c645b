//! What can go wrong with a call of EC2, and what it means.

use taskcluster_core::transport::TransportError;

use super::xml::Element;

/// Why a call did not do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// EC2 says no.
    #[error("EC2 answers {action} with {code}: {message}")]
    Refused {
        /// What was asked.
        action: &'static str,
        /// HTTP status.
        status: u16,
        /// EC2's code, such as `InsufficientInstanceCapacity`.
        code: String,
        /// EC2's words.
        message: String,
    },
    /// No answer came.
    #[error("EC2 does not answer {action}")]
    Transport {
        /// What was asked.
        action: &'static str,
        /// Why there is no answer.
        #[source]
        source: TransportError,
    },
    /// The answer is none of EC2's.
    #[error("the answer to {action} (status {status}) makes no sense: {problem}")]
    Answer {
        /// What was asked.
        action: &'static str,
        /// HTTP status.
        status: u16,
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody has told as whom to ask.
    #[error("there are no credentials for EC2: {0}")]
    Credentials(String),
    /// The request cannot be made.
    #[error("{action} cannot be asked: {problem}")]
    Request {
        /// What was to be asked.
        action: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// Codes of EC2 for "there is none of it now": <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>.
const CAPACITY: [&str; 8] = [
    "InsufficientCapacity",
    "InsufficientFreeAddressesInSubnet",
    "InsufficientHostCapacity",
    "InsufficientInstanceCapacity",
    "InsufficientReservedInstanceCapacity",
    "SpotMaxPriceTooLow",
    "UnfulfillableCapacity",
    "Unsupported",
];

/// Codes for "you have enough of it": they hold for a whole region.
const LIMITS: [&str; 5] = [
    "InstanceLimitExceeded",
    "MaxSpotInstanceCountExceeded",
    "PendingVerification",
    "ResourceLimitExceeded",
    "VcpuLimitExceeded",
];

/// Codes for "not so fast".
const THROTTLED: [&str; 6] = [
    "EC2ThrottledException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
];

/// Codes that say nothing of the request, only of who sent it and when.
const UNKNOWN_CALLER: [&str; 9] = [
    "AuthFailure",
    "ExpiredToken",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

impl ApiError {
    /// EC2's code, if it has answered.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Transport { .. } | Self::Answer { .. } | Self::Credentials(_) | Self::Request { .. } => None,
        }
    }

    fn is_any(&self, codes: &[&str]) -> bool {
        self.code().is_some_and(|code| codes.contains(&code))
    }

    /// Whether it lacks the machines that are asked for, in that zone and at that price.
    #[must_use]
    pub fn is_capacity(&self) -> bool {
        self.is_any(&CAPACITY)
    }

    /// Whether the account may have no more such machines in the region.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        self.is_any(&LIMITS)
    }

    /// Whether it is too much at a time, or it has trouble of its own.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            // Some of EC2's refusals come as failures of the server.
            Self::Refused { status, .. } => {
                self.is_any(&THROTTLED) || (*status >= 500 && !self.is_capacity() && !self.is_limit())
            }
            Self::Answer { status, .. } => *status >= 500 || *status == 200,
            Self::Transport { source, .. } => source.is_retryable(),
            Self::Credentials(_) | Self::Request { .. } => false,
        }
    }

    /// Whether another request would not fare better either: it says something of what was asked.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.code().is_some() && !self.is_retryable() && !self.is_any(&UNKNOWN_CALLER)
    }

    /// Whether what was asked for does not exist.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.code().is_some_and(|code| {
            code.starts_with("InvalidInstanceID.") || code.starts_with("InvalidSpotInstanceRequestID.")
        })
    }

    /// Whether the request was only rehearsed, and would have gone well.
    #[must_use]
    pub fn is_rehearsed(&self) -> bool {
        self.is_any(&["DryRunOperation"])
    }

    /// What EC2 says with a status of failure.
    pub(super) fn read(action: &'static str, status: u16, body: &str) -> Self {
        let answer = Element::parse(body).ok();
        let error = answer.as_ref().and_then(|answer| answer.child("Errors")?.child("Error"));
        let said = |name: &str| error.and_then(|error| error.text(name)).map(str::to_owned);
        match said("Code") {
            Some(code) => Self::Refused { action, status, code, message: said("Message").unwrap_or_default() },
            // What stands between us and EC2 speaks no XML.
            None if status == 503 || status == 429 => {
                Self::Refused { action, status, code: "Throttling".to_owned(), message: format!("status {status}") }
            }
            None => Self::Answer { action, status, problem: body.chars().take(200).collect() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, code: &str) -> ApiError {
        let body = format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
            <Response><Errors><Error><Code>{code}</Code><Message>We do not have &quot;it&quot;.</Message></Error></Errors>
            <RequestID>ea966190-f9aa-478e-9ede-example</RequestID></Response>"#
        );
        ApiError::read("RunInstances", status, &body)
    }

    #[test]
    fn what_ec2_says_is_told() {
        assert_eq!(
            error(500, "InsufficientInstanceCapacity").to_string(),
            "EC2 answers RunInstances with InsufficientInstanceCapacity: We do not have \"it\"."
        );
    }

    #[test]
    fn codes_say_whether_to_ask_again() {
        let lacking = error(500, "InsufficientInstanceCapacity");
        assert!(lacking.is_capacity() && lacking.is_refusal() && !lacking.is_retryable());
        let enough = error(400, "MaxSpotInstanceCountExceeded");
        assert!(enough.is_limit() && enough.is_refusal() && !enough.is_retryable());
        for (status, code) in
            [(503, "RequestLimitExceeded"), (400, "Throttling"), (500, "InternalError"), (503, "Unavailable")]
        {
            assert!(error(status, code).is_retryable() && !error(status, code).is_refusal(), "{code}");
        }
        for code in ["AuthFailure", "RequestExpired"] {
            assert!(!error(401, code).is_retryable() && !error(401, code).is_refusal(), "{code}");
        }
        assert!(error(400, "InvalidAMIID.NotFound").is_refusal());
        assert!(error(400, "InvalidInstanceID.NotFound").is_unknown());
        assert!(error(412, "DryRunOperation").is_rehearsed());
    }

    #[test]
    fn a_proxy_that_has_no_time_is_asked_again() {
        assert!(ApiError::read("RunInstances", 503, "<html>").is_retryable());
        assert!(ApiError::read("RunInstances", 502, "Bad Gateway").is_retryable());
        assert!(!ApiError::read("RunInstances", 404, "what?").is_retryable());
    }
}
