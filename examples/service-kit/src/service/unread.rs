//! What is left of a body when its request is answered.
//!
//! Whoever is still sending does not look for the answer, and a connection that is closed under them takes the answer with
//! it. So the rest is read, up to a point, and thrown away before the answer goes out.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;

/// No more than this is thrown away.
const MOST: usize = 128 * 1024 * 1024;

/// For how long that may take.
const LONGEST: Duration = Duration::from_secs(60);

/// A body that comes back when its handler drops it.
#[derive(Debug)]
pub(super) struct Lent {
    body: Option<Incoming>,
    back: Option<oneshot::Sender<Incoming>>,
    /// Nothing is on its way: the caller waits to be asked for the body.
    waits: bool,
}

/// Where it comes back to.
#[derive(Debug)]
pub(super) struct Rest(oneshot::Receiver<Incoming>);

/// Lends a body to a handler. `waits` says that the caller sends it only when it is asked for (`Expect: 100-continue`): then
/// one that nobody has read is not thrown away, since that would ask for it.
pub(super) fn lend(body: Incoming, waits: bool) -> (Lent, Rest) {
    let (back, rest) = oneshot::channel();
    (Lent { body: Some(body), back: Some(back), waits }, Rest(rest))
}

impl Rest {
    /// Throws away what the handler has left, if it is done with it.
    pub(super) async fn discard(mut self) {
        let Ok(mut body) = self.0.try_recv() else { return };
        let read = async {
            let mut length = 0;
            while length <= MOST
                && !body.is_end_stream()
                && let Some(Ok(frame)) = body.frame().await
            {
                length += frame.data_ref().map_or(0, Bytes::len);
            }
        };
        // Whoever has not sent it by then waits in vain.
        let _ = tokio::time::timeout(LONGEST, read).await;
    }
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.waits = false;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (false, Some(body), Some(back)) = (self.waits, self.body.take(), self.back.take()) {
            // Nobody asks for it any more where the request was given up.
            let _ = back.send(body);
        }
    }
}
