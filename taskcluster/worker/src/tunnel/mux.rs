//! Many streams over one connection: what each may send, what it has to say, what was received and not read yet.
//!
//! Nothing here waits or does I/O; [`Connection`](super::connection::Connection) carries out what this says. A stream sends no more than the
//! other side has room for, so one that nobody reads holds up itself alone; and those that have something to send take turns.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::frame::Frame;

/// What may be sent to us on a stream, and not be read yet.
pub(super) const WINDOW: u32 = 256 * 1024;

/// What the side that accepts a stream may send on it before it was told. The protocol has no message for it: the official
/// server has so much room, and the official client sends no more.
pub(super) const UNTOLD: u32 = 4096;

/// Freed room is told in pieces of this size.
const WORTH_TELLING: u32 = WINDOW / 4;

/// What is sent before it is another stream's turn.
const PIECE: usize = 16 * 1024;

/// What a stream takes of its user before it is sent.
pub(super) const OUTBOX: usize = 32 * 1024;

/// Streams at once.
pub(super) const STREAMS: usize = 512;

/// Refusals that wait to be sent. Whoever announces more, and does not hear them, is let go of.
const REFUSALS: usize = 4 * STREAMS;

/// For how long what was written to a stream that nobody holds any more is offered to the other side.
const LINGER: Duration = Duration::from_secs(60);

/// Which side this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The one that opens streams.
    Opening,
    /// The one that accepts them.
    Accepting,
}

/// Why a stream cannot be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoStream {
    Over,
    Full,
}

/// What the other side must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub(super) &'static str);

/// All streams of a connection.
#[derive(Debug)]
pub(super) struct Mux {
    side: Side,
    streams: HashMap<u32, Stream>,
    /// Those that may have something to say, each once, in the order of their turns.
    turns: VecDeque<u32>,
    /// Streams that are refused.
    refused: Vec<u32>,
    next: u32,
    over: bool,
    /// Who carries out what is said here.
    driver: Option<Waker>,
}

/// One stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Received, and not read yet.
    pub(super) inbox: BytesMut,
    /// How much more the other side may send.
    granted: u32,
    /// Room that the other side has not been told of.
    freed: u32,
    /// Written, and not sent yet.
    pub(super) outbox: BytesMut,
    /// How much more may be sent.
    credit: u32,
    /// It is to be announced, or accepted.
    greets: bool,
    /// Both sides know it.
    pub(super) established: bool,
    /// Nothing more will be written.
    pub(super) closing: bool,
    /// The other side was told so.
    closed: bool,
    /// The other side neither sends nor reads any more.
    pub(super) peer_closed: bool,
    /// Nobody holds it any more since then.
    abandoned: Option<Instant>,
    has_turn: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

impl Stream {
    fn wake(&mut self) {
        wake(&mut self.reader);
        wake(&mut self.writer);
    }

    fn can_send(&self) -> bool {
        self.established && self.credit > 0 && !self.outbox.is_empty()
    }

    fn must_close(&self) -> bool {
        (self.closing || self.abandoned.is_some()) && self.outbox.is_empty() && !self.closed
    }

    fn must_tell(&self) -> bool {
        self.established && self.freed >= WORTH_TELLING && !self.peer_closed
    }

    fn has_something_to_say(&self) -> bool {
        self.greets || self.must_tell() || self.can_send() || self.must_close()
    }
}

impl Mux {
    pub(super) fn new(side: Side) -> Self {
        let (streams, turns, refused) = (HashMap::new(), VecDeque::new(), Vec::new());
        // Numbers of the server's are even.
        Self { side, streams, turns, refused, next: 0, over: false, driver: None }
    }

    /// Announce a stream.
    pub(super) fn open(&mut self) -> Result<u32, NoStream> {
        if self.over {
            return Err(NoStream::Over);
        }
        if self.streams.len() >= STREAMS {
            return Err(NoStream::Full);
        }
        while self.streams.contains_key(&self.next) {
            self.next = self.next.wrapping_add(2);
        }
        let id = self.next;
        self.next = self.next.wrapping_add(2);
        self.streams.insert(id, Stream { greets: true, granted: UNTOLD, ..Stream::default() });
        self.gets_turn(id);
        Ok(id)
    }

    /// Accept a stream that was announced.
    pub(super) fn accept(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id) {
            (stream.greets, stream.established) = (true, true);
            stream.granted = WINDOW;
            stream.credit = stream.credit.saturating_add(UNTOLD);
            self.gets_turn(id);
        }
    }

    /// Take in what the other side says. Gives the number of a stream that it announces.
    pub(super) fn receive(&mut self, frame: Frame) -> Result<Option<u32>, Violation> {
        match frame {
            Frame::Open(_) if self.refused.len() >= REFUSALS => {
                return Err(Violation("streams are announced faster than they can be refused"));
            }
            Frame::Open(id) => return Ok(self.announced(id)),
            Frame::Data(id, data) => {
                // Whoever closed a stream may hear more of it until the other side knows.
                let Some(stream) = self.streams.get_mut(&id) else { return Ok(None) };
                let length = u32::try_from(data.len()).map_err(|_| Violation("a message is too long"))?;
                stream.granted =
                    stream.granted.checked_sub(length).ok_or(Violation("more was sent than there is room for"))?;
                if stream.abandoned.is_none() {
                    stream.inbox.extend_from_slice(&data);
                    wake(&mut stream.reader);
                }
            }
            Frame::Credit(id, bytes) => {
                let Some(stream) = self.streams.get_mut(&id) else { return Ok(None) };
                stream.credit = stream.credit.saturating_add(bytes);
                if self.side == Side::Opening && !stream.established {
                    stream.established = true;
                    stream.freed += WINDOW - UNTOLD;
                    stream.wake();
                }
                self.gets_turn(id);
            }
            Frame::End(id) => {
                let Some(stream) = self.streams.get_mut(&id) else { return Ok(None) };
                stream.peer_closed = true;
                // Nobody would read it.
                stream.outbox = BytesMut::new();
                stream.wake();
                self.gets_turn(id);
            }
        }
        Ok(None)
    }

    fn announced(&mut self, id: u32) -> Option<u32> {
        if self.streams.contains_key(&id) {
            return None;
        }
        if self.side == Side::Opening || self.streams.len() >= STREAMS {
            self.refuse(id);
            return None;
        }
        self.streams.insert(id, Stream::default());
        Some(id)
    }

    /// Let the other side know that a stream which it announced is not wanted.
    pub(super) fn refuse(&mut self, id: u32) {
        self.streams.remove(&id);
        self.refused.push(id);
        self.wake_driver();
    }

    /// What is to be said next, if anything.
    pub(super) fn next_frame(&mut self) -> Option<Frame> {
        if let Some(id) = self.refused.pop() {
            return Some(Frame::End(id));
        }
        while let Some(id) = self.turns.pop_front() {
            let side = self.side;
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            stream.has_turn = false;
            let frame = turn(id, stream, side);
            if stream.closed && stream.abandoned.is_some() {
                self.streams.remove(&id);
            } else if stream.has_something_to_say() {
                self.gets_turn(id);
            }
            if frame.is_some() {
                return frame;
            }
        }
        None
    }

    /// A stream, for whoever holds it; `None` when the connection is over.
    pub(super) fn stream(&mut self, id: u32) -> Option<&mut Stream> {
        if self.over { None } else { self.streams.get_mut(&id) }
    }

    /// Something was read: there is room for more.
    pub(super) fn freed(&mut self, id: u32, bytes: usize) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.freed = stream.freed.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
            self.gets_turn(id);
        }
    }

    /// A stream may have something to say.
    pub(super) fn gets_turn(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if !stream.has_turn && stream.has_something_to_say() {
            stream.has_turn = true;
            self.turns.push_back(id);
            self.wake_driver();
        }
    }

    /// Nobody holds this stream any more. What was written is still sent.
    pub(super) fn abandon(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.closed {
            self.streams.remove(&id);
            return;
        }
        stream.abandoned = Some(Instant::now());
        stream.inbox = BytesMut::new();
        self.gets_turn(id);
    }

    /// Give up streams that nobody holds, and whose last bytes the other side does not take.
    pub(super) fn sweep(&mut self) {
        for stream in self.streams.values_mut() {
            if stream.abandoned.is_some_and(|since| since.elapsed() > LINGER) {
                stream.outbox = BytesMut::new();
            }
        }
        let ids: Vec<u32> = self.streams.keys().copied().collect();
        ids.into_iter().for_each(|id| self.gets_turn(id));
    }

    /// Streams that there are now.
    #[cfg(feature = "testing")]
    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether nobody is served at present.
    pub(super) fn is_idle(&self) -> bool {
        self.streams.is_empty()
    }

    /// The connection is no more, or shall be no more.
    pub(super) fn end(&mut self) {
        self.over = true;
        self.streams.values_mut().for_each(Stream::wake);
        self.wake_driver();
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn driven_by(&mut self, waker: &Waker) {
        if !self.driver.as_ref().is_some_and(|driver| driver.will_wake(waker)) {
            self.driver = Some(waker.clone());
        }
    }

    fn wake_driver(&self) {
        if let Some(driver) = &self.driver {
            driver.wake_by_ref();
        }
    }
}

/// What a stream says when it has its turn.
fn turn(id: u32, stream: &mut Stream, side: Side) -> Option<Frame> {
    if std::mem::take(&mut stream.greets) {
        return Some(match side {
            Side::Opening => Frame::Open(id),
            Side::Accepting => Frame::Credit(id, WINDOW),
        });
    }
    if stream.must_tell() {
        let freed = std::mem::take(&mut stream.freed);
        stream.granted = stream.granted.saturating_add(freed);
        return Some(Frame::Credit(id, freed));
    }
    if stream.can_send() {
        let length = stream.outbox.len().min(PIECE).min(stream.credit as usize);
        let data: Bytes = stream.outbox.split_to(length).freeze();
        stream.credit -= u32::try_from(length).expect("it is not more than the credit");
        wake(&mut stream.writer);
        return Some(Frame::Data(id, data));
    }
    if stream.must_close() {
        stream.closed = true;
        return Some(Frame::End(id));
    }
    None
}

fn wake(waiting: &mut Option<Waker>) {
    if let Some(waker) = waiting.take() {
        waker.wake();
    }
}

/// A mux that a connection and the holders of its streams share.
#[derive(Clone, Debug)]
pub(super) struct SharedMux(Arc<Mutex<Mux>>);

impl SharedMux {
    pub(super) fn new(side: Side) -> Self {
        Self(Arc::new(Mutex::new(Mux::new(side))))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Mux> {
        self.0.lock().expect("nothing panics holding it")
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_that_nobody_hears_are_not_kept_without_end() {
        let mut mux = Mux::new(Side::Opening);
        for id in 0.. {
            match mux.receive(Frame::Open(id)) {
                Ok(None) => assert!((id as usize) < REFUSALS),
                Ok(Some(_)) => panic!("streams are this side's to open"),
                Err(violation) => {
                    assert!(violation.0.contains("faster than they can be refused"), "{violation}");
                    return;
                }
            }
        }
    }
}
