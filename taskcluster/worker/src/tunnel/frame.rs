//! What is said over a tunnel, each a binary message: the kind, the number of the stream, and what belongs to it.

use bytes::{BufMut as _, Bytes, BytesMut};

/// Kind and number come before everything else.
const HEAD: usize = 5;

/// One message. Numbers are little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Kind 0: a piece of what is sent on a stream.
    Data(u32, Bytes),
    /// Kind 1: here is a stream.
    Open(u32),
    /// Kind 2: so many more bytes may be sent. The first on a stream accepts it.
    Credit(u32, u32),
    /// Kind 3: this side neither sends nor reads any more.
    End(u32),
}

impl Frame {
    /// `None` for what is no frame, or one of a kind that nobody knows yet.
    pub(super) fn decode(mut message: Bytes) -> Option<Self> {
        let kind = *message.first()?;
        let id = number(message.get(1..HEAD)?)?;
        let payload = message.split_off(HEAD);
        match kind {
            0 => Some(Self::Data(id, payload)),
            1 => Some(Self::Open(id)),
            2 => Some(Self::Credit(id, number(&payload)?)),
            3 => Some(Self::End(id)),
            _ => None,
        }
    }

    pub(super) fn encode(&self) -> Bytes {
        let (kind, id, payload): (u8, u32, &[u8]) = match self {
            Self::Data(id, data) => (0, *id, data),
            Self::Open(id) => (1, *id, &[]),
            Self::Credit(id, bytes) => (2, *id, &bytes.to_le_bytes()),
            Self::End(id) => (3, *id, &[]),
        };
        let mut message = BytesMut::with_capacity(HEAD + payload.len());
        message.put_u8(kind);
        message.put_u32_le(id);
        message.put_slice(payload);
        message.freeze()
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_what_the_protocol_says() {
        for (frame, bytes) in [
            (Frame::Data(258, Bytes::from_static(b"ab")), &[0, 2, 1, 0, 0, b'a', b'b'][..]),
            (Frame::Open(1), &[1, 1, 0, 0, 0]),
            (Frame::Credit(4, 4096), &[2, 4, 0, 0, 0, 0, 16, 0, 0]),
            (Frame::End(u32::MAX), &[3, 255, 255, 255, 255]),
        ] {
            assert_eq!(frame.encode(), bytes);
            assert_eq!(Frame::decode(Bytes::copy_from_slice(bytes)), Some(frame));
        }
    }

    #[test]
    fn what_is_no_frame_is_none() {
        for bytes in [&[][..], &[1, 0, 0, 0], &[2, 0, 0, 0, 0], &[2, 0, 0, 0, 0, 1, 2, 3], &[9, 0, 0, 0, 0]] {
            assert_eq!(Frame::decode(Bytes::copy_from_slice(bytes)), None, "{bytes:?}");
        }
    }
}
