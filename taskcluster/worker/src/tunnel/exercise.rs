//! An input turned into what happens to a tunnel, for fuzzers: frames of a stranger, and streams that are used in any order.
//!
//! A fuzzer reaches no further than an input leads, so this knows two plays. In the first the input is a hostile other side, whose
//! frames it writes byte by byte; in the second both sides are ours, and the input is who acts when.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::frame::Frame;
use super::mux::{Mux, STREAMS, Side, UNTOLD, WINDOW};

/// The most that is written at once: more than a stream takes, and than it sends in one piece.
const MOST: usize = 48 * 1024;

/// Try an input.
///
/// # Panics
/// Something does not hold: a frame is read as something else than was written; more is sent on a stream than the other side has
/// room for, or more is held than it was given; two sides that keep to the protocol lose, change or reorder what goes between
/// them.
pub fn exercise(input: &[u8]) {
    let Some((play, input)) = input.split_first() else { return };
    frames(input);
    match play % 3 {
        0 => hostile(Side::Accepting, Input(input)),
        1 => hostile(Side::Opening, Input(input)),
        _ => Pair::default().play(Input(input)),
    }
}

/// What is left of the input; zeros once nothing is.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn bytes(&mut self, length: usize) -> Bytes {
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Bytes::copy_from_slice(bytes)
    }

    /// Small ones and large ones.
    fn length(&mut self) -> usize {
        let byte = usize::from(self.byte());
        if byte < 64 { byte } else { (byte - 63) * MOST / 192 }
    }
}

/// A frame that can be read is written as it was, apart from what nobody reads of it.
fn frames(input: &[u8]) {
    let Some(frame) = Frame::decode(Bytes::copy_from_slice(input)) else { return };
    let written = frame.encode();
    assert!(input.starts_with(&written), "{frame:?}");
    assert_eq!(Frame::decode(written), Some(frame));
}

/// What a stream of ours may say to the other side, by what that was heard to say.
#[derive(Default)]
struct Heard {
    room: u64,
    said: u64,
    given: u64,
    got: u64,
}

/// The other side says what it likes; whoever uses the streams here does so, too.
fn hostile(side: Side, mut input: Input<'_>) {
    let mut mux = Mux::new(side);
    let mut streams: BTreeMap<u32, Heard> = BTreeMap::new();
    while !input.is_over() {
        let id = u32::from(input.byte() % 8);
        match input.byte() % 12 {
            0..=2 => {
                let length = usize::from(input.byte() % 16);
                let frame = Frame::decode(input.bytes(length));
                if frame.is_some_and(|frame| !hear(&mut mux, &mut streams, frame)) {
                    return;
                }
            }
            3 => {
                let data = Bytes::from(vec![b'x'; input.length()]);
                if !hear(&mut mux, &mut streams, Frame::Data(id, data)) {
                    return;
                }
            }
            4 => {
                if !hear(&mut mux, &mut streams, Frame::Open(id)) {
                    return;
                }
            }
            5 if side == Side::Opening => {
                if let Ok(id) = mux.open() {
                    streams.insert(id, Heard { given: u64::from(UNTOLD), ..Heard::default() });
                }
            }
            6 if side == Side::Accepting && streams.contains_key(&id) => accept(&mut mux, &mut streams, id),
            7 => drop(write(&mut mux, id, &vec![b'y'; input.length()])),
            8 => drop(read(&mut mux, id, input.length())),
            9 => shut(&mut mux, id),
            10 => {
                mux.abandon(id);
                mux.sweep();
            }
            _ => say(&mut mux, &mut streams, usize::from(input.byte() % 8)),
        }
        assert!(mux.len() <= STREAMS);
    }
    say(&mut mux, &mut streams, usize::MAX);
    mux.end();
    assert!(mux.stream(0).is_none(), "nothing is there once it is over");
}

fn accept(mux: &mut Mux, streams: &mut BTreeMap<u32, Heard>, id: u32) {
    // Once, as a listener does it.
    if mux.stream(id).is_some_and(|stream| !stream.established) {
        mux.accept(id);
        let heard = streams.entry(id).or_default();
        heard.room += u64::from(UNTOLD);
        heard.given = u64::from(WINDOW);
    }
}

/// Whether the connection goes on after this.
fn hear(mux: &mut Mux, streams: &mut BTreeMap<u32, Heard>, frame: Frame) -> bool {
    match &frame {
        Frame::Credit(id, bytes) => {
            if let Some(heard) = streams.get_mut(id) {
                heard.room = heard.room.saturating_add(u64::from(*bytes));
            }
        }
        Frame::Data(id, data) if mux.stream(*id).is_some() => {
            if let Some(heard) = streams.get_mut(id) {
                heard.got += data.len() as u64;
            }
        }
        Frame::Data(..) | Frame::Open(_) | Frame::End(_) => {}
    }
    let over = mux.receive(frame);
    if let Ok(Some(id)) = over {
        streams.insert(id, Heard::default());
    }
    for (id, heard) in streams.iter() {
        if let (Ok(_), Some(stream)) = (&over, mux.stream(*id)) {
            // What was told is at most what is given; what is read frees as much.
            assert!(stream.inbox.len() as u64 <= u64::from(WINDOW), "too much is held of stream {id}");
            assert!(heard.got == 0 || heard.given > 0, "data of stream {id} was taken before there was room");
        }
    }
    over.is_ok()
}

/// Have the mux say what it has to say, so many frames at most; it comes to an end by itself.
fn say(mux: &mut Mux, streams: &mut BTreeMap<u32, Heard>, most: usize) {
    for said in 0..most {
        let Some(frame) = mux.next_frame() else { return };
        assert!(said < 100_000, "it never stops");
        match frame {
            Frame::Data(id, data) => {
                let heard = streams.get_mut(&id).expect("it is a stream");
                heard.said += data.len() as u64;
                assert!(!data.is_empty() && heard.said <= heard.room, "more than there is room for: stream {id}");
            }
            Frame::Credit(_, bytes) => assert!(0 < bytes && bytes <= WINDOW),
            Frame::Open(_) | Frame::End(_) => {}
        }
    }
}

fn write(mux: &mut Mux, id: u32, bytes: &[u8]) -> usize {
    let Some(stream) = mux.stream(id).filter(|stream| !stream.closing && !stream.peer_closed) else { return 0 };
    let length = bytes.len().min(super::mux::OUTBOX.saturating_sub(stream.outbox.len()));
    stream.outbox.extend_from_slice(&bytes[..length]);
    mux.gets_turn(id);
    length
}

fn read(mux: &mut Mux, id: u32, most: usize) -> BytesMut {
    let Some(stream) = mux.stream(id) else { return BytesMut::new() };
    let length = most.min(stream.inbox.len());
    let read = stream.inbox.split_to(length);
    mux.freed(id, length);
    read
}

fn shut(mux: &mut Mux, id: u32) {
    if let Some(stream) = mux.stream(id) {
        stream.closing = true;
        mux.gets_turn(id);
    }
}

/// Both sides of a connection, with what is on its way between them.
struct Pair {
    sides: [Mux; 2],
    ways: [std::collections::VecDeque<Frame>; 2],
    /// Of each stream, from each side: what was written and not read by the other.
    texts: BTreeMap<(u32, usize), Text>,
}

#[derive(Default)]
struct Text {
    written: u64,
    read: u64,
    /// Somebody has closed, so that not all of it need arrive.
    cut: bool,
}

impl Default for Pair {
    fn default() -> Self {
        let sides = [Side::Opening, Side::Accepting].map(Mux::new);
        Self { sides, ways: Default::default(), texts: BTreeMap::new() }
    }
}

impl Pair {
    fn play(mut self, mut input: Input<'_>) {
        while !input.is_over() {
            let (side, id) = (usize::from(input.byte() % 2), u32::from(input.byte() % 4) * 2);
            match input.byte() % 8 {
                0 => self.open(),
                1 => {
                    self.write(side, id, input.length());
                }
                2 => self.read(side, id, input.length()),
                3 => {
                    shut(&mut self.sides[side], id);
                    self.cut(id);
                }
                4 => {
                    self.sides[side].abandon(id);
                    self.cut(id);
                }
                _ => self.carry(side),
            }
        }
        self.settle();
    }

    fn open(&mut self) {
        // The numbers that the input can name.
        if self.texts.len() < 8
            && let Ok(id) = self.sides[0].open()
        {
            self.texts.insert((id, 0), Text::default());
            self.texts.insert((id, 1), Text::default());
        }
    }

    fn cut(&mut self, id: u32) {
        for side in 0..2 {
            if let Some(text) = self.texts.get_mut(&(id, side)) {
                text.cut = true;
            }
        }
    }

    /// Each byte of a text is told by its place.
    fn write(&mut self, side: usize, id: u32, length: usize) {
        let Some(text) = self.texts.get_mut(&(id, side)) else { return };
        let bytes: Vec<u8> = (text.written..).take(length).map(place).collect();
        text.written += write(&mut self.sides[side], id, &bytes) as u64;
    }

    fn read(&mut self, side: usize, id: u32, most: usize) {
        let Some(text) = self.texts.get_mut(&(id, 1 - side)) else { return };
        for byte in read(&mut self.sides[side], id, most) {
            assert_eq!(byte, place(text.read), "what is read on stream {id} is not what was written");
            text.read += 1;
        }
        assert!(text.read <= text.written);
    }

    /// A frame is said by this side, and arrives at the other.
    fn carry(&mut self, side: usize) {
        self.ways[side].extend(self.sides[side].next_frame());
        if let Some(frame) = self.ways[side].pop_front() {
            let other = &mut self.sides[1 - side];
            let opened = other.receive(frame).expect("our own side keeps to the protocol");
            if let Some(id) = opened {
                other.accept(id);
            }
        }
    }

    /// Everything is carried and read until nothing happens any more: then everything has arrived.
    fn settle(&mut self) {
        let ids: Vec<u32> = self.texts.keys().map(|(id, _)| *id).collect();
        for _ in 0..10_000 {
            for side in 0..2 {
                (0..32).for_each(|_| self.carry(side));
                ids.iter().for_each(|id| self.read(side, *id, MOST));
            }
            if self.texts.values().all(|text| text.cut || text.read == text.written) {
                return;
            }
        }
        panic!("something that was written never arrives");
    }
}

fn place(number: u64) -> u8 {
    u8::try_from(number % 251).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    /// What the fuzzer does for hours, for a moment and always the same.
    #[test]
    fn inputs_by_chance_break_nothing() {
        let mut dice: u64 = 0x9e37_79b9_7f4a_7c15;
        for round in 0..3000_u64 {
            let mut roll = || {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                u8::try_from(dice >> 56).unwrap()
            };
            let mut input = vec![u8::try_from(round % 3).unwrap()];
            input.extend((0..usize::from(roll())).map(|_| roll()));
            super::exercise(&input);
        }
    }
}
