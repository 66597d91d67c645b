//! Work that would keep a thread busy for long, done beside the threads that serve everybody.

use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::thread::available_parallelism;

use axum::response::Response;
use futures_util::future::{Either, select};
use http::StatusCode;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;

use super::json_response;

/// As many turns as there are processors: more at once would only take them away from everybody else.
pub(super) fn turns() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(available_parallelism().map_or(1, usize::from)))
}

/// Carries out some work on a thread of its own when its turn comes.
///
/// # Cancel safety
/// Dropping this drops the work where it next waits for something.
pub(super) async fn run(turns: Arc<Semaphore>, work: impl Future<Output = Response> + Send + 'static) -> Response {
    let turn = turns.acquire_owned().await;
    let (caller, gone) = oneshot::channel::<()>();
    let runtime = Handle::current();
    let done = spawn_blocking(move || {
        let _turn = turn;
        runtime.block_on(async {
            match select(pin!(work), gone).await {
                Either::Left((response, _)) => Some(response),
                Either::Right(_) => None,
            }
        })
    });
    let response = done.await;
    drop(caller);
    match response {
        Ok(Some(response)) => response,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        // Nobody listens any more, or the process is about to end.
        Ok(None) | Err(_) => json_response(StatusCode::SERVICE_UNAVAILABLE, "{}"),
    }
}
