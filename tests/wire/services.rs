//! Every service of the references: its client, its routes and its mock, made of one reference, fit together.

use std::sync::Arc;

use harness::soon;
use serde_json::{Value, json};
use taskcluster::clock::SystemClock;
use taskcluster::transport::in_process;
use taskcluster::{Caller, Credentials, Needs, Operation, Request, RetryPolicy, Taskcluster};
use taskcluster_server::authenticator::Fixed;
use taskcluster_server::mock::MockCall;
use taskcluster_server::{Parts, References, Routes, ServiceRouter, site};

use super::instances::{Schemas, TASK_ID};

type Calls = Box<dyn Fn() -> Vec<MockCall>>;

/// What is made of a reference.
struct Service {
    name: &'static str,
    operations: &'static [&'static Operation],
    /// A mock behind its router, and the calls that it has seen.
    start: fn() -> (Routes, Calls),
}

/// All of them; written by the build script.
static SERVICES: &[Service] = include!(concat!(env!("OUT_DIR"), "/services.rs"));

/// What the runtime answers, whatever the service.
const OF_THE_RUNTIME: [&str; 4] = ["heartbeat", "lbheartbeat", "ping", "version"];

const ROOT_URL: &str = "https://tc.example";

/// A client of routes in this process, who may do everything.
fn caller(routes: Routes) -> Caller {
    let parts = Parts {
        root_url: ROOT_URL.into(),
        authenticator: Arc::new(Fixed::new("tester", ["*"])),
        clock: SystemClock::shared(),
        references: References::embedded(),
        version: "0".into(),
    };
    let service = ServiceRouter::new(routes, parts).unwrap();
    let credentials = Credentials::new("tester", "no-secret");
    let caller = Caller::builder(ROOT_URL).transport(in_process(site([service]))).credentials(credentials);
    caller.retry(RetryPolicy::never()).build().unwrap()
}

/// A value that every service takes for an argument of this name.
fn argument(name: &str) -> &'static str {
    match name {
        "taskId" | "taskGroupId" | "taskGraphId" => TASK_ID,
        "runId" => "0",
        "taskQueueId" | "workerPoolId" => "provisioner/worker-type",
        "indexPath" | "namespace" => "some.name",
        _ => "some-text",
    }
}

/// What a service knows of the task, the group or the worker that a call is about.
fn known() -> Value {
    json!({
        "schedulerId": "-", "projectId": "none", "taskGroupId": TASK_ID, "taskQueueId": "provisioner/worker-type",
    })
}

/// And each one's scopes are known from its arguments.
#[tokio::test]
async fn every_method_of_every_service_reaches_its_handler() {
    let schemas = Schemas::read();
    assert!(SERVICES.len() >= 12, "only {} services", SERVICES.len());
    let mut faults = Vec::new();
    for service in SERVICES {
        let (routes, calls) = (service.start)();
        let caller = caller(routes);
        for &operation in service.operations {
            let arguments: Vec<&str> = operation.args.iter().map(|name| argument(name)).collect();
            let displayed: Vec<&dyn std::fmt::Display> = arguments.iter().map(|argument| argument as _).collect();
            let mut request = Request::<Value>::new(&caller, operation, &displayed);
            if let Some(input) = operation.input {
                request = request.with_body(&schemas.instances(input)[0]);
            }
            let asked = operation.scopes.map(|scopes| scopes.names()).unwrap_or_default();
            for name in asked.into_iter().filter(|name| operation.query.contains(name)) {
                request = request.query(name, argument(name));
            }
            if let Err(error) = request.needs_of(&known()) {
                faults.push(format!("{}.{}: {error}", service.name, operation.name));
            }
            let before = calls().len();
            let answer = soon(request.raw()).await;
            let arrived = match calls().get(before) {
                Some(call) => call.operation.name == operation.name && call.arguments == arguments,
                None => OF_THE_RUNTIME.contains(&operation.name) && answer.is_ok(),
            };
            if !arrived {
                faults.push(format!("{}.{}: {answer:?}", service.name, operation.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The handle has one method per service, and what it gives is no more than the handle itself.
#[test]
fn a_client_of_a_service_is_one_pointer() {
    let tc = Taskcluster::builder(ROOT_URL).build().unwrap();
    let sizes = [
        size_of_val(&tc.auth()),
        size_of_val(&tc.event_stream()),
        size_of_val(&tc.hooks()),
        size_of_val(&tc.index()),
        size_of_val(&tc.notify()),
        size_of_val(&tc.object()),
        size_of_val(&tc.provisioner()),
        size_of_val(&tc.purge_cache()),
        size_of_val(&tc.queue()),
        size_of_val(&tc.scheduler()),
        size_of_val(&tc.secrets()),
        size_of_val(&tc.worker_manager()),
    ];
    assert_eq!(sizes.len(), SERVICES.len(), "a service that the handle has no method for");
    assert!(sizes.iter().all(|size| *size == size_of::<usize>()), "{sizes:?}");
}

/// What the worker manager tells about tasks is what the queue would: this compiles since the types are the same.
#[test]
fn a_type_of_one_service_used_by_another_is_one_type() {
    fn recent(worker: taskcluster::worker_manager::GetWorkerResponse) -> Vec<taskcluster::queue::RecentTask> {
        worker.recent_tasks
    }
    fn defined(task: taskcluster::scheduler::TaskGraphNode) -> taskcluster::queue::TaskDefinitionRequest {
        task.task
    }
    let _ = (recent, defined);
}

#[tokio::test]
async fn the_topmost_namespaces_of_the_index_can_be_listed() {
    let mock = Arc::new(taskcluster_server::index::IndexMock::new());
    mock.on_list_namespaces(|_, namespace, _| {
        assert_eq!(namespace, "");
        let answer = serde_json::json!({ "namespaces": [{
            "namespace": "project", "name": "project", "expires": "2030-01-01T00:00:00.000Z",
        }] });
        Ok(serde_json::from_value::<taskcluster::index::ListNamespacesResponse>(answer).unwrap().into())
    });
    mock.on_list_tasks(|_, namespace, _| {
        assert_eq!(namespace, "");
        Ok(taskcluster::index::ListTasksResponse::new(Vec::<taskcluster::index::IndexedTask>::new()).into())
    });
    let index = Taskcluster::from(caller(taskcluster_server::index::router(mock))).index();
    // Express, which today's deployments run on, takes `/namespaces` and `/namespaces/` for the same.
    assert_eq!(index.list_namespaces("").url().unwrap().as_str(), "https://tc.example/api/index/v1/namespaces/");
    let top = soon(index.list_namespaces("").all()).await.unwrap();
    assert_eq!(top[0].namespace, "project");
    assert!(soon(index.list_tasks("").all()).await.unwrap().is_empty());
    // Of a task the name cannot be left out.
    let nowhere = soon(index.find_task("").send()).await.unwrap_err();
    assert!(nowhere.is_not_found(), "{nowhere}");
}
