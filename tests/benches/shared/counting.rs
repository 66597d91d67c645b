//! An allocator that counts, what is to be measured, and the call without any client library.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

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

/// A client under measurement.
pub trait Client: Clone + Send + 'static {
    /// With the bench's credentials.
    fn new(root_url: &str) -> Self;

    /// What is made before a call: the client of a service.
    fn handle(&self);

    /// A signed call that creates the [task].
    fn call(&self) -> impl Future<Output = ()> + Send;
}

/// `PROGRAM bare|signed|handle|first-bare|first|parallel ROOT_URL COUNT` prints
/// - `bare`, `signed`: the allocations of so many calls, after one to warm up;
/// - `handle`: the nanoseconds of so many clients of a service;
/// - `first-bare`, `first`: the nanoseconds of the first reqwest client, or of ours, of a process;
/// - `parallel`: the nanoseconds of so many calls, 64 at a time on two threads.
pub fn measure<C: Client>() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, root_url, count] = arguments.as_slice() else { panic!("usage: PROGRAM MODE ROOT_URL COUNT") };
    let count = count.parse().expect("COUNT is a number");
    let one_thread = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let spent = match mode.as_str() {
        "bare" => one_thread().block_on(bare(root_url, count)),
        "signed" => one_thread().block_on(signed::<C>(root_url, count)),
        "handle" => {
            let client = C::new(root_url);
            nanoseconds(|| (0..count).for_each(|_| client.handle()))
        }
        "first-bare" => nanoseconds(|| drop(std::hint::black_box(reqwest::Client::new()))),
        "first" => nanoseconds(|| drop(std::hint::black_box(C::new(root_url)))),
        "parallel" => parallel::<C>(root_url, count),
        _ => panic!("no such mode: {mode}"),
    };
    println!("{spent}");
}

fn nanoseconds(work: impl FnOnce()) -> u64 {
    let before = Instant::now();
    work();
    u64::try_from(before.elapsed().as_nanos()).expect("it does not take centuries")
}

async fn signed<C: Client>(root_url: &str, calls: u64) -> u64 {
    let client = C::new(root_url);
    client.call().await;
    let before = allocations();
    for _ in 0..calls {
        client.call().await;
    }
    allocations() - before
}

fn parallel<C: Client>(root_url: &str, calls: u64) -> u64 {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let client = C::new(root_url);
    let all = |each: u64| {
        let client = client.clone();
        runtime.block_on(async move {
            let work = (0..64).map(|_| {
                let client = client.clone();
                tokio::spawn(async move {
                    for _ in 0..each {
                        client.call().await;
                    }
                })
            });
            for task in work.collect::<Vec<_>>() {
                task.await.expect("no call fails");
            }
        });
    };
    all(2); // connects
    nanoseconds(|| all(calls / 64))
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
async fn bare(root_url: &str, calls: u64) -> u64 {
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
