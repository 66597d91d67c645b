//! The form of server-sent events, taken apart piece by piece.
//!
//! What the [standard](https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream) says, and
//! nothing more: lines that end with CR, LF or both; fields; an event at each empty line. An event that is cut off is none.

use std::collections::VecDeque;

/// An event whose line or data are longer is given without data.
const LONGEST: usize = 32 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerEvent {
    /// The field `event`; empty if there was none.
    pub(super) name: String,
    /// The field `id`.
    pub(super) id: Option<String>,
    /// The fields `data`, joined by line breaks.
    pub(super) data: String,
    /// Whether it was too long to be kept.
    pub(super) too_long: bool,
}

/// Takes bytes as they come and gives events.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// Of a line that has not ended yet.
    line: Vec<u8>,
    /// Of an event that has not ended yet.
    event: ServerEvent,
    has_data: bool,
    /// Whether an LF is the second half of the line break that has been seen.
    after_cr: bool,
    /// Whether the first line is over, which may begin with a mark.
    begun: bool,
    events: VecDeque<ServerEvent>,
}

impl Parser {
    /// Takes what has come.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.keep(bytes);
                return;
            };
            self.keep(&bytes[..end]);
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            self.end_line();
        }
    }

    /// The next event that is complete.
    pub(super) fn next(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.line.len() + bytes.len() > LONGEST {
            self.event.too_long = true;
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let begun = std::mem::replace(&mut self.begun, true);
        let line = if begun { &line[..] } else { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line) };
        let line = String::from_utf8_lossy(line);
        if line.is_empty() {
            return self.end_event();
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        self.field(field, value.strip_prefix(' ').unwrap_or(value));
    }

    /// A field without a name is a comment; other unknown ones mean nothing either.
    fn field(&mut self, field: &str, value: &str) {
        let event = &mut self.event;
        match field {
            "event" => value.clone_into(&mut event.name),
            "id" if !value.contains('\0') => event.id = Some(value.to_owned()),
            "data" => {
                if event.data.len() + value.len() > LONGEST {
                    event.too_long = true;
                    event.data.clear();
                }
                if !event.too_long {
                    if self.has_data {
                        event.data.push('\n');
                    }
                    event.data.push_str(value);
                }
                self.has_data = true;
            }
            _ => {}
        }
    }

    fn end_event(&mut self) {
        let event = std::mem::take(&mut self.event);
        if std::mem::take(&mut self.has_data) || event.too_long {
            self.events.push_back(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<ServerEvent> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser.feed(piece);
            events.extend(std::iter::from_fn(|| parser.next()));
        }
        events
    }

    fn event(name: &str, id: Option<&str>, data: &str) -> ServerEvent {
        ServerEvent { name: name.into(), id: id.map(Into::into), data: data.into(), too_long: false }
    }

    const TRANSCRIPT: &str = concat!(
        "\u{feff}event: ready\nid: e.0\ndata: true\n\n",
        ": a comment\n\n",
        "event: message\r\nid: e.1\r\ndata: {\"é\":\r\ndata:  1}\r\n\r\n",
        "data\rdata:\rid\r\r",
        "retry: 10\nunknown: x\ndata:no space\n\n",
        "event: without data\nid: e.2\n\n",
        "data: ❤\n\n",
        "data: cut o",
    );

    fn expected() -> Vec<ServerEvent> {
        vec![
            event("ready", Some("e.0"), "true"),
            event("message", Some("e.1"), "{\"é\":\n 1}"),
            event("", Some(""), "\n"),
            event("", None, "no space"),
            event("", None, "❤"),
        ]
    }

    #[test]
    fn it_is_the_standard_that_decides() {
        assert_eq!(parse([TRANSCRIPT.as_bytes()]), expected());
    }

    #[test]
    fn where_the_pieces_are_cut_does_not_matter() {
        let all = TRANSCRIPT.as_bytes();
        for cut in 0..=all.len() {
            assert_eq!(parse([&all[..cut], &all[cut..]]), expected(), "cut at {cut}");
        }
        assert_eq!(parse(all.chunks(1)), expected());
    }

    #[test]
    fn any_bytes_are_taken_and_cuts_do_not_matter_to_them_either() {
        // A generator of its own keeps the test the same each time.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let words: [&[u8]; 12] = [
            b"data",
            b"event",
            b"id",
            b":",
            b" ",
            b"\r",
            b"\n",
            b"\r\n",
            b"\xff",
            b"\xef\xbb\xbf",
            b"\0",
            "é".as_bytes(),
        ];
        for _ in 0..2_000 {
            let length = random() % 40;
            let text: Vec<u8> =
                (0..length).flat_map(|_| words[(random() % words.len() as u64) as usize].iter().copied()).collect();
            let whole = parse([&text[..]]);
            let size = 1 + (random() % 7) as usize;
            assert_eq!(parse(text.chunks(size)), whole, "{text:?} by {size}");
        }
    }

    #[test]
    fn what_is_too_long_is_dropped_and_told() {
        let mut parser = Parser::default();
        parser.feed(b"id: e.1\ndata: ");
        let piece = vec![b'x'; 1 << 20];
        (0..40).for_each(|_| parser.feed(&piece));
        parser.feed(b"\n\ndata: next\n\n");
        let too_long = parser.next().unwrap();
        assert!(too_long.too_long && too_long.data.len() <= LONGEST && too_long.id.as_deref() == Some("e.1"));
        assert_eq!(parser.next(), Some(event("", None, "next")));
    }
}
