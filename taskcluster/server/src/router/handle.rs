//! One request, from its first byte to its answer. The order of the steps decides which error a caller sees.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::Value;
use taskcluster_core::scopes::Params;
use taskcluster_core::time::minutes;
use tracing::Instrument as _;

use super::{PreparedRoute, Served, beside, failed, json_response};
use crate::request::Received;
use crate::{Call, Failure, QueryValues, RawReply, arguments, headers, path};

/// The largest body that is read.
const MAX_BODY: usize = 10 * 1024 * 1024;

/// A larger one is read this far and thrown away: callers that are still sending do not see the answer.
const MAX_DRAINED: usize = 12 * MAX_BODY;

/// For how long a body may take to arrive. Who sends more slowly only wants to keep connections and memory busy.
const ARRIVAL: Duration = minutes(5);

/// Bodies above this size are worked on beside the threads that serve everybody: parsing and checking ten megabytes
/// keeps a thread busy for the better part of a second, and anybody may send them.
const LARGE_BODY: usize = 256 * 1024;

pub(super) async fn handle(served: Arc<Served>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut received = Received::new(&parts);
    received.headers = std::mem::take(&mut parts.headers);
    let path = parts.uri.path().strip_prefix(served.prefix.as_str()).unwrap_or_default();

    let Some((route, raw_arguments)) = served.find(&received.method, path) else {
        let mut response = served.answer_other(&received, path);
        headers::add(response.headers_mut(), &received.ids, served.clock.now());
        return response;
    };
    let (ids, began) = (received.ids.clone(), served.clock.now());
    let span = tracing::info_span!(
        "request",
        service = served.service,
        operation = route.operation.name,
        request.id = %ids.request,
        trace.id = %ids.trace,
    );
    async {
        let route = Arc::clone(route);
        let decoded: Option<Vec<String>> = raw_arguments.iter().map(|argument| path::decode(argument)).collect();
        let read = read_in_time(body).await;
        received.body = read.as_ref().cloned().unwrap_or_default();
        let is_large = received.body.len() > LARGE_BODY;
        let work = respond(Arc::clone(&served), route, received, decoded, read.err());
        let mut response = if is_large {
            beside::run(Arc::clone(&served.large), work.instrument(tracing::Span::current())).await
        } else {
            work.await
        };
        let now = served.clock.now();
        let duration_ms = u64::try_from(now.since(began).as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(status = response.status().as_u16(), duration_ms, "answered");
        headers::add(response.headers_mut(), &ids, now);
        response
    }
    .instrument(span)
    .await
}

/// The answer once the body was read, or could not be; the arguments are missing if they are no text.
async fn respond(
    served: Arc<Served>,
    route: Arc<PreparedRoute>,
    received: Received,
    arguments: Option<Vec<String>>,
    unread: Option<Failure>,
) -> Response {
    let context = failed::Context::of(route.operation, received.body.clone(), arguments.clone().unwrap_or_default());
    let answered = match (unread, arguments) {
        (Some(failure), _) => Err(failure),
        (None, None) => Err(Failure::invalid_arguments("A path argument is not UTF-8.")),
        (None, Some(arguments)) => answer(&served, &route, received, arguments).await,
    };
    match answered {
        Ok(reply) => success(reply),
        Err(failure) => failed::response(&context, &failure, served.clock.now()),
    }
}

/// The steps after the body was read.
async fn answer(
    served: &Served,
    route: &PreparedRoute,
    received: Received,
    arguments: Vec<String>,
) -> Result<RawReply, Failure> {
    let operation = route.operation;
    let body = parse(route, &received)?;
    let authorized = Arc::new(AtomicBool::new(operation.scopes.is_none()));
    let mut call = Call::new(
        operation,
        received,
        arguments,
        Arc::clone(&served.authenticator),
        Arc::clone(&served.clock),
        Arc::clone(&authorized),
    );
    if route.authorize_first {
        call.authorize(Params::new()).await?;
    }
    check_arguments(&call)?;
    call.query =
        QueryValues::parse(call.received.query(), operation.query).map_err(|faults| invalid_arguments(&faults))?;
    if let (Some(body), Some(schema)) = (body, route.input(&served.schemas).map_err(Failure::internal)?) {
        call.body = schema.accept(body).map_err(|violations| Failure::invalid_input(violations.to_string()))?;
    }
    let reply =
        AssertUnwindSafe((route.handler)(call)).catch_unwind().await.unwrap_or_else(|panic| Err(panicked(&*panic)))?;
    if !authorized.load(Ordering::Relaxed) {
        return Err(Failure::internal("the handler answered without having checked the scopes"));
    }
    if served.validate_output {
        check_output(served, route, &reply)?;
    }
    Ok(reply)
}

/// By the machine's own timer, not the service's clock: this is about the network.
async fn read_in_time(body: Body) -> Result<Bytes, Failure> {
    tokio::time::timeout(ARRIVAL, read(body)).await.unwrap_or_else(|_| {
        let minutes = ARRIVAL.as_secs() / 60;
        Err(Failure::malformed_payload(format!("The body did not arrive within {minutes} minutes.")))
    })
}

async fn read(mut body: Body) -> Result<Bytes, Failure> {
    let mut chunks: Vec<Bytes> = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::malformed_payload(format!("The body did not arrive: {error}")))?;
        let Ok(chunk) = frame.into_data() else { continue };
        length += chunk.len();
        if length <= MAX_BODY {
            chunks.push(chunk);
        } else if length > MAX_DRAINED {
            break;
        }
    }
    match chunks.as_slice() {
        _ if length > MAX_BODY => Err(Failure::input_too_large("The body of a request may hold at most 10 MB.")),
        [whole] => Ok(whole.clone()),
        chunks => Ok(chunks.concat().into()),
    }
}

/// The body as JSON, for an operation that takes one. Others ignore what is sent.
fn parse(route: &PreparedRoute, received: &Received) -> Result<Option<Value>, Failure> {
    if route.operation.input.is_none() {
        return Ok(None);
    }
    if !received.is_json() {
        return Err(Failure::malformed_payload("This method needs a body of content type 'application/json'."));
    }
    if received.body.is_empty() {
        return Err(Failure::malformed_payload("This method needs a body, and the request has none."));
    }
    match serde_json::from_slice(&received.body) {
        Ok(body @ (Value::Object(_) | Value::Array(_))) => Ok(Some(body)),
        Ok(_) => Err(Failure::malformed_payload("The body is neither a JSON object nor an array.")),
        Err(error) => Err(Failure::malformed_payload(format!("The body is not JSON: {error}"))),
    }
}

fn check_arguments(call: &Call) -> Result<(), Failure> {
    let faults: Vec<String> = call
        .operation
        .args
        .iter()
        .zip(&call.arguments)
        .filter_map(|(name, value)| {
            let pattern = arguments::path_pattern(name);
            let is_left_out = value.is_empty() && arguments::may_be_empty(call.operation.name, name);
            let fits = is_left_out || (pattern.matches)(value);
            (!fits).then(|| format!("path argument {name:?} has the value {value:?}: expected {}", pattern.text))
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(invalid_arguments(&faults)) }
}

fn invalid_arguments(faults: &[String]) -> Failure {
    let list: String = faults.iter().map(|fault| format!("\n  * {fault}")).collect();
    Failure::invalid_arguments(format!("The arguments of the request do not fit:\n{list}"))
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Failure::internal(format!("the handler panicked: {text}"))
}

fn check_output(served: &Served, route: &PreparedRoute, reply: &RawReply) -> Result<(), Failure> {
    let Some(schema) = route.output(&served.schemas).map_err(Failure::internal)? else { return Ok(()) };
    let Some(bytes) = reply.body.as_bytes().filter(|_| !reply.has_no_body()) else { return Ok(()) };
    let body: Value = serde_json::from_slice(bytes).map_err(Failure::internal)?;
    schema.check(&body).map_err(|violations| Failure::internal(format!("the answer breaks its schema: {violations}")))
}

fn success(reply: RawReply) -> Response {
    let mut response = if reply.has_no_body() {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = if reply.status == StatusCode::OK { StatusCode::NO_CONTENT } else { reply.status };
        response
    } else {
        json_response(reply.status, reply.body.into_bytes().map_or_else(Body::new, Body::from))
    };
    response.headers_mut().extend(reply.headers);
    response
}

impl RawReply {
    fn has_no_body(&self) -> bool {
        matches!(self.body.as_bytes(), Some(b"" | b"null"))
    }
}
