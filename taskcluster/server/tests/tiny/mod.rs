//! A service of a few operations, written by hand in the way in which the generator writes them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use taskcluster_core::clock::{SharedClock, SystemClock};
use taskcluster_core::ids::TaskId;
use taskcluster_core::operation::{BLOB, Method, Operation, Stability};
use taskcluster_core::scopes::{Params, ScopeTemplate};
use taskcluster_core::time::Timestamp;
use taskcluster_core::transport;
use taskcluster_server::{
    AuthOutcome, AuthRequest, Authenticator, Call, Failure, Parts, References, Reply, Route, Routes, ServiceRouter,
    site,
};
use tower::ServiceExt as _;

// What a reference says, as generated constants.
pub(crate) mod operations {
    use super::{BLOB, Method, Operation, ScopeTemplate, Stability};

    const fn operation(name: &'static str, method: Method, route: &'static str) -> Operation {
        Operation {
            service: "tiny",
            version: "v1",
            name,
            method,
            route,
            args: &[],
            query: &[],
            input: None,
            output: None,
            scopes: None,
            idempotent: true,
            stability: Stability::Stable,
        }
    }

    pub(crate) static PUT_THING: Operation = Operation {
        args: &["thingId"],
        input: Some("v1/thing.json#"),
        output: Some("v1/thing-answer.json#"),
        scopes: Some(&ScopeTemplate::Scope("tiny:put:<thingId>:<name>")),
        ..operation("putThing", Method::Put, "/thing/<thingId>")
    };
    pub(crate) static GET_THING: Operation = Operation {
        args: &["taskId"],
        scopes: Some(&ScopeTemplate::Scope("tiny:get:<taskId>")),
        ..operation("getThing", Method::Get, "/thing/<taskId>")
    };
    pub(crate) static DELETE_THING: Operation =
        Operation { args: &["taskId"], ..operation("deleteThing", Method::Delete, "/thing/<taskId>") };
    pub(crate) static LIST_THINGS: Operation = Operation {
        query: &["limit", "continuationToken", "prefix"],
        output: Some("v1/anything.json#"),
        ..operation("listThings", Method::Get, "/things/")
    };
    pub(crate) static GET_FILE: Operation = Operation {
        args: &["name"],
        output: Some("v1/file.json#"),
        ..operation("getFile", Method::Get, "/file/<name>")
    };
    pub(crate) static MOVED: Operation = operation("moved", Method::Get, "/moved");
    pub(crate) static PICTURE: Operation =
        Operation { output: Some(BLOB), ..operation("picture", Method::Get, "/picture") };
}

// What the schemas become.
#[derive(Debug, Deserialize)]
pub(crate) struct Thing {
    pub(crate) name: String,
    pub(crate) size: Option<u32>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ThingAnswer {
    pub(crate) thing_id: TaskId,
    pub(crate) by: String,
    pub(crate) size: u32,
    pub(crate) text: String,
}

#[derive(Debug)]
pub(crate) struct ListThingsQuery {
    pub(crate) prefix: Option<String>,
    pub(crate) limit: Option<u32>,
    pub(crate) continuation_token: Option<String>,
}

/// The generated trait.
#[async_trait]
pub(crate) trait TinyApi: Send + Sync + 'static {
    async fn put_thing(&self, call: &Call, thing_id: TaskId, payload: Thing) -> Result<Reply<ThingAnswer>, Failure>;
    async fn get_thing(&self, call: &Call, task_id: TaskId) -> Result<Reply<()>, Failure>;
    async fn delete_thing(&self, call: &Call, task_id: TaskId) -> Result<Reply<()>, Failure>;
    async fn list_things(&self, call: &Call, query: ListThingsQuery) -> Result<Reply<Value>, Failure>;
    async fn get_file(&self, call: &Call, name: String) -> Result<Reply<Value>, Failure>;
    async fn moved(&self, call: &Call) -> Result<Reply<()>, Failure>;
    async fn picture(&self, call: &Call) -> Result<Reply<transport::Body>, Failure>;
}

/// The generated router: what is typed happens here, what is long in the runtime.
pub(crate) fn router(api: &Arc<dyn TinyApi>) -> Routes {
    Routes::new("tiny", "v1")
        .with(Route::new(&operations::PUT_THING, {
            let api = Arc::clone(api);
            move |call| {
                let api = Arc::clone(&api);
                Box::pin(async move { api.put_thing(&call, call.argument(0)?, call.payload()?).await?.into_raw() })
            }
        }))
        .with(Route::new(&operations::GET_THING, {
            let api = Arc::clone(api);
            move |call| {
                let api = Arc::clone(&api);
                Box::pin(async move { api.get_thing(&call, call.argument(0)?).await?.into_raw() })
            }
        }))
        .with(Route::new(&operations::DELETE_THING, {
            let api = Arc::clone(api);
            move |call| {
                let api = Arc::clone(&api);
                Box::pin(async move { api.delete_thing(&call, call.argument(0)?).await?.into_raw() })
            }
        }))
        .with(Route::new(&operations::LIST_THINGS, {
            let api = Arc::clone(api);
            move |call| {
                let api = Arc::clone(&api);
                Box::pin(async move {
                    let query = ListThingsQuery {
                        prefix: call.query().text("prefix"),
                        limit: call.query().number("limit"),
                        continuation_token: call.query().text("continuationToken"),
                    };
                    api.list_things(&call, query).await?.into_raw()
                })
            }
        }))
        .with(Route::new(&operations::GET_FILE, {
            let api = Arc::clone(api);
            move |call| {
                let api = Arc::clone(&api);
                Box::pin(async move { api.get_file(&call, call.argument(0)?).await?.into_raw() })
            }
        }))
        .with(Route::new(&operations::MOVED, {
            let api = Arc::clone(api);
            move |call| {
                let api = Arc::clone(&api);
                Box::pin(async move { api.moved(&call).await?.into_raw() })
            }
        }))
        .with(Route::new(&operations::PICTURE, {
            let api = Arc::clone(api);
            move |call| {
                let api = Arc::clone(&api);
                Box::pin(async move { api.picture(&call).await?.into_blob() })
            }
        }))
}

/// Where a thing named `busy` waits for the test.
pub(crate) static BUSY: Barrier = Barrier::new(2);

/// The service itself.
struct Things;

#[async_trait]
impl TinyApi for Things {
    async fn put_thing(&self, call: &Call, thing_id: TaskId, payload: Thing) -> Result<Reply<ThingAnswer>, Failure> {
        if payload.name == "missing" {
            return Err(Failure::not_found("There is no such thing."));
        }
        if payload.name == "busy" {
            // As if there was much to compute: this thread can do nothing else.
            BUSY.wait();
        }
        if payload.name != "forgetful" {
            call.authorize(Params::new().text("name", payload.name.as_str())).await?;
        }
        let by = call.client_id().await?.to_owned();
        let size = payload.size.ok_or_else(|| Failure::internal("the default was not filled in"))?;
        Ok(ThingAnswer { thing_id, by, size, text: call.body_text().to_owned() }.into())
    }

    async fn get_thing(&self, _: &Call, _: TaskId) -> Result<Reply<()>, Failure> {
        Ok(Reply::new(()).with_status(200).with_header("x-thing", "yes"))
    }

    async fn delete_thing(&self, _: &Call, _: TaskId) -> Result<Reply<()>, Failure> {
        Ok(().into())
    }

    async fn list_things(&self, _: &Call, query: ListThingsQuery) -> Result<Reply<Value>, Failure> {
        assert_ne!(query.continuation_token.as_deref(), Some(""));
        Ok(json!({ "prefix": query.prefix, "limit": query.limit }).into())
    }

    async fn get_file(&self, _: &Call, name: String) -> Result<Reply<Value>, Failure> {
        match name.as_str() {
            "internal" => Err(Failure::internal("the password is hunter2")),
            "panic" => panic!("hunter2"),
            "bad-output" => Ok(json!({ "name": 3 }).into()),
            "broken" => Err(Failure::custom(424, json!({ "reason": "broken" }))),
            _ => Ok(json!({ "name": name }).into()),
        }
    }

    async fn moved(&self, _: &Call) -> Result<Reply<()>, Failure> {
        Ok(Reply::new(()).with_status(303).with_header("location", "https://elsewhere.example/"))
    }

    async fn picture(&self, _: &Call) -> Result<Reply<transport::Body>, Failure> {
        Ok(Reply::new(transport::Body::from("<svg/>")).with_header("content-type", "image/svg+xml"))
    }
}

/// Believes everybody but those who say that they lie, and counts how often it is asked.
struct Gullible {
    scopes: Vec<String>,
    asked: AtomicUsize,
}

#[async_trait]
impl Authenticator for Gullible {
    async fn authenticate(&self, request: &AuthRequest) -> AuthOutcome {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let expires = Timestamp::from_millis(4_000_000_000_000);
        let hash = match request.authorization.as_deref() {
            None => return AuthOutcome::None { scopes: Vec::new(), expires },
            Some("bad") => return AuthOutcome::Failed { message: "Bad mac".into() },
            Some("down") => return AuthOutcome::Unavailable { reason: "no connection".into() },
            Some(header) => header.strip_prefix("hash ").map(str::to_owned),
        };
        AuthOutcome::Success { client_id: "tester".into(), scopes: self.scopes.clone(), expires, hash }
    }
}

/// The service behind its router.
pub(crate) struct Tiny {
    router: Router,
    authenticator: Arc<Gullible>,
}

impl Tiny {
    pub(crate) fn new() -> Self {
        Self::with_scopes(["tiny:*"])
    }

    pub(crate) fn with_scopes<const N: usize>(scopes: [&str; N]) -> Self {
        Self::with(&scopes, SystemClock::shared())
    }

    pub(crate) fn with_clock(clock: SharedClock) -> Self {
        Self::with(&["tiny:*"], clock)
    }

    fn with(scopes: &[&str], clock: SharedClock) -> Self {
        let authenticator = Arc::new(Gullible {
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            asked: AtomicUsize::new(0),
        });
        let api: Arc<dyn TinyApi> = Arc::new(Things);
        let parts = Parts {
            root_url: "https://tc.example".into(),
            authenticator: authenticator.clone(),
            clock,
            references: references(),
            version: "1.2.3".into(),
        };
        let service = ServiceRouter::new(router(&api), parts).unwrap().validate_output(true);
        Self { router: site([service]), authenticator }
    }

    /// For whoever serves it.
    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    /// How often the authenticator was asked.
    pub(crate) fn asked(&self) -> usize {
        self.authenticator.asked.load(Ordering::Relaxed)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

fn references() -> References {
    References::from_files([
        ("tiny/v1/api.json", r#"{"serviceName": "tiny", "entries": []}"#.into()),
        (
            "tiny/v1/schemas/thing.json",
            r##"{"$schema": "/schemas/common/metaschema.json#", "$id": "/schemas/tiny/v1/thing.json#", "type": "object",
                "properties": {"name": {"type": "string"}, "size": {"type": "integer", "default": 3}},
                "required": ["name"], "additionalProperties": false}"##
                .into(),
        ),
        (
            "tiny/v1/schemas/thing-answer.json",
            r##"{"$id": "/schemas/tiny/v1/thing-answer.json#", "type": "object", "required": ["thingId"]}"##.into(),
        ),
        (
            "tiny/v1/schemas/file.json",
            r##"{"$id": "/schemas/tiny/v1/file.json#", "type": "object", "properties": {"name": {"type": "string"}}}"##
                .into(),
        ),
        ("tiny/v1/schemas/anything.json", r##"{"$id": "/schemas/tiny/v1/anything.json#"}"##.into()),
        ("common/schemas/metaschema.json", r##"{"$id": "/schemas/common/metaschema.json#"}"##.into()),
    ])
}
