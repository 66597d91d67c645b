//! What is said over a websocket: data as binary messages, everything else as JSON.
//!
//! A binary message is the number of a stream (0 standard input, 1 output, 2 error), the place of its first byte in that
//! stream (64 bits, big-endian), and the bytes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio_tungstenite::tungstenite::Message;

use super::streams::{PIECE, Violation};
use super::{ShellRequest, Size};

const HEAD: usize = 9;

/// A stream of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Name {
    Stdin,
    Stdout,
    Stderr,
}

/// What is not data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum Control {
    /// The visitor's first message: start this.
    Open(ShellRequest),
    /// Or: go on with that session, whose output has come so far.
    Resume { session: String, stdout: u64, stderr: u64 },
    /// The answer: its input has come so far.
    Opened { session: String, stdin: u64 },
    /// What comes before this place was passed on: so much more may be sent.
    Ack { stream: Name, offset: u64 },
    /// The stream ends here.
    End { stream: Name, offset: u64 },
    /// The visitor's terminal has this size.
    Resize(Size),
    /// The program has ended.
    Exit { code: i32 },
    /// The visitor knows how it ended, or wants no more of it.
    Bye,
    /// There is no session, or no more; why.
    Error { message: String },
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Control(Control),
    Data { stream: Name, offset: u64, bytes: Bytes },
}

impl Frame {
    /// The message for the websocket.
    pub(crate) fn encode(&self) -> Message {
        match self {
            Self::Control(control) => {
                let text = serde_json::to_string(control).expect("texts and numbers become JSON");
                Message::text(text)
            }
            Self::Data { stream, offset, bytes } => {
                let mut message = Vec::with_capacity(HEAD + bytes.len());
                message.push(*stream as u8);
                message.extend(offset.to_be_bytes());
                message.extend(bytes);
                Message::binary(message)
            }
        }
    }

    /// What a binary message says.
    pub(crate) fn of_binary(message: &Bytes) -> Result<Self, Violation> {
        let (head, _) = message.split_first_chunk::<HEAD>().ok_or(Violation("a binary message is too short"))?;
        let [stream, offset @ ..] = *head;
        let stream = match stream {
            0 => Name::Stdin,
            1 => Name::Stdout,
            2 => Name::Stderr,
            _ => return Err(Violation("there is no such stream")),
        };
        let bytes = message.slice(HEAD..);
        if bytes.len() > PIECE {
            return Err(Violation("a piece of a stream is too long"));
        }
        Ok(Self::Data { stream, offset: u64::from_be_bytes(offset), bytes })
    }

    /// What a text message says.
    pub(crate) fn of_text(message: &str) -> Result<Self, Violation> {
        serde_json::from_str(message)
            .map(Self::Control)
            .map_err(|_| Violation("a message of text is none that is known"))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Control(_) => 0,
            Self::Data { bytes, .. } => bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_what_is_understood() {
        let data = Frame::Data { stream: Name::Stderr, offset: 258, bytes: Bytes::from_static(b"ab") };
        let message = data.encode().into_data();
        assert_eq!(&message[..], b"\x02\0\0\0\0\0\0\x01\x02ab");
        assert_eq!(Frame::of_binary(&message), Ok(data));
        let size = Size { rows: 24, columns: 80 };
        let open = Frame::Control(Control::Open(ShellRequest::new(["sh"]).with_terminal(size)));
        let text = open.encode().into_text().unwrap();
        assert_eq!(text.as_str(), r#"{"type":"open","command":["sh"],"terminal":{"rows":24,"columns":80}}"#);
        assert_eq!(Frame::of_text(&text), Ok(open));
    }

    #[test]
    fn what_nobody_says_is_refused() {
        for message in [&b""[..], b"\0short", b"\x03\0\0\0\0\0\0\0\0x", &[0; HEAD + PIECE + 1]] {
            Frame::of_binary(&Bytes::copy_from_slice(message)).unwrap_err();
        }
        for text in ["", "{}", r#"{"type":"sing"}"#, r#"{"type":"ack","stream":"stdin","offset":-1}"#] {
            Frame::of_text(text).unwrap_err();
        }
    }
}
