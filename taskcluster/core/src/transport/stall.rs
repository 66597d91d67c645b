//! What notices that the other side has gone silent: a body may take as long as it needs, but not stand still.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use super::{Body, BoxError, Transport, TransportError, TransportErrorKind};

/// The other side has been silent for too long in the midst of a body, or before an answer to one.
///
/// It is the error of the [body](Body::with_stall_timeout), or the source of the [`TransportError`] of
/// [`Transport::send_watched`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other side has been silent for {} s", after.as_secs_f64())]
pub struct Stalled {
    /// How long it was allowed to be.
    pub after: Duration,
}

/// A body in memory is handed over in pieces of this size, so that it is seen to move.
const PIECE: usize = 64 * 1024;

/// How much of a body may be on its way in buffers when all of it has been handed over, and how many bytes of that are
/// expected to leave in a second: nobody can see them move.
const BUFFERED: u64 = 4 << 20;
const SLOWEST: u64 = 16 << 10;

impl Body {
    /// The same body, which ends with [`Stalled`] when nothing has come for so long while somebody waits to read it.
    /// [`Duration::MAX`] is for ever.
    #[must_use]
    pub fn with_stall_timeout(self, after: Duration) -> Self {
        if self.as_bytes().is_some() || after == Duration::MAX {
            return self;
        }
        Self::new(Guarded { body: self, after, timer: None, waits: false, over: false })
    }
}

impl Transport {
    /// Sends one request as it is, as [`send`](Self::send) does, and gives up when the other side is silent for so long: takes
    /// no piece of the request's body, begins no answer, or, which is then an error of that body, sends no piece of the
    /// answer's. This is the way to send what is large, of which nobody knows how long it takes.
    ///
    /// What is in the system's buffers once the whole body has been handed over has some more time to leave them.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`TransportErrorKind::Timeout`] with [`Stalled`] as its source.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub async fn send_watched(
        &self,
        request: Request<Body>,
        silence: Duration,
    ) -> Result<Response<Body>, TransportError> {
        let moves = Arc::new(Mutex::new(Moves { last: Instant::now(), handed_over: 0, is_over: true }));
        let request = request.map(|body| watched(body, &moves));
        let mut answer = self.send(request);
        loop {
            let until = lock(&moves).until(silence);
            let Some(until) = until else { break };
            match timeout_at(until, &mut answer).await {
                Ok(answer) => return answer.map(|answer| answer.map(|body| body.with_stall_timeout(silence))),
                Err(_) if lock(&moves).until(silence).is_some_and(|later| later > until) => {}
                Err(_) => {
                    return Err(TransportError::new(TransportErrorKind::Timeout, Stalled { after: silence }));
                }
            }
        }
        answer.await
    }
}

/// How a body that is sent gets on.
struct Moves {
    /// When a piece was taken last.
    last: Instant,
    /// How many bytes have been.
    handed_over: u64,
    is_over: bool,
}

impl Moves {
    /// When the silence is too long if nothing moves before; never if there is no bound.
    fn until(&self, silence: Duration) -> Option<Instant> {
        let buffered =
            if self.is_over { Duration::from_secs(self.handed_over.min(BUFFERED) / SLOWEST) } else { Duration::ZERO };
        self.last.checked_add(silence.checked_add(buffered)?)
    }
}

fn lock(moves: &Mutex<Moves>) -> std::sync::MutexGuard<'_, Moves> {
    moves.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same body, which notes when its pieces are taken.
fn watched(body: Body, moves: &Arc<Mutex<Moves>>) -> Body {
    let body = match body.into_bytes() {
        Ok(bytes) if bytes.is_empty() => return Body::empty(),
        Ok(bytes) => in_pieces(bytes),
        Err(stream) => stream,
    };
    lock(moves).is_over = false;
    Body::new(Watched { body, moves: Arc::clone(moves) })
}

fn in_pieces(bytes: Bytes) -> Body {
    let length = bytes.len() as u64;
    let pieces = stream::unfold(bytes, |mut left| async move {
        if left.is_empty() {
            return None;
        }
        let piece = left.split_to(PIECE.min(left.len()));
        Some((Ok::<_, BoxError>(piece), left))
    });
    Body::sized(pieces, length)
}

struct Watched {
    body: Body,
    moves: Arc<Mutex<Moves>>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(frame) = &frame {
            let taken = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            let mut moves = lock(&self.moves);
            moves.last = Instant::now();
            moves.handed_over += taken.map_or(0, |piece| piece.len() as u64);
            moves.is_over = frame.is_none() || self.body.is_end_stream();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

struct Guarded {
    body: Body,
    after: Duration,
    /// Made when somebody has to wait for the first time.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether somebody waits, so that the timer runs.
    waits: bool,
    over: bool,
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.waits = false;
            return Poll::Ready(frame);
        }
        if !this.waits {
            let Some(until) = Instant::now().checked_add(this.after) else { return Poll::Pending };
            match &mut this.timer {
                Some(timer) => timer.as_mut().reset(until),
                none => *none = Some(Box::pin(sleep_until(until))),
            }
            this.waits = true;
        }
        let Some(timer) = &mut this.timer else { return Poll::Pending };
        match timer.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                this.over = true;
                // The connection is of no use any more: what holds it must not outlive the error.
                this.body = Body::empty();
                Poll::Ready(Some(Err(Stalled { after: this.after }.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::time::{advance, sleep};
    use tower::service_fn;

    const LONG: Duration = Duration::from_secs(60);

    /// A piece after each of these times, and then nothing for ever.
    fn pieces_after(times: Vec<Duration>) -> Body {
        Body::from_stream(stream::unfold(times.into_iter(), |mut times| async move {
            match times.next() {
                Some(time) => sleep(time).await,
                None => std::future::pending().await,
            }
            Some((Ok::<_, BoxError>(Bytes::from_static(b"x")), times))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_slow_but_not_silent() {
        let mut body = pieces_after(vec![LONG - Duration::from_millis(1); 3]).with_stall_timeout(LONG);
        for _ in 0..3 {
            body.frame().await.unwrap().unwrap();
        }
        let before = Instant::now();
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Stalled { after: LONG }));
        assert!(before.elapsed() >= LONG && before.elapsed() < LONG * 2);
        assert!(body.frame().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_its_time_is_not_the_other_sides_silence() {
        let mut body = pieces_after(vec![Duration::ZERO; 2]).with_stall_timeout(LONG);
        body.frame().await.unwrap().unwrap();
        advance(LONG * 3).await;
        body.frame().await.unwrap().unwrap();
        assert!(body.frame().await.unwrap().unwrap_err().is::<Stalled>());
    }

    #[tokio::test(start_paused = true)]
    async fn for_ever_is_for_ever() {
        let mut body = pieces_after(vec![LONG * 1_000_000]).with_stall_timeout(Duration::MAX);
        body.frame().await.unwrap().unwrap();
        let answer = service_fn(|_: Request<Body>| async {
            sleep(LONG * 1_000_000).await;
            Ok::<_, TransportError>(Response::new(Body::empty()))
        });
        Transport::new(answer).send_watched(Request::new(Body::from("x")), Duration::MAX).await.unwrap();
    }

    /// Takes so many pieces, one each 50 s, and then none, or all there are and answers.
    fn takes(pieces: usize) -> (Transport, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        let transport = Transport::new(service_fn(move |request: Request<Body>| {
            let count = Arc::clone(&count);
            async move {
                let mut body = request.into_body();
                while count.load(Ordering::SeqCst) < pieces {
                    sleep(Duration::from_secs(50)).await;
                    let Some(frame) = body.frame().await else { return Ok(Response::new(Body::empty())) };
                    count.fetch_add(frame.unwrap().into_data().unwrap().len(), Ordering::SeqCst);
                }
                std::future::pending().await
            }
        }));
        (transport, taken)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_taken_slowly_has_all_the_time_that_it_needs() {
        let (transport, taken) = takes(usize::MAX);
        let body = Bytes::from(vec![0; 5 * PIECE + 1]);
        transport.send_watched(Request::new(body.into()), LONG).await.unwrap();
        assert_eq!(taken.load(Ordering::SeqCst), 5 * PIECE + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_not_taken_any_more_is_given_up() {
        let (transport, _) = takes(3 * PIECE);
        let started = Instant::now();
        let error = transport.send_watched(Request::new(vec![0; 1 << 30].into()), LONG).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Timeout);
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.downcast_ref(), Some(&Stalled { after: LONG }));
        let took = started.elapsed();
        assert!(took >= Duration::from_secs(150) + LONG && took < Duration::from_secs(152) + LONG, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_is_silence_too() {
        let never = Transport::new(service_fn(|request: Request<Body>| async {
            request.into_body().collect(usize::MAX).await.unwrap();
            std::future::pending::<Result<Response<Body>, TransportError>>().await
        }));
        for (body, buffered) in [(Body::empty(), 0), (Body::from(vec![0; 32 << 10]), 2)] {
            let started = Instant::now();
            let error = never.send_watched(Request::new(body), LONG).await.unwrap_err();
            let expected = LONG + Duration::from_secs(buffered);
            assert_eq!(error.kind(), TransportErrorKind::Timeout);
            let took = started.elapsed();
            assert!(took >= expected && took < expected + Duration::from_secs(1), "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_body_of_the_answer_is_watched_too() {
        let silent = service_fn(|_: Request<Body>| async {
            Ok::<_, TransportError>(Response::new(pieces_after(vec![Duration::ZERO])))
        });
        let answer = Transport::new(silent).send_watched(Request::new(Body::empty()), LONG).await.unwrap();
        let error = answer.into_body().collect(100).await.unwrap_err();
        assert_eq!(error.to_string(), "the other side has been silent for 60 s");
    }
}
