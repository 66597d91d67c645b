//! A service as its callers see it: a tiny hand-written reference, and the runtime around it.

mod tiny;

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tiny::{Answer, Tiny};

const ID: &str = "fN1SbArXTPSVFNUvaOlinQ";

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn signed(path: &str) -> Request<Body> {
    Request::get(path).header("authorization", "Hawk id").body(Body::empty()).unwrap()
}

fn put(path: &str, body: &Value) -> Request<Body> {
    Request::put(path)
        .header("authorization", "Hawk id")
        .header("content-type", "application/json; charset=utf-8")
        .body(Body::from(body.to_string()))
        .unwrap()
}

async fn code(answer: Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.json()["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn an_operation_is_answered() {
    let tiny = Tiny::new();
    let answer = tiny.send(put(&format!("/api/tiny/v1/thing/{ID}"), &json!({ "name": "x" }))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["thingId"], ID);
    assert_eq!(body["by"], "tester");
    // The default of the schema was filled in, in the typed value and in the text.
    assert_eq!(body["size"], 3);
    assert_eq!(body["text"], r#"{"name":"x","size":3}"#);
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
}

#[tokio::test]
async fn a_whole_number_may_be_written_as_a_fraction() {
    let tiny = Tiny::new();
    let path = format!("/api/tiny/v1/thing/{ID}");
    let answer = tiny.send(put(&path, &json!({ "name": "x", "size": 2.0 }))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.json()["size"], 2);
    assert_eq!(answer.json()["text"], r#"{"name":"x","size":2}"#);
    let answer = tiny.send(put(&path, &json!({ "name": "x", "size": 2.5 }))).await;
    assert_eq!(code(answer).await, (400, "InputValidationError".into()));
}

#[tokio::test]
async fn every_answer_has_the_headers_of_the_platform() {
    let tiny = Tiny::new();
    let mut request = get("/api/tiny/v1/nothing-there");
    request.headers_mut().insert("x-taskcluster-trace-id", "trace-1".parse().unwrap());
    for answer in [tiny.send(request).await, tiny.send(get("/api/tiny/v1/ping")).await] {
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        assert_eq!(answer.headers["access-control-max-age"], "900");
        assert_eq!(answer.headers["cache-control"], "no-store no-cache must-revalidate");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        // The root URL of these tests has TLS.
        assert_eq!(answer.headers["strict-transport-security"], "max-age=7776000");
        assert!(!answer.headers["x-for-request-id"].is_empty());
        assert!(!answer.headers["x-for-trace-id"].is_empty());
        assert!(answer.headers["date"].to_str().unwrap().ends_with(" GMT"));
    }
}

#[tokio::test]
async fn the_date_is_the_services_own() {
    use taskcluster_core::clock::ManualClock;
    let clock = ManualClock::at("2031-02-03T04:05:06.789Z".parse().unwrap());
    let tiny = Tiny::with_clock(clock.shared());
    assert_eq!(tiny.send(get("/api/tiny/v1/things")).await.headers["date"], "Mon, 03 Feb 2031 04:05:06 GMT");
    clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(tiny.send(get("/api/tiny/v1/nothing")).await.headers["date"], "Mon, 03 Feb 2031 04:06:06 GMT");
}

#[tokio::test]
async fn the_trace_id_comes_back() {
    let tiny = Tiny::new();
    let mut request = get("/api/tiny/v1/ping");
    request.headers_mut().insert("x-taskcluster-trace-id", "trace-1".parse().unwrap());
    assert_eq!(tiny.send(request).await.headers["x-for-trace-id"], "trace-1");
}

#[tokio::test]
async fn scopes_of_the_path_are_checked_before_the_path() {
    let tiny = Tiny::new();
    assert_eq!(code(tiny.send(get("/api/tiny/v1/thing/malformed")).await).await, (403, "InsufficientScopes".into()));
    let answer = tiny.send(signed("/api/tiny/v1/thing/malformed")).await;
    assert_eq!(code(answer).await, (400, "InvalidRequestArguments".into()));
}

#[tokio::test]
async fn a_refusal_shows_what_is_missing_and_what_is_needed() {
    let tiny = Tiny::with_scopes(["tiny:get:other"]);
    let answer = tiny.send(signed(&format!("/api/tiny/v1/thing/{ID}"))).await;
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("Client ID tester does not have sufficient scopes"), "{message}");
    assert_eq!(message.matches(&format!("tiny:get:{ID}")).count(), 2, "{message}");

    let answer = tiny.send(get(&format!("/api/tiny/v1/thing/{ID}"))).await;
    assert!(answer.json()["message"].as_str().unwrap().contains("requires Taskcluster credentials"));
}

#[tokio::test]
async fn a_body_is_checked_before_deferred_scopes() {
    let tiny = Tiny::with_scopes(["nothing"]);
    let path = format!("/api/tiny/v1/thing/{ID}");
    let answer = tiny.send(put(&path, &json!({ "name": 1, "odd": true }))).await;
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert_eq!(code(answer).await, (400, "InputValidationError".into()));
    assert!(message.contains("odd") && message.contains("/name"), "{message}");
    assert_eq!(code(tiny.send(put(&path, &json!({ "name": "x" }))).await).await, (403, "InsufficientScopes".into()));
    assert_eq!(
        code(tiny.send(put(&path, &json!({ "name": "missing" }))).await).await,
        (404, "ResourceNotFound".into())
    );
}

#[tokio::test]
async fn a_body_must_be_json_and_there() {
    let tiny = Tiny::new();
    let path = format!("/api/tiny/v1/thing/{ID}");
    let request = |content_type: &str, body: &'static str| {
        Request::put(&path).header("content-type", content_type).body(Body::from(body)).unwrap()
    };
    for request in [
        request("text/plain", r#"{"name": "x"}"#),
        request("application/json", ""),
        request("application/json", "{"),
        request("application/json", "3"),
        request("application/json", "\"text\""),
    ] {
        assert_eq!(code(tiny.send(request).await).await, (400, "MalformedPayload".into()));
    }
}

#[tokio::test]
async fn a_method_without_a_body_ignores_one() {
    let tiny = Tiny::new();
    let mut request = signed(&format!("/api/tiny/v1/thing/{ID}"));
    *request.body_mut() = Body::from("{ not json");
    assert_eq!(tiny.send(request).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_body_may_be_of_ten_megabytes_and_no_more() {
    let tiny = Tiny::new();
    let path = format!("/api/tiny/v1/thing/{ID}");
    let body = |size: usize| {
        Request::put(&path).header("content-type", "application/json").body(Body::from(vec![b' '; size])).unwrap()
    };
    let answer = tiny.send(body(10 * 1024 * 1024)).await;
    assert_eq!(code(answer).await, (400, "MalformedPayload".into()));
    let answer = tiny.send(body(10 * 1024 * 1024 + 1)).await;
    assert_eq!(answer.json()["requestInfo"]["params"], json!({ "thingId": ID }));
    assert_eq!(code(answer).await, (413, "InputTooLarge".into()));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_given_up() {
    let request = Request::put(format!("/api/tiny/v1/thing/{ID}")).header("content-type", "application/json");
    let never = Body::from_stream(futures_util::stream::pending::<Result<&str, std::io::Error>>());
    let answer = Tiny::new().send(request.body(never).unwrap()).await;
    assert_eq!(code(answer).await, (400, "MalformedPayload".into()));
}

/// As `put`, with much white space.
fn put_large(path: &str, body: &Value) -> Request<Body> {
    let mut request = put(path, body);
    *request.body_mut() = Body::from(format!("{}{body}", " ".repeat(512 * 1024)));
    request
}

#[tokio::test]
async fn a_large_body_is_answered_like_any_other_but_not_repeated() {
    let tiny = Tiny::new();
    let path = format!("/api/tiny/v1/thing/{ID}");
    let answer = tiny.send(put_large(&path, &json!({ "name": "x" }))).await;
    assert_eq!((answer.status, &answer.json()["size"]), (StatusCode::OK, &json!(3)), "{}", answer.text());
    let answer = tiny.send(put_large(&path, &json!({ "name": "missing" }))).await;
    assert_eq!(answer.json()["requestInfo"]["payload"], "(524306 bytes, not repeated)");
    assert_eq!(code(answer).await, (404, "ResourceNotFound".into()));
}

/// This test has a single thread, and the handler of the large request keeps one.
#[tokio::test]
async fn a_large_body_does_not_keep_others_waiting() {
    let tiny = Tiny::new();
    let large = tiny.send(put_large(&format!("/api/tiny/v1/thing/{ID}"), &json!({ "name": "busy" })));
    let others = async {
        assert_eq!(tiny.send(get("/api/tiny/v1/things")).await.status, StatusCode::OK);
        tokio::task::spawn_blocking(|| tiny::BUSY.wait()).await.unwrap();
    };
    let (large, ()) = tokio::join!(large, others);
    assert_eq!(large.status, StatusCode::OK, "{}", large.text());
}

#[tokio::test]
async fn an_error_says_which_request_failed() {
    let tiny = Tiny::new();
    let answer = tiny.send(put(&format!("/api/tiny/v1/thing/{ID}"), &json!({ "name": "missing" }))).await;
    let body = answer.json();
    let request = &body["requestInfo"];
    assert_eq!(request["method"], "putThing");
    assert_eq!(request["params"], json!({ "thingId": ID }));
    assert_eq!(request["payload"], json!({ "name": "missing" }));
    assert_eq!(request["time"].as_str().unwrap().len(), "2026-01-01T00:00:00.000Z".len());
    let message = body["message"].as_str().unwrap();
    let (text, footer) = message.split_once("\n\n---\n\n").unwrap();
    assert_eq!(text, "There is no such thing.");
    let lines: Vec<&str> = footer.lines().collect();
    assert_eq!(lines[..3], ["* method:     putThing", "* errorCode:  ResourceNotFound", "* statusCode: 404"]);
    assert!(lines[3].starts_with("* time:       "));
}

#[tokio::test]
async fn queries_are_checked() {
    let tiny = Tiny::new();
    for (query, status) in [
        ("", 200),
        ("?limit=5", 200),
        ("?limit=0", 400),
        ("?limit=x", 400),
        ("?limit=1&limit=2", 400),
        ("?unknown=1", 400),
        ("?continuationToken=", 400),
        ("?prefix=", 200),
        ("?bewit=abc", 200),
    ] {
        let answer = tiny.send(get(&format!("/api/tiny/v1/things/{query}"))).await;
        assert_eq!(answer.status.as_u16(), status, "{query}: {}", answer.text());
    }
    let answer = tiny.send(get("/api/tiny/v1/things/?limit=99999&prefix=a%2Fb")).await;
    assert_eq!(answer.json(), json!({ "limit": 1000, "prefix": "a/b" }));
}

#[tokio::test]
async fn paths_are_lenient_where_the_platform_is() {
    let tiny = Tiny::new();
    for path in [
        "/api/tiny/v1/file/public/build/log.txt",
        "/api/tiny/v1/file/public%2Fbuild%2Flog.txt",
        "/api/tiny/v1/file/public%2Fbuild/log.txt",
    ] {
        assert_eq!(tiny.send(get(path)).await.json()["name"], "public/build/log.txt", "{path}");
    }
    assert_eq!(tiny.send(get("/api/tiny/v1/file/a%20b")).await.json()["name"], "a b");
    assert_eq!(code(tiny.send(get("/api/tiny/v1/file/")).await).await, (400, "InvalidRequestArguments".into()));
    assert_eq!(code(tiny.send(get("/api/tiny/v1/file/%FF")).await).await, (400, "InvalidRequestArguments".into()));
    for path in ["/api/tiny/v1/things", "/api/tiny/v1/things/"] {
        assert_eq!(tiny.send(get(path)).await.status, StatusCode::OK, "{path}");
    }
    let answer = tiny.send(signed(&format!("/api/tiny/v1/thing/{ID}/"))).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(tiny.send(get("/api/tiny/v1/THINGS")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn unknown_paths_have_an_error_of_their_own_shape() {
    let tiny = Tiny::new();
    for path in
        ["/api/tiny/v1/nothing", "/api/tiny/v1", "/api/tiny/v2/things", "/somewhere", "/schemas/tiny/v1/none.json"]
    {
        let answer = tiny.send(get(path)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.json(), json!({ "error": "Not found" }), "{path}");
    }
    let answer = tiny.send(Request::post("/api/tiny/v1/things").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn head_and_options_are_answered() {
    let tiny = Tiny::new();
    let answer = tiny.send(Request::head("/api/tiny/v1/things").body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, String::new()));
    let answer = tiny.send(Request::options(format!("/api/tiny/v1/thing/{ID}")).body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    let mut methods: Vec<&str> = answer.headers["allow"].to_str().unwrap().split(',').collect();
    methods.sort_unstable();
    assert_eq!(methods, ["DELETE", "GET", "PUT"]);
}

#[tokio::test]
async fn an_answer_without_a_value_is_a_204() {
    let tiny = Tiny::new();
    let request = Request::delete(format!("/api/tiny/v1/thing/{ID}")).body(Body::empty()).unwrap();
    let answer = tiny.send(request).await;
    assert_eq!((answer.status, answer.text()), (StatusCode::NO_CONTENT, String::new()));
}

#[tokio::test]
async fn a_reply_chooses_its_status_and_headers() {
    let tiny = Tiny::new();
    let answer = tiny.send(get("/api/tiny/v1/moved")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.headers["location"], "https://elsewhere.example/");
    let answer = tiny.send(get("/api/tiny/v1/file/broken")).await;
    assert_eq!(answer.status.as_u16(), 424);
    assert_eq!(answer.json(), json!({ "reason": "broken" }));
}

#[tokio::test]
async fn a_reply_may_be_anything_but_json() {
    let answer = Tiny::new().send(get("/api/tiny/v1/picture")).await;
    assert_eq!((answer.status, &*answer.text()), (StatusCode::OK, "<svg/>"));
    let types: Vec<_> = answer.headers.get_all("content-type").iter().collect();
    assert_eq!(types, ["image/svg+xml"]);
}

#[tokio::test]
async fn our_own_mistakes_are_500_and_say_nothing() {
    let tiny = Tiny::new();
    for name in ["internal", "panic", "bad-output"] {
        let answer = tiny.send(get(&format!("/api/tiny/v1/file/{name}"))).await;
        assert_eq!(code(answer.clone()).await, (500, "InternalServerError".into()), "{name}");
        assert!(!answer.text().contains("hunter2"), "{}", answer.text());
        assert!(answer.text().contains("incident"));
    }
}

#[tokio::test]
async fn a_handler_that_forgets_to_ask_for_scopes_does_not_answer() {
    let tiny = Tiny::new();
    let answer = tiny.send(put(&format!("/api/tiny/v1/thing/{ID}"), &json!({ "name": "forgetful" }))).await;
    assert_eq!(code(answer).await, (500, "InternalServerError".into()));
}

#[tokio::test]
async fn credentials_are_looked_at_once_and_only_if_needed() {
    let tiny = Tiny::new();
    tiny.send(signed("/api/tiny/v1/things")).await;
    assert_eq!(tiny.asked(), 0, "a public method");
    tiny.send(signed(&format!("/api/tiny/v1/thing/{ID}"))).await;
    assert_eq!(tiny.asked(), 1);
    tiny.send(put(&format!("/api/tiny/v1/thing/{ID}"), &json!({ "name": "x" }))).await;
    assert_eq!(tiny.asked(), 2, "the handler asks for scopes and for the client");
}

#[tokio::test]
async fn invalid_credentials_are_refused() {
    let tiny = Tiny::new();
    let both = Request::get(format!("/api/tiny/v1/thing/{ID}?bewit=x")).header("authorization", "Hawk id");
    let answer = tiny.send(both.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.headers["www-authenticate"], "hawk");
    assert_eq!(code(answer).await, (401, "AuthenticationFailed".into()));
    assert_eq!(tiny.asked(), 0);

    let bad = Request::get(format!("/api/tiny/v1/thing/{ID}")).header("authorization", "bad");
    assert_eq!(code(tiny.send(bad.body(Body::empty()).unwrap()).await).await, (401, "AuthenticationFailed".into()));
    let down = Request::get(format!("/api/tiny/v1/thing/{ID}")).header("authorization", "down");
    assert_eq!(code(tiny.send(down.body(Body::empty()).unwrap()).await).await, (500, "InternalServerError".into()));
}

#[tokio::test]
async fn a_signed_body_must_be_the_one_that_arrived() {
    let tiny = Tiny::new();
    let body = json!({ "name": "x" }).to_string();
    let hash = taskcluster_core::hawk::payload_hash("application/json", body.as_bytes());
    let send = async |body: String| {
        let request = Request::put(format!("/api/tiny/v1/thing/{ID}"))
            .header("authorization", format!("hash {hash}"))
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        tiny.send(request).await.status.as_u16()
    };
    assert_eq!(send(body).await, 200);
    assert_eq!(send(json!({ "name": "y" }).to_string()).await, 401);
}

#[tokio::test]
async fn long_answers_are_compressed_for_those_who_accept_it() {
    let tiny = Tiny::new();
    let request = |path: &str| Request::get(path).header("accept-encoding", "gzip").body(Body::empty()).unwrap();
    let long = format!("/api/tiny/v1/file/{}", "x".repeat(1024));
    assert_eq!(tiny.send(request(&long)).await.headers["content-encoding"], "gzip");
    assert!(!tiny.send(request("/api/tiny/v1/file/x")).await.headers.contains_key("content-encoding"));
    assert!(!tiny.send(get(&long)).await.headers.contains_key("content-encoding"));
}

#[tokio::test]
async fn every_process_says_how_it_is() {
    let tiny = Tiny::new();
    let alive = tiny.send(get("/api/tiny/v1/ping")).await.json();
    assert_eq!(alive["alive"], true);
    assert!(alive["uptime"].is_number());
    for path in ["/api/tiny/v1/__heartbeat__", "/api/tiny/v1/__lbheartbeat__", "/__heartbeat__", "/__lbheartbeat__"] {
        assert_eq!(tiny.send(get(path)).await.json(), json!({}), "{path}");
    }
    for path in ["/api/tiny/v1/__version__", "/__version__"] {
        assert_eq!(tiny.send(get(path)).await.json()["version"], "1.2.3", "{path}");
    }
    assert!(tiny.send(get("/robots.txt")).await.text().contains("Disallow: /"));
}

#[tokio::test]
async fn a_service_publishes_what_describes_it() {
    let tiny = Tiny::new();
    let manifest = tiny.send(get("/references/manifest.json")).await;
    assert_eq!(manifest.headers["access-control-allow-origin"], "*");
    assert_eq!(manifest.json()["references"], json!(["https://tc.example/references/tiny/v1/api.json"]));
    let reference = tiny.send(get("/references/tiny/v1/api.json")).await;
    assert_eq!(reference.json()["serviceName"], "tiny");
    let schema = tiny.send(get("/schemas/tiny/v1/thing.json")).await;
    assert_eq!(schema.json()["$id"], "https://tc.example/schemas/tiny/v1/thing.json#");
    assert_eq!(tiny.send(get("/schemas/common/metaschema.json")).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_over_a_socket() {
    use taskcluster_core::transport::http::HttpTransport;
    use taskcluster_core::transport::{Body, Transport};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}/api/tiny/v1", listener.local_addr().unwrap());
    let server = tokio::spawn(axum::serve(listener, Tiny::new().router()).into_future());
    let transport = Transport::new(HttpTransport::new().unwrap());
    let send = async |request: http::request::Builder, body: Body| {
        let answer = transport.send(request.body(body).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.into_body().collect(1024 * 1024).await.unwrap())
    };

    let (status, body) = send(Request::get(format!("{root}/file/a%2Fb")), Body::empty()).await;
    assert_eq!((status, &body[..]), (200, &br#"{"name":"a/b"}"#[..]));
    let (status, body) = send(Request::head(format!("{root}/things")), Body::empty()).await;
    assert_eq!((status, body.len()), (200, 0));

    // The caller is told, although it is still sending.
    let large = Request::put(format!("{root}/thing/{ID}")).header("content-type", "application/json");
    let (status, body) = send(large, Body::from(vec![b' '; 20 * 1024 * 1024])).await;
    assert_eq!(status, 413, "{}", String::from_utf8_lossy(&body));
    server.abort();
}
