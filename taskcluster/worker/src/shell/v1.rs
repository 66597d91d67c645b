//! The protocol of docker-worker, `v=1` of web interfaces: that of docker-exec-websocket-server.
//!
//! The query of the address says what to start: `?tty=true&command=sh&command=-c&command=…`. A message is a byte that says
//! what it is, and the rest:
//!
//! | byte | is | from | with |
//! |---|---|---|---|
//! | 0 | standard input | the page | bytes |
//! | 1, 2 | standard output, error | the worker | bytes |
//! | 50 | resize | the page | lines and characters of a line, 16 bits each, little-endian |
//! | 100 | resume; the worker's first: it is ready | both | |
//! | 101 | pause | both | |
//! | 102 | end of input | the page | |
//! | 200 | it has ended | the worker | the exit code, a byte |
//! | 201 | the worker ends the shell | the worker | |
//! | 202 | error | the worker | text |

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;
use url::form_urlencoded;

use super::dialect::{Dialect, End, Said, size};
use super::frame::Name;
use super::{ShellRequest, Size};

mod code {
    pub(super) const STDIN: u8 = 0;
    pub(super) const STDOUT: u8 = 1;
    pub(super) const STDERR: u8 = 2;
    pub(super) const RESIZE: u8 = 50;
    pub(super) const RESUME: u8 = 100;
    pub(super) const PAUSE: u8 = 101;
    pub(super) const END: u8 = 102;
    pub(super) const STOPPED: u8 = 200;
    pub(super) const SHUTDOWN: u8 = 201;
    pub(super) const ERROR: u8 = 202;
}

/// Speaks it with one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct V1 {
    has_terminal: bool,
}

impl V1 {
    /// What the query of an address asks for. Until a page tells the size of its terminal, that is `usual`.
    pub(crate) fn of_query(query: &str, usual: Size) -> (Self, ShellRequest) {
        let (mut command, mut has_terminal) = (Vec::new(), false);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "command" => command.push(value.into_owned()),
                "tty" => has_terminal = value.eq_ignore_ascii_case("true"),
                _ => {}
            }
        }
        (Self { has_terminal }, ShellRequest { command, terminal: has_terminal.then_some(usual) })
    }
}

impl Dialect for V1 {
    fn greeting(&self) -> Option<Message> {
        self.pause(false)
    }

    fn understand(&self, message: Message) -> Said {
        let message = message.into_data();
        let Some(code) = message.first() else { return Said::Nothing };
        match *code {
            code::STDIN => Said::Typed(message.slice(1..)),
            code::END => Said::TypedAll,
            code::RESUME => Said::Resume,
            code::PAUSE => Said::Pause,
            code::RESIZE if !self.has_terminal => Said::Wrong("it cannot be resized: it has no terminal"),
            code::RESIZE => size(&message[1..]).map_or(Said::Wrong("a size has four bytes"), Said::Resized),
            // As its server has it.
            _ => Said::Nothing,
        }
    }

    fn printed(&self, stream: Name, bytes: &[u8]) -> Message {
        message(if stream == Name::Stderr { code::STDERR } else { code::STDOUT }, bytes)
    }

    fn pause(&self, pauses: bool) -> Option<Message> {
        Some(message(if pauses { code::PAUSE } else { code::RESUME }, &[]))
    }

    fn complain(&self, why: &str) -> Option<Message> {
        Some(message(code::ERROR, why.as_bytes()))
    }

    fn farewell(&self, end: &End) -> Option<Message> {
        match end {
            // There is no room for more of the code.
            End::Exited(code) => Some(message(code::STOPPED, &code.to_le_bytes()[..1])),
            End::TaskOver => Some(message(code::SHUTDOWN, &[])),
            End::Full(_) | End::Failed(_) | End::TooLong | End::Garbled => self.complain(&end.to_string()),
        }
    }
}

fn message(code: u8, bytes: &[u8]) -> Message {
    Message::binary(Bytes::from([&[code][..], bytes].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Size = Size { rows: 24, columns: 80 };

    fn understood(dialect: V1, bytes: &'static [u8]) -> Said {
        dialect.understand(Message::binary(bytes))
    }

    #[test]
    fn the_query_is_a_command_line() {
        let (dialect, request) = V1::of_query("tty=true&command=sh&command=-c&command=echo%20%26+1", USUAL);
        assert_eq!(dialect, V1 { has_terminal: true });
        assert_eq!(request, ShellRequest::new(["sh", "-c", "echo & 1"]).with_terminal(USUAL));
        for query in ["", "tty=false", "tty=&other=1"] {
            assert_eq!(V1::of_query(query, USUAL), (V1 { has_terminal: false }, ShellRequest::default()), "{query}");
        }
    }

    #[test]
    fn what_a_page_says() {
        let dialect = V1 { has_terminal: true };
        assert_eq!(understood(dialect, b"\x00ls\n"), Said::Typed(Bytes::from_static(b"ls\n")));
        assert_eq!(understood(dialect, b"\x32\x18\0\x50\0"), Said::Resized(USUAL));
        for (code, said) in [(100, Said::Resume), (101, Said::Pause), (102, Said::TypedAll), (77, Said::Nothing)] {
            assert_eq!(dialect.understand(message(code, b"")), said);
        }
        assert_eq!(understood(dialect, b""), Said::Nothing);
        assert!(matches!(understood(dialect, b"\x32\x18\0\x50"), Said::Wrong(_)));
        assert!(matches!(understood(V1 { has_terminal: false }, b"\x32\x18\0\x50\0"), Said::Wrong(_)));
    }

    #[test]
    fn what_a_page_is_told() {
        let dialect = V1 { has_terminal: false };
        let told = |end| dialect.farewell(&end).unwrap().into_data();
        assert_eq!(dialect.printed(Name::Stderr, b"no").into_data(), &b"\x02no"[..]);
        assert_eq!(told(End::Exited(143)), &[200, 143][..]);
        assert_eq!(told(End::Exited(-1)), &[200, 255][..]);
        assert_eq!(told(End::TaskOver), &[201][..]);
        assert!(told(End::Full(10)).starts_with(b"\xcathere are too many"));
    }
}
