//! The protocol of generic-worker, `v=2` of web interfaces.
//!
//! Whatever comes from the worker is output of a terminal. What comes from the page is a byte that says what it is, and the
//! rest: 1 for what is typed, 2 for a size, lines and characters of a line of 16 bits each, little-endian. There is no way to
//! tell an exit code, nor that somebody should wait.
//!
//! So the end is told by the frame that closes the websocket, and who reads or types too much is made to wait by TCP.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;

use super::dialect::{Dialect, End, Said, size};
use super::frame::Name;

const TYPED: u8 = 1;
const RESIZED: u8 = 2;

/// Speaks it with one page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct V2;

impl Dialect for V2 {
    fn greeting(&self) -> Option<Message> {
        None
    }

    fn understand(&self, message: Message) -> Said {
        // Some clients send text, which means the same.
        let message = message.into_data();
        match message.first() {
            Some(&TYPED) => Said::Typed(message.slice(1..)),
            Some(&RESIZED) => size(&message[1..]).map_or(Said::Nothing, Said::Resized),
            // As its server has it.
            Some(_) | None => Said::Nothing,
        }
    }

    fn printed(&self, _stream: Name, bytes: &[u8]) -> Message {
        Message::binary(Bytes::copy_from_slice(bytes))
    }

    fn pause(&self, _pauses: bool) -> Option<Message> {
        None
    }

    fn complain(&self, _why: &str) -> Option<Message> {
        None
    }

    /// Pages show no reasons of close frames, so what went wrong is printed; what the program printed is left alone.
    fn farewell(&self, end: &End) -> Option<Message> {
        match end {
            End::Exited(_) | End::TaskOver => None,
            End::Full(_) | End::Failed(_) | End::TooLong | End::Garbled => {
                Some(Message::binary(format!("\r\n{end}\r\n").into_bytes()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::Size;

    #[test]
    fn what_a_page_says() {
        assert_eq!(V2.understand(Message::binary(&b"\x01ls"[..])), Said::Typed(Bytes::from_static(b"ls")));
        assert_eq!(V2.understand(Message::text("\u{1}ls")), Said::Typed(Bytes::from_static(b"ls")));
        let size = Size { rows: 24, columns: 300 };
        assert_eq!(V2.understand(Message::binary(&b"\x02\x18\0\x2c\x01"[..])), Said::Resized(size));
        for nothing in [&b""[..], b"\x02", b"\x02\x18\0\x50", b"\x02\x18\0\x50\0\0", b"\x00x", b"\xff"] {
            assert_eq!(V2.understand(Message::binary(nothing)), Said::Nothing);
        }
    }
}
