//! How lean a signed call is: what happens above the transport costs a fixed, small number of allocations.
#![allow(unsafe_code, reason = "a global allocator that counts cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use taskcluster_core::transport::{Body, TransportError};
use taskcluster_core::{Caller, Credentials, Method, Operation, Request, Stability, TaskId, Transport};

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static CREATE: Operation = Operation {
    service: "queue",
    version: "v1",
    name: "createTask",
    method: Method::Put,
    route: "/task/<taskId>",
    args: &["taskId"],
    query: &[],
    input: Some("v1/create-task-request.json#"),
    output: Some("v1/create-task-response.json#"),
    scopes: None,
    idempotent: true,
    stability: Stability::Stable,
};

#[test]
fn a_signed_call_takes_at_most_25_allocations() {
    let answer = tower::service_fn(|request: http::Request<Body>| async {
        drop(request);
        Ok::<_, TransportError>(http::Response::new(Body::from(Bytes::from_static(b"true"))))
    });
    let caller = Caller::builder("https://tc.example.com")
        .credentials(Credentials::new("project/somebody", "a-token-of-the-usual-length-of-forty-four-cha"))
        .transport(Transport::new(answer))
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let id = TaskId::new();
    let body = ["a task of some length"; 10];

    let count = || {
        let before = COUNT.get();
        let done: bool =
            runtime.block_on(async { Request::new(&caller, &CREATE, &[&id]).with_body(&body).await }).unwrap();
        assert!(done);
        COUNT.get() - before
    };
    // The first call also fills what is kept.
    let first = count();
    let second = count();
    println!("allocations: first call {first}, then {second}");
    assert!(second <= 25, "{second} allocations");
}
