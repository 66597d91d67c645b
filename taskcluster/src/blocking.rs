//! Calls for programs that are not asynchronous.
//!
//! Nothing is there twice: what you would `.await` you [`wait`](Wait::wait) for, and what is a stream becomes an iterator by
//! [`iterate`]. Below is one runtime for the process, started when it is first used, with one thread of its own that keeps
//! connections alive between calls.
//!
#![cfg_attr(feature = "queue", doc = "```no_run")]
#![cfg_attr(not(feature = "queue"), doc = "```ignore")]
//! use taskcluster::blocking::{Wait, iterate};
//! use taskcluster::{TaskId, Taskcluster};
//!
//! fn main() -> Result<(), taskcluster::Report> {
//!     let tc = Taskcluster::from_env()?;
//!     let group: TaskId = "fN1SbArXTPSVFNUvaOlinQ".parse()?;
//!     println!("{}", tc.queue().status(&group).wait()?.status.state);
//!     for member in iterate(tc.queue().list_task_group(&group).stream()) {
//!         println!("{}", member?.task.metadata.name);
//!     }
//!     Ok(())
//! }
//! ```

use std::fmt;
use std::pin::Pin;
use std::sync::OnceLock;

use futures_core::Stream;
use futures_util::StreamExt as _;
use tokio::runtime::{Builder, Runtime};

/// Waiting for what is asynchronous: a request, an upload, a download, any future.
pub trait Wait: IntoFuture {
    /// Blocks the thread until the answer is there.
    ///
    /// # Panics
    /// Within an asynchronous program, where it would hold up everything else: use `.await` there. If the process cannot
    /// start another thread.
    fn wait(self) -> Self::Output;
}

impl<F: IntoFuture> Wait for F {
    fn wait(self) -> Self::Output {
        // A request may need the runtime as soon as it becomes a future.
        runtime().block_on(async { self.await })
    }
}

/// The items of a stream, each waited for when it is asked for.
///
/// # Panics
/// The iterator does, as [`Wait::wait`].
pub fn iterate<S: Stream>(stream: S) -> Iter<S> {
    Iter { stream: Box::pin(stream) }
}

/// An iterator over a stream; see [`iterate`].
#[must_use = "an iterator does nothing unless it is asked"]
pub struct Iter<S> {
    stream: Pin<Box<S>>,
}

impl<S: Stream> Iterator for Iter<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<Self::Item> {
        self.stream.next().wait()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl<S> fmt::Debug for Iter<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").finish_non_exhaustive()
    }
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        let built = builder.worker_threads(1).thread_name("taskcluster").enable_all().build();
        built.expect("the process can start another thread")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_is_waited_for_and_a_stream_becomes_an_iterator() {
        assert_eq!(async { 1 }.wait(), 1);
        // With time, which needs the runtime.
        let later = futures_util::stream::unfold(0, |n| async move {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            (n < 3).then_some((n, n + 1))
        });
        assert_eq!(iterate(later).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[cfg(feature = "queue")]
    #[test]
    fn calls_from_several_threads_share_one_handle() {
        use taskcluster_core::transport::testing::ScriptedTransport;

        let script = ScriptedTransport::new().on("queue.ping", serde_json::json!({}));
        let tc = crate::Taskcluster::builder("https://tc.example.com").transport(&script).build().unwrap();
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| tc.queue().ping().wait().unwrap());
            }
        });
        assert_eq!(script.calls().len(), 8);
    }
}
