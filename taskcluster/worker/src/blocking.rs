//! Work on the disk that takes its time, where it keeps nobody waiting.

use std::io;

/// Do it on a thread for such work. Dropping the future does not end it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
