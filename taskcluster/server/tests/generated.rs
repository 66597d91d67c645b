//! Generated traits and mocks behind the runtime, called by generated clients.
#![cfg(all(feature = "auth", feature = "queue"))]

use std::sync::Arc;

use serde_json::{Value, json};
use taskcluster::queue::{Queue, TaskDefinitionRequest};
use taskcluster_core::clock::SystemClock;
use taskcluster_core::ids::TaskId;
use taskcluster_core::scopes::Params;
use taskcluster_core::transport::in_process;
use taskcluster_core::{Caller, Credentials, RetryPolicy};
use taskcluster_server::authenticator::{Fixed, Remote};
use taskcluster_server::{Authenticator, Failure, Parts, References, Routes, ServiceRouter, auth, queue, site};

const ROOT_URL: &str = "https://tc.example";

fn service(routes: Routes, authenticator: impl Authenticator) -> ServiceRouter {
    let parts = Parts {
        root_url: ROOT_URL.into(),
        authenticator: Arc::new(authenticator),
        clock: SystemClock::shared(),
        references: References::embedded(),
        version: "0".into(),
    };
    ServiceRouter::new(routes, parts).unwrap()
}

fn caller(service: ServiceRouter) -> Caller {
    let transport = in_process(site([service]));
    let credentials = Credentials::new("tester", "no-secret");
    Caller::builder(ROOT_URL).transport(transport).credentials(credentials).retry(RetryPolicy::never()).build().unwrap()
}

fn status(task_id: TaskId) -> Value {
    json!({ "status": {
        "taskId": task_id, "taskGroupId": task_id, "provisionerId": "p", "workerType": "w", "taskQueueId": "p/w",
        "schedulerId": "-", "projectId": "none", "priority": "lowest", "deadline": "2026-01-01T00:00:00.000Z",
        "expires": "2027-01-01T00:00:00.000Z", "retriesLeft": 5, "state": "unscheduled", "runs": [],
    } })
}

fn definition() -> TaskDefinitionRequest {
    serde_json::from_value(json!({
        "taskQueueId": "p/w", "created": "2026-01-01T00:00:00.000Z", "deadline": "2026-01-02T00:00:00.000Z",
        "payload": { "b": 1, "a": [0.30000000000000004, 8.7e-7, null, "\u{0}"] },
        "metadata": { "name": "n", "description": "d", "owner": "o@example.com", "source": "https://example.com" },
    }))
    .unwrap()
}

#[tokio::test]
async fn a_client_and_a_mock_understand_each_other() {
    let mock = Arc::new(queue::QueueMock::new());
    mock.on_create_task(|call, task_id, payload| {
        // What the caller left out is there, typed and as text.
        assert_eq!(payload.retries, Some(5));
        assert!(call.body_text().contains(r#""retries":5"#), "{}", call.body_text());
        Ok(serde_json::from_value::<taskcluster::queue::TaskStatusResponse>(status(task_id)).unwrap().into())
    });
    mock.on_status(|_, _| Err(Failure::not_found("There is no such task.")));

    let tasks = Queue::new(caller(service(queue::router(mock.clone()), Fixed::new("tester", ["*"]))));
    let task_id = TaskId::new();
    let error = tasks.status(&task_id).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    // A mock has nothing to look up the scopes in that the reference tells.
    let created = tasks.create_task(&task_id, &definition()).await.unwrap();
    assert_eq!(created.status.task_id, task_id);
    let error = tasks.cancel_task(&task_id).await.unwrap_err();
    assert!(
        error.to_string().contains("InputError (400): the mock was not told how to answer queue.cancelTask"),
        "{error}"
    );

    let calls = mock.calls();
    assert_eq!(calls[0].arguments, [task_id.to_string()]);
    assert_eq!(calls[1].body["payload"], json!({ "b": 1, "a": [0.30000000000000004, 8.7e-7, null, "\u{0}"] }));
}

#[tokio::test]
async fn a_list_takes_its_query() {
    let mock = Arc::new(queue::QueueMock::new());
    mock.on_list_task_queues(|_, query| {
        assert_eq!((query.limit, query.continuation_token.as_deref()), (Some(7), Some("x")));
        Ok(serde_json::from_value::<taskcluster::queue::ListTaskQueuesResponse>(json!({ "taskQueues": [] }))
            .unwrap()
            .into())
    });
    let tasks = Queue::new(caller(service(queue::router(mock.clone()), Fixed::new("tester", ["*"]))));
    let page = tasks.list_task_queues().limit(7).continuation_token("x").await.unwrap();
    assert!(page.task_queues.is_empty());
    assert_eq!(mock.calls()[0].query.get("limit"), Some("7"));
}

#[tokio::test]
async fn what_breaks_the_reference_does_not_reach_the_mock() {
    let mock = Arc::new(queue::QueueMock::new());
    let tasks = Queue::new(caller(service(queue::router(mock.clone()), Fixed::new("tester", ["*"]))));
    let mut body = serde_json::to_value(definition()).unwrap();
    body["metadata"]["source"] = json!("nowhere");
    let broken = serde_json::from_value(body).unwrap();
    let error = tasks.create_task(&TaskId::new(), &broken).await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(400), "{error}");
    assert!(mock.calls().is_empty());
}

#[tokio::test]
async fn a_remote_authenticator_asks_the_auth_service() {
    let authority = Arc::new(auth::AuthMock::new());
    authority.on_authenticate_hawk(|call, question| {
        assert_eq!(call.trace_id(), "trace-1");
        let question = serde_json::to_value(&question).unwrap();
        assert_eq!(
            (&question["method"], &question["host"], &question["port"]),
            (&json!("put"), &json!("tc.example"), &json!(443))
        );
        let answer = match question["authorization"].as_str() {
            None => {
                json!({ "status": "no-auth", "scheme": "none", "scopes": [], "expires": "2027-01-01T00:00:00.000Z" })
            }
            Some(header) if header.contains("id=\"tester\"") => json!({
                "status": "auth-success", "scheme": "hawk", "clientId": "tester", "scopes": ["queue:*"],
                "expires": "2027-01-01T00:00:00.000Z",
            }),
            Some(_) => json!({ "status": "auth-failed", "message": "no such client" }),
        };
        Ok(serde_json::from_value::<taskcluster::auth::AuthenticateHawkResponse>(answer).unwrap().into())
    });
    let auth_caller = caller(service(auth::router(authority.clone()), Fixed::new("nobody", [""; 0])));

    let tasks = Arc::new(Checking);
    let queue_site = site([service(queue_router(tasks), Remote::new(auth_caller))]);
    let ask = async |credentials: Option<Credentials>| {
        let caller = Caller::builder(ROOT_URL).transport(in_process(queue_site.clone())).credentials(credentials);
        let caller = caller.trace_id("trace-1");
        let id = TaskId::new();
        let asked = Queue::new(caller.build().unwrap()).create_task(&id, &definition()).await;
        asked.map_or_else(|error| error.status().map(|status| status.as_u16()).unwrap_or_default(), |_| 200)
    };
    assert_eq!(ask(Some(Credentials::new("tester", "no-secret"))).await, 200);
    assert_eq!(ask(Some(Credentials::new("stranger", "no-secret"))).await, 401);
    assert_eq!(ask(None).await, 403);
    assert_eq!(authority.calls().len(), 3);
}

/// Answers only to callers with the right scopes.
struct Checking;

fn queue_router(checking: Arc<Checking>) -> Routes {
    use taskcluster_server::Route;
    let route = Route::new(&taskcluster::queue::operations::CREATE_TASK, move |call| {
        let _ = &checking;
        Box::pin(async move {
            let params = Params::new()
                .list("scopes", [""; 0])
                .list("routes", ["x"])
                .list("priorities", ["lowest"])
                .text("projectId", "none")
                .text("schedulerId", "-")
                .text("taskGroupId", "x")
                .text("provisionerId", "p")
                .text("workerType", "w")
                .text("priority", "lowest");
            call.authorize(params).await?;
            taskcluster_server::Reply::new(status(call.argument(0)?)).into_raw()
        })
    });
    Routes::new("queue", "v1").with(route)
}
