//! An allocator that counts, the arguments, and the call without any client library.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How many allocations there have been so far, reallocations included.
pub fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// `PROGRAM bare|signed ROOT_URL CALLS`
pub fn arguments() -> (String, String, u64) {
    let mut words = std::env::args().skip(1);
    let mut next = || words.next().expect("usage: PROGRAM bare|signed ROOT_URL CALLS");
    let (mode, root_url, calls) = (next(), next(), next());
    (mode, root_url, calls.parse().expect("CALLS is a number"))
}

pub const TASK_ID: &str = "fN1SbArXTPSVFNUvaOlinQ";

/// A task of about 1 KB, as the services are measured with.
pub fn task() -> serde_json::Value {
    serde_json::json!({
        "taskQueueId": "proj-bench/worker",
        "created": "2026-11-28T00:00:00.000Z",
        "deadline": "2026-11-29T00:00:00.000Z",
        "payload": { "command": [["/bin/sh", "-c", "x".repeat(600)]], "maxRunTime": 600 },
        "metadata": {
            "name": "bench", "description": "a task to measure with",
            "owner": "bench@example.com", "source": "https://example.com/bench",
        },
    })
}

/// The same request with nothing but reqwest: what both clients are measured against.
pub async fn bare(root_url: &str, calls: u64) -> u64 {
    let client = reqwest::Client::new();
    let url = format!("{root_url}/api/queue/v1/task/{TASK_ID}");
    let body = serde_json::to_vec(&task()).expect("a value is JSON");
    let call = async || {
        let answer = client.put(&url).header("content-type", "application/json").body(body.clone()).send().await;
        answer.expect("the server answers").bytes().await.expect("a whole body");
    };
    call().await;
    let before = allocations();
    for _ in 0..calls {
        call().await;
    }
    allocations() - before
}
