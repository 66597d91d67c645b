//! `/references` and `/schemas`: what a deployment tells about its services.

use axum::body::Body;
use axum::response::Response;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use crate::References;

/// The answer to a request for one document.
pub(crate) fn document(references: &References, root_url: &str, method: &Method, path: &str) -> Response {
    match references.absolute(root_url, path) {
        Ok(document) => answer(method, StatusCode::OK, &document),
        Err(crate::ReferenceError::Missing(_)) => not_found(method),
        Err(error) => {
            tracing::error!(path, error = %error, "a reference cannot be published");
            answer(method, StatusCode::INTERNAL_SERVER_ERROR, &json!({ "error": "Internal error" }))
        }
    }
}

/// What an unknown path gets, outside the usual shape of errors.
pub(crate) fn not_found(method: &Method) -> Response {
    answer(method, StatusCode::NOT_FOUND, &json!({ "error": "Not found" }))
}

/// JSON for everybody.
pub(crate) fn answer(method: &Method, status: StatusCode, body: &Value) -> Response {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let (status, body) = match *method {
        Method::OPTIONS => (StatusCode::OK, String::new()),
        _ if reads => (status, body.to_string()),
        _ => (StatusCode::NOT_FOUND, json!({ "error": "Not found" }).to_string()),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    if *method == Method::OPTIONS {
        headers.insert(ALLOW, HeaderValue::from_static("GET,HEAD,OPTIONS"));
    }
    response
}
