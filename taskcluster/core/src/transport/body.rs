use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_util::StreamExt;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

/// Any error that can cross threads.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request or an answer: nothing, bytes that are there already, or a stream of them.
#[derive(Default)]
pub struct Body(Kind);

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BoxError> + Send>>),
}

/// A body that is longer than its reader allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the body is longer than {limit} bytes")]
pub struct BodyTooLarge {
    /// How many bytes were allowed.
    pub limit: usize,
}

impl Body {
    /// No bytes.
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// Any other body.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Kind::Stream(Box::pin(body.map_err(Into::into))))
    }

    /// The pieces of a stream, one after another. Its length is not known: set `content-length` where the receiver
    /// needs it.
    pub fn from_stream<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self::new(http_body_util::StreamBody::new(stream.map(|piece| piece.map(Frame::data))))
    }

    /// The pieces of a stream that are `length` bytes together. It is the stream's duty that they are.
    pub fn sized<S, E>(stream: S, length: u64) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self::new(Sized { stream: Self::from_stream(stream), left: length })
    }

    /// The bytes, if they are all here already.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.0 {
            Kind::Empty => Some(&[]),
            Kind::Full(bytes) => Some(bytes),
            Kind::Stream(_) => None,
        }
    }

    /// The bytes, if they are all here already; otherwise the body itself, untouched.
    ///
    /// # Errors
    /// The body, if it is a stream.
    pub fn into_bytes(self) -> Result<Bytes, Self> {
        match self.0 {
            Kind::Empty => Ok(Bytes::new()),
            Kind::Full(bytes) => Ok(bytes),
            Kind::Stream(stream) => Err(Self(Kind::Stream(stream))),
        }
    }

    /// Reads all of the body.
    ///
    /// # Errors
    /// [`BodyTooLarge`] beyond `limit` bytes, and whatever breaks the stream.
    pub async fn collect(self, limit: usize) -> Result<Bytes, BoxError> {
        let too_large = || BoxError::from(BodyTooLarge { limit });
        let mut stream = match self.into_bytes() {
            Ok(bytes) if bytes.len() > limit => return Err(too_large()),
            Ok(bytes) => return Ok(bytes),
            Err(stream) => stream,
        };
        // One piece, the usual case, is passed on without a copy.
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(frame) = stream.frame().await {
            let Ok(piece) = frame?.into_data() else { continue };
            if piece.len() > limit - (first.len() + all.len()).min(limit) {
                return Err(too_large());
            }
            if first.is_empty() && all.is_empty() {
                first = piece;
                continue;
            }
            if all.is_empty() {
                all.reserve(first.len() + piece.len());
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&piece);
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }

    /// The body's pieces as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static {
        http_body_util::BodyDataStream::new(self)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(stream) => stream.size_hint(),
        }
    }
}

/// A stream that knows how much of it is left.
struct Sized {
    stream: Body,
    left: u64,
}

impl http_body::Body for Sized {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.stream).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame {
            let length = frame.data_ref().map_or(0, |piece| piece.len() as u64);
            self.left = self.left.saturating_sub(length);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::empty() } else { Self(Kind::Full(bytes)) }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Empty => f.write_str("Body(empty)"),
            Kind::Full(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(pieces: &[&'static str]) -> Body {
        let pieces: Vec<Result<Bytes, BoxError>> =
            pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect();
        Body::from_stream(futures_util::stream::iter(pieces))
    }

    #[tokio::test]
    async fn bodies_are_collected_up_to_a_limit() {
        for body in
            [pieces(&["abc", "de", "", "f"]), Body::from("abcdef"), pieces(&["abcdef"]), pieces(&["", "abcdef"])]
        {
            assert_eq!(body.collect(6).await.unwrap(), "abcdef");
        }
        for body in [pieces(&["abc", "de", "f"]), Body::from("abcdef"), pieces(&["abcdef"])] {
            assert!(body.collect(5).await.unwrap_err().is::<BodyTooLarge>());
        }
        assert_eq!(Body::empty().collect(0).await.unwrap(), "");
    }

    #[tokio::test]
    async fn an_error_ends_the_reading() {
        let broken = futures_util::stream::iter([Ok(Bytes::from_static(b"abc")), Err(BoxError::from("cut"))]);
        assert_eq!(Body::from_stream(broken).collect(10).await.unwrap_err().to_string(), "cut");
    }

    #[test]
    fn bytes_that_are_here_can_be_looked_at() {
        assert_eq!(Body::empty().as_bytes(), Some(&b""[..]));
        assert_eq!(Body::from("abc").as_bytes(), Some(&b"abc"[..]));
        assert_eq!(pieces(&["abc"]).as_bytes(), None);
    }

    #[test]
    fn debug_shows_no_content() {
        assert_eq!(
            format!("{:?} {:?} {:?}", Body::empty(), Body::from("secret"), pieces(&["secret"])),
            "Body(empty) Body(6 bytes) Body(stream)"
        );
    }
}
