//! The connections of readers. A reader costs two file handles and a few chunks of memory, however slow it is; one that is
//! gone, or takes nothing for minutes, is let go of, so that the disk space of a log that was removed is free again.
//!
//! They are served by a thread of their own. If they shared those that take what tasks print, two hundred readers in a hurry
//! would have two hundred turns for each of a task's, and one that reads what is only on the disk would make all wait for it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::runtime;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::super::door::{Door, Threshold, Visitor, Visitors};
use crate::wire::Wire;

/// Readers at once; more wait until one has gone. With two file handles each that is well below the 1024 which a process
/// usually may have: strangers who only connect must not keep the worker from its work.
const READERS: usize = 300;

/// For how long a reader may say nothing before its request is there, the handshake included.
const GREETING: Duration = Duration::from_secs(20);

/// For how long something that was sent may stay unread.
const UNREAD: Duration = Duration::from_secs(600);

/// What is held of an answer that its reader is slow to take.
const BUFFER: usize = 64 * 1024;

/// Answer readers until the guard is dropped. Those who are there then come to the end of their logs.
pub(super) fn start(threshold: Threshold, router: Router, door: Door) -> io::Result<DropGuard> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let visitors = {
        let _inside = runtime.enter();
        threshold.open()?
    };
    let over = CancellationToken::new();
    let guard = over.clone().drop_guard();
    let serve = move || runtime.block_on(serve(visitors, router, door, &over));
    std::thread::Builder::new().name("live-log".to_owned()).spawn(serve)?;
    Ok(guard)
}

async fn serve(mut visitors: Visitors, router: Router, door: Door, over: &CancellationToken) {
    let (readers, free, door) = (TaskTracker::new(), Arc::new(Semaphore::new(READERS)), Arc::new(door));
    loop {
        let next = async {
            let place = free.clone().acquire_owned().await.expect("nobody closes it");
            (visitors.next().await, place)
        };
        let (visitor, place) = tokio::select! {
            () = over.cancelled() => break,
            next = next => next,
        };
        let (router, door) = (router.clone(), door.clone());
        readers.spawn(async move {
            let_go_of_the_silent(&visitor);
            if let Some(wire) = door.unlock(visitor).await {
                answer(wire, router).await;
            }
            drop(place);
        });
    }
    drop(visitors);
    readers.close();
    readers.wait().await;
}

/// One request and its answer: whoever has more to ask comes again.
async fn answer(wire: Box<dyn Wire>, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(GREETING)
        .keep_alive(false)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(wire), TowerToHyperService::new(router));
    if let Err(error) = connection.await {
        // The other side went away or said nothing: that is its right.
        tracing::trace!(%error, "a reader of a live log is gone");
    }
}

/// The system sees what is not acknowledged and who has no room for more, and then breaks the connection. Those who come through
/// a tunnel are the server's to let go of.
#[cfg(target_os = "linux")]
fn let_go_of_the_silent(visitor: &Visitor) {
    let Some(stream) = visitor.tcp() else { return };
    let milliseconds = u32::try_from(UNREAD.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, milliseconds) {
        tracing::debug!(%error, "a reader is kept however long it is silent");
    }
}

/// Elsewhere it does so by itself, after a longer time.
#[cfg(not(target_os = "linux"))]
fn let_go_of_the_silent(_visitor: &Visitor) {}
