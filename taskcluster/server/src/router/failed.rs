//! Failures as callers see them.

use axum::response::Response;
use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use taskcluster_core::operation::Operation;
use taskcluster_core::time::Timestamp;

use super::json_response;
use crate::Failure;

/// Properties of a body whose value an error never repeats.
const SECRETS: [&str; 4] = ["accessToken", "authorization", "certificate", "secret"];

/// A body larger than this is not repeated: its sender knows it, and who may not even call should not get it sent back.
const MAX_REPEATED: usize = 256 * 1024;

/// What an error says about the request that it answers.
#[derive(Debug)]
pub(super) struct Context {
    operation: &'static Operation,
    arguments: Vec<String>,
    body: Bytes,
}

impl Context {
    pub(super) fn of(operation: &'static Operation, body: Bytes, arguments: Vec<String>) -> Self {
        Self { operation, arguments, body }
    }

    fn params(&self) -> Map<String, Value> {
        let pairs = self.operation.args.iter().zip(&self.arguments);
        pairs.map(|(name, value)| ((*name).to_owned(), Value::from(value.as_str()))).collect()
    }

    /// The body once more: it is parsed again, so that requests that succeed pay nothing.
    fn payload(&self) -> Value {
        if self.body.len() > MAX_REPEATED {
            return Value::from(format!("({} bytes, not repeated)", self.body.len()));
        }
        let mut payload = serde_json::from_slice(&self.body).unwrap_or_else(|_| json!({}));
        if let Value::Object(object) = &mut payload {
            for name in SECRETS {
                if let Some(secret) = object.get_mut(name) {
                    *secret = Value::from("(hidden)");
                }
            }
        }
        payload
    }
}

/// The answer for a failure; an internal one is logged here, and only here.
pub(super) fn response(context: &Context, failure: &Failure, now: Timestamp) -> Response {
    let status = failure.status();
    if let Some((incident, cause)) = failure.incident() {
        tracing::error!(operation = context.operation.name, %incident, error = cause, "internal error: {cause}");
    }
    if let Some(body) = failure.custom_body() {
        return json_response(status, body.to_string());
    }
    let code = failure.code().unwrap_or("InternalServerError");
    let method = context.operation.name;
    let message = format!(
        "{}\n\n---\n\n* method:     {method}\n* errorCode:  {code}\n* statusCode: {}\n* time:       {now}",
        failure.message(),
        status.as_u16(),
    );
    let body = json!({
        "code": code,
        "message": message,
        "requestInfo": {
            "method": method,
            "params": context.params(),
            "payload": context.payload(),
            "time": now.to_string(),
        },
    });
    let mut response = json_response(status, body.to_string());
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("hawk"));
    }
    response
}
