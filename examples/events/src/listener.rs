//! One listener: a position in what is kept, and the stream that it becomes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use taskcluster::events::Binding;
use taskcluster_core::clock::SharedClock;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::frame;
use crate::places::Place;
use crate::recent::{Found, Position, Recent};

/// Somebody who listens.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) recent: Arc<Recent>,
    pub(crate) bindings: Vec<Binding>,
    pub(crate) start: Start,
    pub(crate) clock: SharedClock,
    /// How long it may be silent before there is a ping.
    pub(crate) ping: Duration,
    /// When the listener has to show anew what it may hear.
    pub(crate) until: Instant,
    pub(crate) shutdown: CancellationToken,
    /// The listener's place among all.
    pub(crate) _place: Place,
}

/// Where a listener begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With what comes from now on.
    Now,
    /// Where it was.
    At(Position),
    /// With what comes from now on; where it was is not known any more.
    Lost,
}

impl Listener {
    /// The events for this listener. Nothing is made before it is asked for, so one that does not read takes no memory.
    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
        let end = self.recent.end();
        let position = match self.start {
            Start::At(position) => position,
            Start::Now | Start::Lost => *end.borrow(),
        };
        let first = match self.start {
            Start::Lost => Some(Said::Ready),
            Start::Now | Start::At(_) => Some(Said::ReadyAndWell),
        };
        let state = State { listener: self, position, end, beginning: first };
        stream::unfold(state, |mut state| async move { Some((Ok(state.next().await?), state)) })
    }
}

struct State {
    listener: Listener,
    position: Position,
    end: watch::Receiver<Position>,
    /// What has to be said before anything else.
    beginning: Option<Said>,
}

/// What a stream begins with.
#[derive(Clone, Copy)]
enum Said {
    ReadyAndWell,
    Ready,
    Lost,
}

impl State {
    async fn next(&mut self) -> Option<Bytes> {
        let Listener { recent, bindings, clock, ping, until, shutdown, .. } = &self.listener;
        if let Some(said) = self.beginning {
            let id = recent.id(self.position);
            let (event, next) = match said {
                Said::ReadyAndWell => (frame::ready(&id), None),
                Said::Ready => (frame::ready(&id), Some(Said::Lost)),
                Said::Lost => (frame::lost(&id), None),
            };
            self.beginning = next;
            return Some(event);
        }
        let silent = tokio::time::sleep(*ping);
        tokio::pin!(silent);
        loop {
            // Before the look: what comes after it is then noticed.
            self.end.borrow_and_update();
            if shutdown.is_cancelled() || Instant::now() >= *until {
                return None;
            }
            match recent.look(self.position, bindings) {
                Found::Message(event, position) => {
                    self.position = position;
                    return Some(event);
                }
                Found::Lost(position) => {
                    self.position = position;
                    return Some(frame::lost(&recent.id(position)));
                }
                Found::Nothing(position) => self.position = position,
                Found::Further(position) => {
                    self.position = position;
                    tokio::task::yield_now().await;
                    continue;
                }
            }
            tokio::select! {
                _ = self.end.changed() => {}
                () = &mut silent => return Some(frame::ping(&recent.id(self.position), clock.now())),
                () = shutdown.cancelled() => return None,
                () = tokio::time::sleep_until(*until) => return None,
            }
        }
    }
}
