//! Interceptors: what they see of calls, and what they can do to them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use taskcluster_core::intercept::{Attempted, Interceptor, Ongoing, Outcome};
use taskcluster_core::transport::testing::{Answer, ScriptedTransport};
use taskcluster_core::transport::{BoxError, Transport, TransportError, TransportErrorKind};
use taskcluster_core::{
    Body, Caller, CallerBuilder, Credentials, Error, Method, Operation, Request, RetryPolicy, Stability, chain,
};
use tokio::time::{Instant, sleep};

static GET: Operation = Operation {
    service: "queue",
    version: "v1",
    name: "thing",
    method: Method::Get,
    route: "/things/<name>",
    args: &["name"],
    query: &[],
    input: None,
    output: Some("v1/thing.json#"),
    scopes: None,
    idempotent: true,
    stability: Stability::Stable,
};
static POST: Operation = Operation { name: "addThing", method: Method::Post, idempotent: false, ..GET };

fn builder(script: &ScriptedTransport) -> CallerBuilder {
    Caller::builder("https://tc.example.com")
        .retry(RetryPolicy::default().with_base(Duration::from_secs(1)).with_jitter(0.0))
        .transport(script)
}

fn get(caller: &Caller) -> Request<Value> {
    Request::new(caller, &GET, &[&"a b"])
}

/// Writes down what it sees, under its name.
#[derive(Clone)]
struct Witness(&'static str, Arc<Mutex<Vec<String>>>);

impl Witness {
    fn says(&self, what: &str) {
        self.1.lock().unwrap().push(format!("{}: {what}", self.0));
    }
}

fn told(outcome: Outcome<'_>) -> String {
    match outcome {
        Outcome::Failed(error) => chain(error).to_string(),
        other => format!("{other:?}"),
    }
}

impl Interceptor for Witness {
    async fn before_call(&self, call: &mut Ongoing) -> Result<(), BoxError> {
        self.says(&format!("before {} {} at {}", call.operation(), call.path(), call.target()));
        Ok(())
    }

    async fn before_attempt(&self, call: &mut Ongoing) -> Result<(), TransportError> {
        self.says(&format!("attempt {}", call.attempts()));
        Ok(())
    }

    fn after_attempt(&self, call: &Ongoing, attempt: Attempted<'_>) {
        let (number, again) = (call.attempts(), attempt.again_after.map(|time| time.as_secs()));
        self.says(&format!("{number}: {:?}, again after {again:?}", attempt.outcome.status()));
    }

    fn after_call(&self, call: &Ongoing, outcome: Outcome<'_>) {
        let took = call.elapsed().as_secs();
        self.says(&format!("after {} attempts and {took} s: {}", call.attempts(), told(outcome)));
    }
}

fn witnesses() -> (Witness, Witness, Arc<Mutex<Vec<String>>>) {
    let log = Arc::default();
    (Witness("outer", Arc::clone(&log)), Witness("inner", Arc::clone(&log)), log)
}

#[tokio::test(start_paused = true)]
async fn a_call_is_seen_once_and_each_of_its_attempts() {
    let script = ScriptedTransport::new().on("queue.thing", Answer::error(503, "", "busy")).on("queue.thing", json!(1));
    let (outer, inner, log) = witnesses();
    let caller = builder(&script).intercept(outer).intercept(inner).build().unwrap();
    get(&caller.to_builder().build().unwrap()).await.unwrap();
    let log = log.lock().unwrap();
    assert_eq!(
        log.iter().map(String::as_str).collect::<Vec<_>>(),
        [
            "outer: before queue.thing /things/a%20b at https://tc.example.com",
            "inner: before queue.thing /things/a%20b at https://tc.example.com",
            "outer: attempt 1",
            "inner: attempt 1",
            "inner: 1: Some(503), again after Some(1)",
            "outer: 1: Some(503), again after Some(1)",
            "outer: attempt 2",
            "inner: attempt 2",
            "inner: 2: Some(200), again after None",
            "outer: 2: Some(200), again after None",
            "inner: after 2 attempts and 1 s: Answer(200)",
            "outer: after 2 attempts and 1 s: Answer(200)",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_came_of_a_call_is_told_however_it_ends() {
    let (outer, _, log) = witnesses();
    let last = || log.lock().unwrap().last().unwrap().clone();
    let script = ScriptedTransport::new().on("queue.thing", Answer::error(404, "ResourceNotFound", "nothing"));
    let caller = builder(&script).intercept(outer).build().unwrap();
    get(&caller).await.unwrap_err();
    assert!(last().starts_with("outer: after 1 attempts and 0 s: queue.thing: "), "{}", last());

    let never = ScriptedTransport::new().on("queue.thing", Answer::never());
    let caller = caller.to_builder().transport(&never).build().unwrap();
    get(&caller).deadline(Duration::from_secs(7)).await.unwrap_err();
    assert!(last().starts_with("outer: after 1 attempts and 7 s: queue.thing: no answer"), "{}", last());

    let odd = ScriptedTransport::new().on("queue.thing", json!("no number"));
    let odd = caller.to_builder().transport(&odd).build().unwrap();
    Request::<u32>::new(&odd, &GET, &[&"a"]).await.unwrap_err();
    assert!(last().starts_with("outer: after 1 attempts and 0 s: queue.thing: unexpected body"), "{}", last());

    let before = log.lock().unwrap().len();
    tokio::time::timeout(Duration::from_secs(3), get(&caller).into_future()).await.unwrap_err();
    assert_eq!(last(), "outer: after 1 attempts and 3 s: Dropped");
    assert_eq!(log.lock().unwrap().len(), before + 3, "before, attempt, after");
}

/// Adds headers, those of the call's own among them, and keeps something for a layer.
struct Labels;

#[derive(Clone, Debug, PartialEq)]
struct Kept(u32);

impl Interceptor for Labels {
    async fn before_call(&self, call: &mut Ongoing) -> Result<(), BoxError> {
        call.headers_mut().insert("x-team", "build".parse()?);
        call.headers_mut().append("x-team", "ci".parse()?);
        call.headers_mut().insert("user-agent", "mine/1".parse()?);
        for own in ["authorization", "content-type", "content-length", "host"] {
            call.headers_mut().insert(own, "x".parse()?);
        }
        call.extensions_mut().insert(Kept(7));
        Ok(())
    }
}

#[tokio::test]
async fn headers_are_added_to_each_attempt_and_the_calls_own_stay() {
    let script = ScriptedTransport::new().on("queue.addThing", json!(1));
    let kept = Arc::new(Mutex::new(None));
    let (seen, inner) = (Arc::clone(&kept), script.transport());
    let layer = Transport::new(tower::service_fn(move |request: http::Request<Body>| {
        *seen.lock().unwrap() = request.extensions().get::<Kept>().cloned();
        inner.send(request)
    }));
    let caller =
        builder(&script).credentials(Credentials::new("me", "t")).transport(layer).intercept(Labels).build().unwrap();
    Request::<Value>::new(&caller, &POST, &[&"a"]).with_body(&json!({})).await.unwrap();
    let headers = &script.calls()[0].headers;
    assert_eq!(headers.get_all("x-team").iter().collect::<Vec<_>>(), ["build", "ci"]);
    assert_eq!(headers["user-agent"], "mine/1");
    assert_eq!(headers["content-type"], "application/json");
    assert!(headers["authorization"].to_str().unwrap().starts_with("Hawk id=\"me\""));
    assert!(headers.get("host").is_none() && headers.get("content-length").is_none());
    assert_eq!(*kept.lock().unwrap(), Some(Kept(7)));
}

/// Lets no call pass.
struct Closed;

impl Interceptor for Closed {
    async fn before_call(&self, _: &mut Ongoing) -> Result<(), BoxError> {
        Err("it is Friday".into())
    }

    fn after_call(&self, _: &Ongoing, _: Outcome<'_>) {
        panic!("it did not begin here");
    }
}

#[tokio::test]
async fn a_refused_call_is_not_sent_and_those_around_hear_of_it() {
    let script = ScriptedTransport::new();
    let (outer, inner, log) = witnesses();
    let caller = builder(&script).intercept(outer).intercept(Closed).intercept(inner).build().unwrap();
    let error = get(&caller).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }) && !error.is_retryable());
    assert_eq!(chain(&error).to_string(), "queue.thing: refused before it was sent: it is Friday");
    assert!(script.calls().is_empty());
    let log = log.lock().unwrap();
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[1].ends_with("refused before it was sent: it is Friday"), "{log:?}");
}

/// Has the first attempt of each call fail.
struct Fault(TransportErrorKind);

impl Interceptor for Fault {
    async fn before_attempt(&self, call: &mut Ongoing) -> Result<(), TransportError> {
        if call.attempts() == 1 { Err(TransportError::new(self.0, "as the test wants")) } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn faults_can_be_put_in_and_are_repeated_as_real_ones_are() {
    let script = ScriptedTransport::new().on("queue.thing", json!(1)).on("queue.addThing", json!(1));
    for (operation, kind, passes) in [
        (&GET, TransportErrorKind::Interrupted, true),
        (&POST, TransportErrorKind::Interrupted, false),
        (&POST, TransportErrorKind::Connect, true),
        (&GET, TransportErrorKind::Request, false),
    ] {
        let before = script.calls().len();
        let caller = builder(&script).intercept(Fault(kind)).build().unwrap();
        let outcome = Request::<Value>::new(&caller, operation, &[&"a"]).await;
        assert_eq!(outcome.is_ok(), passes, "{operation} {kind}");
        assert_eq!(script.calls().len() - before, usize::from(passes));
    }
}

/// Lets calls wait before they begin.
struct Slow(Duration);

impl Interceptor for Slow {
    async fn before_call(&self, _: &mut Ongoing) -> Result<(), BoxError> {
        sleep(self.0).await;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_before_a_call_is_part_of_its_time() {
    let script = ScriptedTransport::new().on("queue.thing", json!(1));
    let caller = builder(&script).intercept(Slow(Duration::from_secs(120))).build().unwrap();
    let started = Instant::now();
    get(&caller).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(120));
    let error = get(&caller).deadline(Duration::from_secs(60)).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { attempts: 0, .. }), "{error}");
    assert_eq!(script.calls().len(), 1);
}

/// Looks at everything that there is to see.
struct Nosy(Arc<Mutex<String>>);

impl Nosy {
    fn looks(&self, call: &Ongoing, more: &str) {
        let (operation, path, target, headers) = (call.operation(), call.path(), call.target(), call.headers());
        *self.0.lock().unwrap() += &format!("{call:?} {operation} {path} {target} {headers:?} {more}\n");
    }
}

impl Interceptor for Nosy {
    async fn before_attempt(&self, call: &mut Ongoing) -> Result<(), TransportError> {
        self.looks(call, "");
        Ok(())
    }

    fn after_attempt(&self, call: &Ongoing, attempt: Attempted<'_>) {
        self.looks(call, &format!("{attempt:?}"));
    }

    fn after_call(&self, call: &Ongoing, outcome: Outcome<'_>) {
        self.looks(call, &format!("{outcome:?}"));
    }
}

#[tokio::test]
async fn interceptors_are_shown_no_secret() {
    let script = ScriptedTransport::new().on("queue.addThing", Answer::error(400, "InputError", "no"));
    let seen = Arc::default();
    let caller = builder(&script)
        .credentials(Credentials::new("me", "hunter2"))
        .intercept(Nosy(Arc::clone(&seen)))
        .build()
        .unwrap();
    let request = || Request::<Value>::new(&caller, &POST, &[&"a"]).with_body(&json!({ "secret": "hunter2" }));
    request().query("token", "hunter2").await.unwrap_err();
    let behind = caller.to_builder().proxy("http://127.0.0.1:1/hunter2").build().unwrap();
    Request::<Value>::new(&behind, &POST, &[&"a"]).await.unwrap_err();
    let sent = script.calls()[0].headers["authorization"].to_str().unwrap().to_owned();
    let mac = sent.split("mac=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let seen = seen.lock().unwrap();
    assert!(seen.lines().count() == 6 && seen.contains("http://127.0.0.1:1"), "{seen}");
    assert!(!seen.contains("hunter2") && !seen.contains(&mac), "{seen}");
}
