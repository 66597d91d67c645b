//! What the protocols of pages have in common: each says in its own way what is typed, printed and how it ends.
//!
//! Without any I/O. Who speaks them is a [`Page`](super::page::Page).

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::Size;
use super::frame::Name;

/// A protocol that pages speak.
pub(crate) trait Dialect: Send + Sync {
    /// What is said first, if anything is.
    fn greeting(&self) -> Option<Message>;

    /// What a page means.
    fn understand(&self, message: Message) -> Said;

    /// What the program has printed.
    fn printed(&self, stream: Name, bytes: &[u8]) -> Message;

    /// A page is to type no more for now, or again; `None` where there is no way to say so.
    fn pause(&self, pauses: bool) -> Option<Message>;

    /// What it said is wrong, and it may go on; `None` where there is no way to say so.
    fn complain(&self, why: &str) -> Option<Message>;

    /// What is said last, before the websocket is closed.
    fn farewell(&self, end: &End) -> Option<Message>;
}

/// What a page means by a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// This was typed.
    Typed(Bytes),
    /// Nothing more will be.
    TypedAll,
    /// The terminal has this size.
    Resized(Size),
    /// Nothing can be taken for now.
    Pause,
    /// Now it can.
    Resume,
    /// What nobody needs to understand.
    Nothing,
    /// What cannot be done; why.
    Wrong(&'static str),
}

/// Why nothing more is said to a page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum End {
    #[error("exit code {0}")]
    Exited(i32),
    #[error("the task has ended")]
    TaskOver,
    /// There are as many shells as there may be.
    #[error("there are too many shells in this task already: {0}")]
    Full(usize),
    /// It cannot be started, or nobody knows how it ended.
    #[error("{0}")]
    Failed(String),
    #[error("a message is too long")]
    TooLong,
    #[error("this is not what a websocket says")]
    Garbled,
}

/// How long the reason of a close frame may be: RFC 6455, section 5.5.
const REASON: usize = 123;

impl End {
    /// How the websocket is closed: RFC 6455, section 7.4, and `1013` of its registry. The reason is for people, and for
    /// those who look for `exit code N`.
    pub(crate) fn frame(&self) -> CloseFrame {
        let code = match self {
            Self::Exited(_) => CloseCode::Normal,
            Self::TaskOver => CloseCode::Away,
            Self::Full(_) => CloseCode::Again,
            Self::Failed(_) => CloseCode::Error,
            Self::TooLong => CloseCode::Size,
            Self::Garbled => CloseCode::Protocol,
        };
        let mut reason = self.to_string();
        reason.truncate(reason.floor_char_boundary(REASON));
        CloseFrame { code, reason: reason.into() }
    }
}

/// Two numbers of 16 bits each, little-endian: lines, then characters of a line. Both protocols have it so.
pub(super) fn size(bytes: &[u8]) -> Option<Size> {
    let [rows, rows_, columns, columns_] = *bytes else { return None };
    Some(Size { rows: u16::from_le_bytes([rows, rows_]), columns: u16::from_le_bytes([columns, columns_]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fits_into_the_frame_of_a_websocket() {
        let reason = End::Failed("ä".repeat(200)).frame().reason;
        assert_eq!(reason.as_str(), "ä".repeat(61));
        assert_eq!(End::Exited(7).frame().reason.as_str(), "exit code 7");
    }

    #[test]
    fn a_size_has_four_bytes() {
        assert_eq!(size(&[24, 0, 44, 1]), Some(Size { rows: 24, columns: 300 }));
        for wrong in [&[][..], &[1, 2, 3], &[1, 2, 3, 4, 5]] {
            assert_eq!(size(wrong), None);
        }
    }
}
