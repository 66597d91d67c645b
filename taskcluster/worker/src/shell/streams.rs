//! The streams of a session at one of its ends, without any I/O: what may be sent, what has come, what to say again after a
//! connection broke.
//!
//! Every byte has a place in its stream, and whoever sends keeps what was not acknowledged. So a connection may be lost at
//! any time, and the next one begins where the other end says it is: nothing is lost, nothing comes twice. An end
//! acknowledges what it has passed on, and never has to hold more than [`WINDOW`] bytes, whatever the other end does.

use std::collections::VecDeque;

use super::frame::{Control, Frame, Name};

/// How many bytes of a stream may be under way: sent and not acknowledged.
pub(crate) const WINDOW: usize = 64 * 1024;

/// The most that is sent at once.
pub(crate) const PIECE: usize = 16 * 1024;

/// The other end does what the protocol does not allow.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other side does not keep to the protocol: {0}")]
pub(crate) struct Violation(pub(crate) &'static str);

/// A stream that this end sends.
#[derive(Debug, Default)]
struct Outgoing {
    /// What comes before the buffer was acknowledged.
    acknowledged: u64,
    /// How much of the buffer was sent.
    sent: usize,
    buffer: VecDeque<u8>,
    over: bool,
    /// That it is over was said.
    told: bool,
}

impl Outgoing {
    fn next(&mut self, stream: Name) -> Option<Frame> {
        let offset = self.acknowledged + self.sent as u64;
        if self.sent < self.buffer.len() {
            let end = self.buffer.len().min(self.sent + PIECE);
            let bytes: Vec<u8> = self.buffer.range(self.sent..end).copied().collect();
            self.sent = end;
            return Some(Frame::Data { stream, offset, bytes: bytes.into() });
        }
        if self.over && !self.told {
            self.told = true;
            return Some(Frame::Control(Control::End { stream, offset }));
        }
        None
    }

    fn acknowledge(&mut self, offset: u64) -> Result<(), Violation> {
        let more = offset.checked_sub(self.acknowledged).and_then(|more| usize::try_from(more).ok());
        let more = more.filter(|more| *more <= self.sent).ok_or(Violation("it acknowledges what was not sent"))?;
        self.buffer.drain(..more);
        self.sent -= more;
        self.acknowledged = offset;
        Ok(())
    }

    /// The other end has got so far; what comes after it is sent once more.
    fn resume(&mut self, received: u64) -> Result<(), Violation> {
        let sent = received.checked_sub(self.acknowledged).and_then(|sent| usize::try_from(sent).ok());
        let sent = sent.filter(|sent| *sent <= self.buffer.len());
        self.sent = sent.ok_or(Violation("it has what was not sent"))?;
        self.told = false;
        Ok(())
    }
}

/// A stream that this end receives.
#[derive(Debug, Default)]
struct Incoming {
    received: u64,
    /// What was passed on.
    consumed: u64,
    /// How much the other end knows of that.
    told: u64,
    waiting: VecDeque<u8>,
    over: bool,
}

impl Incoming {
    fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Violation> {
        if self.over || offset != self.received {
            return Err(Violation("a piece of a stream is out of place"));
        }
        // What is being passed on right now is neither waiting nor consumed, and counts.
        let held = usize::try_from(self.received - self.consumed).unwrap_or(usize::MAX);
        if bytes.len() > WINDOW.saturating_sub(held) {
            return Err(Violation("it sends more than was allowed"));
        }
        self.received += bytes.len() as u64;
        self.waiting.extend(bytes);
        Ok(())
    }

    fn end(&mut self, offset: u64) -> Result<(), Violation> {
        if offset != self.received {
            return Err(Violation("a stream ends out of place"));
        }
        self.over = true;
        Ok(())
    }
}

/// All streams of a session at one end, and what else is to be said.
#[derive(Debug)]
pub(crate) struct Streams {
    outgoing: Vec<(Name, Outgoing)>,
    incoming: Vec<(Name, Incoming)>,
    say: VecDeque<Control>,
    /// Said once all that goes out has gone.
    farewell: Option<Control>,
    farewell_said: bool,
    /// The other end has not said yet where it is: only the greeting may go out.
    is_held: bool,
}

impl Streams {
    /// The end at which the program is.
    pub(crate) fn of_program() -> Self {
        Self::new(&[Name::Stdout, Name::Stderr], &[Name::Stdin])
    }

    /// The end at which somebody types.
    pub(crate) fn of_visitor() -> Self {
        Self::new(&[Name::Stdin], &[Name::Stdout, Name::Stderr])
    }

    fn new(outgoing: &[Name], incoming: &[Name]) -> Self {
        Self {
            outgoing: outgoing.iter().map(|name| (*name, Outgoing::default())).collect(),
            incoming: incoming.iter().map(|name| (*name, Incoming::default())).collect(),
            say: VecDeque::new(),
            farewell: None,
            farewell_said: false,
            is_held: false,
        }
    }

    /// Send nothing of the streams before the other end has said where it is.
    pub(crate) fn hold(&mut self) {
        self.is_held = true;
    }

    /// A new connection begins with this.
    pub(crate) fn begin(&mut self, greeting: Control) {
        self.say.clear();
        self.say.push_back(greeting);
        self.farewell_said = false;
        for (_, stream) in &mut self.incoming {
            // What was said of it may be lost.
            stream.told = 0;
        }
    }

    /// Say something, once. Only the last size counts.
    pub(crate) fn say(&mut self, control: Control) {
        if let Control::Resize(_) = control {
            self.say.retain(|said| !matches!(said, Control::Resize(_)));
        }
        self.say.push_back(control);
    }

    /// Say this when all that goes out has gone.
    pub(crate) fn say_last(&mut self, control: Control) {
        self.farewell = Some(control);
    }

    /// What to send next, if anything may be sent.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        if let Some(control) = self.say.pop_front() {
            return Some(Frame::Control(control));
        }
        if self.is_held {
            return None;
        }
        for (stream, incoming) in &mut self.incoming {
            if incoming.told < incoming.consumed {
                incoming.told = incoming.consumed;
                return Some(Frame::Control(Control::Ack { stream: *stream, offset: incoming.told }));
            }
        }
        if let Some(frame) = self.outgoing.iter_mut().find_map(|(name, stream)| stream.next(*name)) {
            return Some(frame);
        }
        if self.farewell_said || !self.outgoing.iter().all(|(_, stream)| stream.told) {
            return None;
        }
        let farewell = self.farewell.clone()?;
        self.farewell_said = true;
        Some(Frame::Control(farewell))
    }

    /// Take what came. What is about no stream is given back.
    pub(crate) fn take(&mut self, frame: Frame) -> Result<Option<Control>, Violation> {
        match frame {
            Frame::Data { stream, offset, bytes } => self.incoming(stream)?.take(offset, &bytes)?,
            Frame::Control(Control::End { stream, offset }) => self.incoming(stream)?.end(offset)?,
            Frame::Control(Control::Ack { stream, offset }) => self.outgoing(stream)?.acknowledge(offset)?,
            Frame::Control(other) => return Ok(Some(other)),
        }
        Ok(None)
    }

    /// The other end has got so far with a stream: what comes after it is sent once more.
    pub(crate) fn resume(&mut self, stream: Name, received: u64) -> Result<(), Violation> {
        self.is_held = false;
        self.outgoing(stream)?.resume(received)
    }

    /// How far a stream has come here.
    pub(crate) fn received(&self, stream: Name) -> u64 {
        self.incoming.iter().find(|(name, _)| *name == stream).map_or(0, |(_, stream)| stream.received)
    }

    /// How much of a stream may be [put](Self::put) now.
    pub(crate) fn room(&self, stream: Name) -> usize {
        let found = self.outgoing.iter().find(|(name, _)| *name == stream);
        found.map_or(0, |(_, stream)| if stream.over { 0 } else { WINDOW.saturating_sub(stream.buffer.len()) })
    }

    /// Whether a stream that goes out waits for the other end to take what there is.
    pub(crate) fn is_blocked(&self) -> bool {
        self.outgoing.iter().any(|(_, stream)| !stream.over && stream.buffer.len() >= WINDOW)
    }

    /// Something for the other end, not more than there is room for.
    pub(crate) fn put(&mut self, stream: Name, bytes: &[u8]) {
        if let Ok(outgoing) = self.outgoing(stream) {
            outgoing.buffer.extend(bytes);
        }
    }

    /// No more comes of a stream that goes out.
    pub(crate) fn end(&mut self, stream: Name) {
        if let Ok(outgoing) = self.outgoing(stream) {
            outgoing.over = true;
        }
    }

    /// Some bytes that wait to be passed on. They count as held until they are [consumed](Self::consume).
    pub(crate) fn waiting(&mut self, stream: Name) -> Vec<u8> {
        match self.incoming(stream) {
            Ok(incoming) => incoming.waiting.drain(..).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// So much was passed on.
    pub(crate) fn consume(&mut self, stream: Name, bytes: usize) {
        if let Ok(incoming) = self.incoming(stream) {
            incoming.consumed += bytes as u64;
        }
    }

    /// Whether a stream has come to its end here, with nothing waiting.
    pub(crate) fn is_over(&self, stream: Name) -> bool {
        let found = self.incoming.iter().find(|(name, _)| *name == stream);
        found.is_some_and(|(_, stream)| stream.over && stream.waiting.is_empty())
    }

    fn incoming(&mut self, wanted: Name) -> Result<&mut Incoming, Violation> {
        let found = self.incoming.iter_mut().find(|(name, _)| *name == wanted);
        found.map(|(_, stream)| stream).ok_or(Violation("a stream goes the wrong way"))
    }

    fn outgoing(&mut self, wanted: Name) -> Result<&mut Outgoing, Violation> {
        let found = self.outgoing.iter_mut().find(|(name, _)| *name == wanted);
        found.map(|(_, stream)| stream).ok_or(Violation("a stream goes the wrong way"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pass on what one end has to say, as far as `frames` go; the rest is lost with the connection.
    fn pass(from: &mut Streams, to: &mut Streams, frames: usize) {
        for frame in std::iter::from_fn(|| from.next()).take(frames).collect::<Vec<_>>() {
            to.take(frame).unwrap();
        }
    }

    fn pass_on(streams: &mut Streams, into: &mut Vec<u8>) {
        let bytes = streams.waiting(Name::Stdout);
        streams.consume(Name::Stdout, bytes.len());
        into.extend(bytes);
    }

    #[test]
    fn nothing_is_lost_or_doubled_wherever_the_connection_breaks() {
        let text: Vec<u8> = (0..WINDOW * 3 + 77).map(|at| (at % 251) as u8).collect();
        for frames in [1, 2, 4, 5, 7] {
            let (mut program, mut visitor) = (Streams::of_program(), Streams::of_visitor());
            let (mut put, mut got) = (0, Vec::new());
            while !visitor.is_over(Name::Stdout) {
                let more = program.room(Name::Stdout).min(text.len() - put);
                program.put(Name::Stdout, &text[put..put + more]);
                put += more;
                if put == text.len() {
                    program.end(Name::Stdout);
                }
                pass(&mut program, &mut visitor, frames);
                pass_on(&mut visitor, &mut got);
                visitor.begin(Control::Bye);
                pass(&mut visitor, &mut program, 1 + frames % 3);
                program.resume(Name::Stdout, visitor.received(Name::Stdout)).unwrap();
            }
            assert!(got == text, "{frames} frames at a time");
        }
    }

    #[test]
    fn who_does_not_read_is_not_sent_more_than_a_window() {
        let mut program = Streams::of_program();
        program.put(Name::Stdout, &vec![0; program.room(Name::Stdout)]);
        let sent: usize = std::iter::from_fn(|| program.next()).map(|frame| frame.len()).sum();
        assert_eq!((sent, program.room(Name::Stdout)), (WINDOW, 0));
    }

    #[test]
    fn who_sends_more_than_a_window_or_out_of_place_is_refused() {
        let data = |offset, length| Frame::Data { stream: Name::Stdin, offset, bytes: vec![0; length].into() };
        let mut program = Streams::of_program();
        program.take(data(0, WINDOW)).unwrap();
        program.take(data(WINDOW as u64, 1)).unwrap_err();
        // What is on its way into the program is not forgotten.
        assert_eq!(program.waiting(Name::Stdin).len(), WINDOW);
        program.take(data(WINDOW as u64, 1)).unwrap_err();
        program.consume(Name::Stdin, 1);
        program.take(data(WINDOW as u64, 1)).unwrap();
        program.take(data(5, 1)).unwrap_err();
        program.take(Frame::Control(Control::Ack { stream: Name::Stdout, offset: 1 })).unwrap_err();
        program.take(Frame::Control(Control::Ack { stream: Name::Stdin, offset: 0 })).unwrap_err();
        program.take(Frame::Control(Control::End { stream: Name::Stdin, offset: u64::MAX })).unwrap_err();
    }

    #[test]
    fn an_exit_code_that_is_known_after_the_output_has_ended_is_told() {
        let mut program = Streams::of_program();
        program.end(Name::Stdout);
        program.end(Name::Stderr);
        let last = |program: &mut Streams| std::iter::from_fn(|| program.next()).last();
        assert_eq!(last(&mut program), Some(Frame::Control(Control::End { stream: Name::Stderr, offset: 0 })));
        program.say_last(Control::Exit { code: 0 });
        assert_eq!(last(&mut program), Some(Frame::Control(Control::Exit { code: 0 })));
        assert_eq!(program.next(), None);
    }

    #[test]
    fn the_exit_code_comes_after_the_output_and_again_after_a_break() {
        let mut program = Streams::of_program();
        program.put(Name::Stdout, b"x");
        program.say_last(Control::Exit { code: 3 });
        program.end(Name::Stdout);
        program.end(Name::Stderr);
        let last = |program: &mut Streams| std::iter::from_fn(|| program.next()).last();
        assert_eq!(last(&mut program), Some(Frame::Control(Control::Exit { code: 3 })));
        assert_eq!(program.next(), None);
        program.begin(Control::Bye);
        program.resume(Name::Stdout, 1).unwrap();
        program.resume(Name::Stderr, 0).unwrap();
        assert_eq!(last(&mut program), Some(Frame::Control(Control::Exit { code: 3 })));
    }
}
