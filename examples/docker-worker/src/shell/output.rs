//! What a program in a container prints.

use std::collections::VecDeque;
use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use taskcluster_worker::error::Result;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_util::sync::CancellationToken;

/// The longest line that a program is greeted by.
const LONGEST_LINE: usize = 4096;

/// Where a program printed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Stdout,
    Stderr,
}

/// The stream of a terminal, or the two of a program that has none: in frames of a byte that says which, three of no meaning, and
/// the length as four bytes, the highest first.
#[derive(Debug)]
pub(super) struct Output<R> {
    from: R,
    is_framed: bool,
    read: BytesMut,
    /// What is left of the frame that has begun.
    frame: Option<(Side, usize)>,
    /// What was read already and is to be read again.
    again: VecDeque<(Side, Bytes)>,
}

impl<R: AsyncRead + Unpin> Output<R> {
    pub(super) fn raw(from: R) -> Self {
        Self { from, is_framed: false, read: BytesMut::new(), frame: None, again: VecDeque::new() }
    }

    pub(super) fn framed(from: R) -> Self {
        Self { is_framed: true, ..Self::raw(from) }
    }

    /// The next piece; `None` at the end. Cancel safe.
    pub(super) async fn next(&mut self) -> io::Result<Option<(Side, Bytes)>> {
        if let Some(piece) = self.again.pop_front() {
            return Ok(Some(piece));
        }
        loop {
            if let Some(piece) = self.parse()? {
                return Ok(Some(piece));
            }
            if self.from.read_buf(&mut self.read).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn parse(&mut self) -> io::Result<Option<(Side, Bytes)>> {
        if !self.is_framed {
            let piece = self.read.split().freeze();
            return Ok((!piece.is_empty()).then_some((Side::Stdout, piece)));
        }
        loop {
            match self.frame {
                Some((_, 0)) => self.frame = None,
                Some((side, left)) => {
                    let piece = self.read.split_to(left.min(self.read.len())).freeze();
                    self.frame = Some((side, left - piece.len()));
                    return Ok((!piece.is_empty()).then_some((side, piece)));
                }
                None if self.read.len() < 8 => return Ok(None),
                None => {
                    let side = match self.read.get_u8() {
                        1 => Side::Stdout,
                        // What the engine itself has to say comes so, too.
                        2 | 3 => Side::Stderr,
                        other => return Err(io::Error::other(format!("Docker sends a frame of the kind {other}"))),
                    };
                    self.read.advance(3);
                    let left = usize::try_from(self.read.get_u32()).map_err(io::Error::other)?;
                    self.frame = Some((side, left));
                }
            }
        }
    }

    /// The first line of the standard output, or as much as there is of it.
    pub(super) async fn line(&mut self) -> io::Result<String> {
        let mut line = BytesMut::new();
        let mut beside = VecDeque::new();
        while line.len() < LONGEST_LINE {
            match self.next().await? {
                Some((Side::Stdout, mut piece)) => match piece.iter().position(|byte| *byte == b'\n') {
                    Some(end) => {
                        line.extend(piece.split_to(end + 1));
                        if !piece.is_empty() {
                            beside.push_back((Side::Stdout, piece));
                        }
                        break;
                    }
                    None => line.extend(piece),
                },
                Some(piece) => beside.push_back(piece),
                None => break,
            }
        }
        self.again = beside;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }
}

/// Pass on what a program prints, as fast as it is taken. `over` is told when nothing more comes.
///
/// The engine drops what nobody has read two seconds after a program has ended. So whoever reads slowly is waited for only as long
/// as the program is there, and can be held up; from then on everything is taken, which is not more than fits into pipes.
pub(super) async fn deliver<R: AsyncRead + Unpin>(
    mut output: Output<R>,
    [mut stdout, mut stderr]: [DuplexStream; 2],
    ended: impl Future<Output = Result<i32>>,
    over: CancellationToken,
) {
    let _over = over.drop_guard();
    let mut waiting: VecDeque<(Side, Bytes)> = VecDeque::new();
    let (mut has_ended, mut is_read) = (false, false);
    let mut ended = std::pin::pin!(ended);
    while !(is_read && waiting.is_empty()) {
        let first = waiting.front().map(|(side, piece)| (*side, piece.clone()));
        tokio::select! {
            piece = output.next(), if !is_read && (waiting.is_empty() || has_ended) => match piece {
                Ok(Some(piece)) => waiting.push_back(piece),
                Ok(None) => is_read = true,
                Err(error) => {
                    tracing::debug!(%error, "the output of a program in a container breaks off");
                    is_read = true;
                }
            },
            wrote = write(first, &mut stdout, &mut stderr) => match wrote {
                Ok(wrote) => {
                    if let Some((_, piece)) = waiting.front_mut() {
                        piece.advance(wrote);
                    }
                    if waiting.front().is_some_and(|(_, piece)| piece.is_empty()) {
                        waiting.pop_front();
                    }
                }
                // Nobody reads that any more.
                Err(_) => drop(waiting.pop_front()),
            },
            _ = &mut ended, if !has_ended && !waiting.is_empty() => has_ended = true,
        }
    }
}

/// Never, where there is nothing to write. Cancel safe.
async fn write(
    piece: Option<(Side, Bytes)>,
    stdout: &mut DuplexStream,
    stderr: &mut DuplexStream,
) -> io::Result<usize> {
    match piece {
        Some((Side::Stdout, piece)) => stdout.write(&piece).await,
        Some((Side::Stderr, piece)) => stderr.write(&piece).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
        [&[kind, 0, 0, 0][..], &length, bytes].concat()
    }

    async fn all<R: AsyncRead + Unpin>(output: &mut Output<R>) -> [Vec<u8>; 2] {
        let mut found = [Vec::new(), Vec::new()];
        while let Some((side, piece)) = output.next().await.unwrap() {
            found[usize::from(side == Side::Stderr)].extend(piece);
        }
        found
    }

    #[tokio::test]
    async fn frames_are_taken_apart_wherever_they_break() {
        let sent =
            [frame(1, b"12\nout"), frame(2, b"side"), frame(1, b""), frame(1, &[0, 1, 2, 13, 10]), frame(3, b"!")]
                .concat();
        for size in [1, 3, 8, 100] {
            let mut read = tokio_test_reader(&sent, size);
            let mut output = Output::framed(&mut read);
            assert_eq!(output.line().await.unwrap(), "12\n");
            assert_eq!(all(&mut output).await, [b"out\0\x01\x02\r\n".to_vec(), b"side!".to_vec()], "{size}");
        }
    }

    /// Gives so many bytes at a time.
    fn tokio_test_reader(bytes: &[u8], size: usize) -> impl AsyncRead + Unpin {
        let chunks: Vec<io::Result<Bytes>> =
            bytes.chunks(size).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        tokio_util::io::StreamReader::new(futures_util::stream::iter(chunks))
    }

    #[tokio::test]
    async fn a_terminal_is_passed_on_as_it_is() {
        let mut output = Output::raw(&b"7\r\n\x01\0\0\0\0\0\0\xffx"[..]);
        assert_eq!(output.line().await.unwrap(), "7\r\n");
        assert_eq!(all(&mut output).await, [b"\x01\0\0\0\0\0\0\xffx".to_vec(), Vec::new()]);
    }

    #[tokio::test]
    async fn what_is_printed_before_the_number_on_the_side_is_not_lost() {
        let sent = [frame(2, b"warning"), frame(1, b"7\nx")].concat();
        let mut output = Output::framed(&sent[..]);
        assert_eq!(output.line().await.unwrap(), "7\n");
        assert_eq!(all(&mut output).await, [b"x".to_vec(), b"warning".to_vec()]);
    }

    #[tokio::test]
    async fn what_an_ended_program_printed_is_taken_though_nobody_reads_yet() {
        let sent = vec![7; 300_000];
        let (mut stdout, out) = tokio::io::duplex(10);
        let (_, side) = tokio::io::duplex(10);
        let over = CancellationToken::new();
        let delivering = deliver(
            Output::raw(std::io::Cursor::new(sent.clone())),
            [out, side],
            std::future::ready(Ok(0)),
            over.clone(),
        );
        let reading = async {
            // All of it is read when the token says so only once it is delivered; so much can be seen from here: nothing is lost.
            let mut read = Vec::new();
            stdout.read_to_end(&mut read).await.unwrap();
            read
        };
        let ((), read) = tokio::join!(delivering, reading);
        assert!(read == sent && over.is_cancelled());
    }
}
