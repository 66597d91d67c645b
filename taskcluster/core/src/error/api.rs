use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;

use super::ErrorCode;
use crate::operation::Operation;
use crate::scopes::ScopeExpression;

/// What a service answered instead of a result.
#[derive(Clone)]
#[non_exhaustive]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code; that of the status where the answer had none.
    pub code: ErrorCode,
    /// The message, whole. `Display` leaves out its footer, which repeats code and status, and of a 403 what comes after
    /// the missing scopes.
    pub message: String,
    /// What the service understood of the request: method, params, payload, time. It may hold what you sent,
    /// and is left out by `Debug`.
    pub request_info: Option<serde_json::Map<String, serde_json::Value>>,
    /// For a 403, the scopes that the service found missing; all that are needed, if it was called without credentials.
    pub missing_scopes: Option<ScopeExpression>,
    /// Whether the call was made without credentials, so that a 401 or 403 most likely means: set some.
    pub anonymous: bool,
    /// The method that was called.
    pub operation: Option<&'static Operation>,
    /// How often it was tried.
    pub attempts: u32,
    /// How long the service asked to wait.
    pub retry_after: Option<Duration>,
    /// The id under which the service's log knows the request, from `x-for-request-id`.
    pub request_id: Option<String>,
    /// The body as it came.
    pub body: Bytes,
}

impl ApiError {
    /// An error as a service would give it, for tests. An empty `code` stands for that of the status.
    ///
    /// # Panics
    /// If `status` lies outside of 100 to 999.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).expect("a status has three digits");
        let code = if code.is_empty() { ErrorCode::of_status(status) } else { code.into() };
        let message = message.into();
        Self {
            status,
            missing_scopes: missing_scopes(status, &message),
            code,
            message,
            request_info: None,
            anonymous: false,
            operation: None,
            attempts: 1,
            retry_after: None,
            request_id: None,
            body: Bytes::new(),
        }
    }

    /// Reads a refusal. A body that is not in the services' form (of a load balancer, or the queue's 424) still gives
    /// its message if it has one.
    pub(crate) fn parse(operation: &'static Operation, status: StatusCode, attempts: u32, body: Bytes) -> Self {
        #[derive(Deserialize, Default)]
        #[serde(default, rename_all = "camelCase")]
        struct Wire {
            code: Option<String>,
            message: Option<String>,
            reason: Option<String>,
            error: Option<serde_json::Value>,
            request_info: Option<serde_json::Map<String, serde_json::Value>>,
        }

        let json: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        // JSON without a message says nothing that is fit to be shown.
        let excerpt = if json.is_some() { String::new() } else { excerpt(&body) };
        let wire: Wire = json.and_then(|json| serde_json::from_value(json).ok()).unwrap_or_default();
        let message = wire.message.or(match wire.error {
            Some(serde_json::Value::String(error)) => Some(error),
            _ => None,
        });
        let message = message.or(wire.reason).unwrap_or(excerpt);
        Self {
            code: wire.code.map_or_else(|| ErrorCode::of_status(status), |code| code.as_str().into()),
            missing_scopes: missing_scopes(status, &message),
            status,
            message,
            request_info: wire.request_info,
            anonymous: false,
            operation: Some(operation),
            attempts,
            retry_after: None,
            request_id: None,
            body,
        }
    }

    /// Whether the same call may well work later: 5xx and 429.
    pub fn is_retryable(&self) -> bool {
        self.status.is_server_error() || self.status == StatusCode::TOO_MANY_REQUESTS
    }

    /// The message without the footer that every TaskCluster service adds (method, code, status, time).
    pub fn summary(&self) -> &str {
        self.message.split("\n---\n").next().unwrap_or(&self.message).trim()
    }

    /// Whether what answered is no service: those name a code.
    fn is_of_nobody(&self) -> bool {
        let has_code = |json: serde_json::Value| json.get("code").is_some();
        let answered = self.operation.is_some() && !self.body.is_empty();
        answered && self.status == StatusCode::NOT_FOUND && !serde_json::from_slice(&self.body).is_ok_and(has_code)
    }

    /// The summary as `Display` has it: of a 403 only up to the scopes that are missing, in one line.
    fn told(&self) -> Cow<'_, str> {
        let mut parts = self.summary().split("```");
        match (&self.missing_scopes, parts.next(), parts.next()) {
            (Some(_), Some(before), Some(scopes)) => {
                let words: Vec<&str> = before.split_whitespace().chain(scopes.split_whitespace()).collect();
                words.join(" ").into()
            }
            _ => self.summary().into(),
        }
    }
}

impl std::error::Error for ApiError {}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = self.operation {
            write!(f, "{operation}: ")?;
        }
        write!(f, "{} ({})", self.code, self.status.as_u16())?;
        if self.anonymous && matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            f.write_str(
                " to an anonymous call (no credentials such as TASKCLUSTER_CLIENT_ID and TASKCLUSTER_ACCESS_TOKEN)",
            )?;
        }
        let told = self.told();
        if !told.is_empty() {
            write!(f, ": {told}")?;
        }
        if self.is_of_nobody()
            && let Some(operation) = self.operation
        {
            let Operation { service, version, .. } = operation;
            write!(f, " (there may be no service {service}/{version} at this root URL)")?;
        }
        f.write_str(&super::times(self.attempts))
    }
}

/// Without the request's payload and the body, which may hold what you sent.
impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError")
            .field("operation", &self.operation.map(ToString::to_string))
            .field("status", &self.status.as_u16())
            .field("code", &self.code)
            .field("message", &self.message)
            .field("missing_scopes", &self.missing_scopes)
            .field("attempts", &self.attempts)
            .field("retry_after", &self.retry_after)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// The first characters of a body that is not JSON, for a message.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(400)]);
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The expression in a 403's message. The services fence it: first what is missing, then all that is needed; without
/// credentials only the latter.
fn missing_scopes(status: StatusCode, message: &str) -> Option<ScopeExpression> {
    if status != StatusCode::FORBIDDEN {
        return None;
    }
    let (_, after) = message.split_once("```")?;
    let (fenced, _) = after.split_once("```")?;
    let fenced = fenced.trim();
    if fenced.is_empty() {
        return None;
    }
    // A scope stands bare, and may itself look like anything.
    Some(serde_json::from_str(fenced).unwrap_or_else(|_| ScopeExpression::Scope(fenced.to_owned())))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::operation::{Method, Stability};
    use serde_json::json;

    pub(crate) static STATUS: Operation = Operation {
        service: "queue",
        version: "v1",
        name: "status",
        method: Method::Get,
        route: "/task/<taskId>/status",
        args: &["taskId"],
        query: &[],
        input: None,
        output: None,
        scopes: None,
        idempotent: true,
        stability: Stability::Stable,
    };

    const FOOTER: &str =
        "\n\n---\n\n* method:     status\n* errorCode:  X\n* statusCode: 4\n* time:       2026-01-02T03:04:05.000Z";

    fn parse(status: u16, body: &impl ToString) -> ApiError {
        ApiError::parse(&STATUS, StatusCode::from_u16(status).unwrap(), 1, body.to_string().into())
    }

    #[test]
    fn the_usual_form_is_read_whole() {
        let message = format!("Task not found{FOOTER}");
        let info =
            json!({"method": "status", "params": {"taskId": "x"}, "payload": {}, "time": "2026-01-02T03:04:05.000Z"});
        let error = parse(404, &json!({"code": "ResourceNotFound", "message": message, "requestInfo": info}));
        assert_eq!(error.code, ErrorCode::ResourceNotFound);
        assert_eq!(error.message, message);
        assert_eq!(error.request_info.as_ref().unwrap()["params"]["taskId"], "x");
        assert_eq!(error.to_string(), "queue.status: ResourceNotFound (404): Task not found");
    }

    #[test]
    fn other_forms_give_what_they_have() {
        let error = parse(424, &json!({"reason": "file-missing-on-worker", "message": "no such file"}));
        assert_eq!((error.code.as_str(), error.message.as_str()), ("status-424", "no such file"));
        let of_nobody = parse(404, &json!({"error": "Not found"}));
        assert_eq!(of_nobody.message, "Not found");
        assert!(of_nobody.to_string().ends_with("Not found (there may be no service queue/v1 at this root URL)"));
        let error = parse(502, &"<html>\r\n<h1>Bad Gateway</h1>");
        assert_eq!(error.to_string(), "queue.status: status-502 (502): <html><h1>Bad Gateway</h1>");
        assert_eq!(parse(503, &"").to_string(), "queue.status: status-503 (503)");
        assert_eq!(parse(400, &json!({"code": 1})).code.as_str(), "status-400");
    }

    #[test]
    fn the_missing_scopes_of_a_403_are_found() {
        let with_client = "Client ID x does not have sufficient scopes and is missing the following scopes:\n\n\
            ```\n{\n  \"AllOf\": [\"a\", \"b\"]\n}\n```\n\n\
            This request requires the client to satisfy the following scope expression:\n\n\
            ```\n{\"AllOf\": [\"a\", \"b\", \"c\"]}\n```";
        let error = ApiError::new(403, "InsufficientScopes", format!("{with_client}{FOOTER}"));
        assert_eq!(
            error.to_string(),
            "InsufficientScopes (403): Client ID x does not have sufficient scopes and is missing the following scopes: \
             { \"AllOf\": [\"a\", \"b\"] }"
        );
        assert_eq!(error.missing_scopes.unwrap().scopes(), ["a", "b"]);

        let bare = "is missing the following scopes:\n\n```\nqueue:task:x y\n```\n\n…\n\n```\nqueue:task:x y\n```";
        let error = ApiError::new(403, "InsufficientScopes", bare);
        assert_eq!(error.missing_scopes, Some(ScopeExpression::Scope("queue:task:x y".into())));

        assert_eq!(ApiError::new(403, "InsufficientScopes", "no fence").missing_scopes, None);
        assert_eq!(ApiError::new(400, "InputError", bare).missing_scopes, None);
    }
}
