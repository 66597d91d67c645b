//! What waits between a page and a program, without any I/O: never more than a piece of each stream that goes out, and
//! [`MOST`] bytes and a message of what was typed, whatever either of them does.
//!
//! A page that pauses is sent no more output, and a page whose input piles up is told to pause, where its protocol can say
//! so. But not both at once: the usual client sends what it has to say in one queue, its `resume` among it. A page that
//! was told to wait while it has the worker wait could never say that it is ready.

use bytes::{Buf as _, BytesMut};
use tokio_tungstenite::tungstenite::Message;

use super::dialect::Dialect;
use super::frame::Name;
use super::streams::WINDOW;

/// How much may be typed ahead before nothing more is listened to.
pub(super) const MOST: usize = 1024 * 1024;

/// What was typed and is still to be read by the program.
#[derive(Debug, Default)]
pub(super) struct Typed {
    bytes: BytesMut,
    is_all: bool,
}

impl Typed {
    pub(super) fn put(&mut self, bytes: &[u8]) {
        if !self.is_all {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// No more will be typed.
    pub(super) fn end(&mut self) {
        self.is_all = true;
    }

    /// What the program is to read next.
    pub(super) fn next(&self) -> &[u8] {
        &self.bytes
    }

    /// So much of it was read.
    pub(super) fn took(&mut self, length: usize) {
        self.bytes.advance(length);
    }

    /// Nobody will read it.
    pub(super) fn discard(&mut self) {
        self.bytes.clear();
    }

    /// Whether all was read that will ever be typed.
    pub(super) fn is_over(&self) -> bool {
        self.is_all && self.bytes.is_empty()
    }

    /// Whether nothing more can be taken.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= MOST
    }

    /// Whether whoever types should wait, which it should for a while once it does.
    fn is_much(&self, waits: bool) -> bool {
        self.bytes.len() > if waits { WINDOW / 2 } else { WINDOW }
    }
}

/// A stream that goes out.
#[derive(Debug, Default)]
struct Printed {
    piece: Vec<u8>,
    is_all: bool,
}

/// What a page is to be told.
#[derive(Debug, Default)]
pub(super) struct Told {
    is_greeted: bool,
    /// The page was told to type no more.
    waits: bool,
    /// What was wrong last.
    wrong: Option<&'static str>,
    /// The page takes nothing.
    is_paused: bool,
    printed: [Printed; 2],
}

impl Told {
    /// The next message, if there is any.
    pub(super) fn next(&mut self, dialect: &dyn Dialect, typed: &Typed) -> Option<Message> {
        if !std::mem::replace(&mut self.is_greeted, true)
            && let Some(greeting) = dialect.greeting()
        {
            return Some(greeting);
        }
        let waits = !self.is_paused && typed.is_much(self.waits);
        if std::mem::replace(&mut self.waits, waits) != waits
            && let Some(message) = dialect.pause(waits)
        {
            return Some(message);
        }
        if let Some(complaint) = self.wrong.take().and_then(|why| dialect.complain(why)) {
            return Some(complaint);
        }
        let names = [Name::Stdout, Name::Stderr].into_iter().filter(|_| !self.is_paused);
        names.zip(&mut self.printed).find_map(|(name, printed)| {
            let piece = std::mem::take(&mut printed.piece);
            (!piece.is_empty()).then(|| dialect.printed(name, &piece))
        })
    }

    /// The page said something that is wrong. It is told once, however often it does before it listens.
    pub(super) fn complain(&mut self, why: &'static str) {
        self.wrong = Some(why);
    }

    /// The page can take nothing more for now, or again.
    pub(super) fn pause(&mut self, pauses: bool) {
        self.is_paused = pauses;
    }

    /// Whether the next piece of a stream can be [put](Self::put).
    pub(super) fn has_room(&self, stream: Name) -> bool {
        let printed = &self.printed[at(stream)];
        printed.piece.is_empty() && !printed.is_all
    }

    /// Whether something waits for the page to take it.
    pub(super) fn is_blocked(&self) -> bool {
        self.printed.iter().any(|printed| !printed.piece.is_empty())
    }

    /// A stream goes on.
    pub(super) fn put(&mut self, stream: Name, piece: Vec<u8>) {
        self.printed[at(stream)].piece.extend(piece);
    }

    /// No more comes of a stream.
    pub(super) fn end(&mut self, stream: Name) {
        self.printed[at(stream)].is_all = true;
    }

    /// Whether all that will ever be printed was told.
    pub(super) fn is_over(&self) -> bool {
        self.printed.iter().all(|printed| printed.is_all && printed.piece.is_empty())
    }
}

fn at(stream: Name) -> usize {
    usize::from(stream == Name::Stderr)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::Size;
    use crate::shell::v1::V1;
    use crate::shell::v2::V2;

    fn v1() -> V1 {
        V1::of_query("", Size { rows: 24, columns: 80 }).0
    }

    /// The first bytes of all that is to be told.
    fn told(told: &mut Told, dialect: &dyn Dialect, typed: &Typed) -> Vec<u8> {
        std::iter::from_fn(|| told.next(dialect, typed)).map(|message| message.into_data()[0]).collect()
    }

    fn typed(length: usize) -> Typed {
        let mut typed = Typed::default();
        typed.put(&vec![b'x'; length]);
        typed
    }

    #[test]
    fn who_types_too_much_is_told_to_wait_until_half_of_it_is_read() {
        let (mut it, mut typed) = (Told::default(), typed(WINDOW + 1));
        assert_eq!(told(&mut it, &v1(), &typed), [100, 101]);
        typed.took(WINDOW / 4);
        assert!(told(&mut it, &v1(), &typed).is_empty());
        typed.took(WINDOW / 4 + 1);
        assert_eq!(told(&mut it, &v1(), &typed), [100]);
        assert!(told(&mut Told::default(), &V2, &self::typed(MOST)).is_empty());
    }

    #[test]
    fn a_page_that_pauses_is_not_told_to_wait_so_that_it_can_resume() {
        let (mut it, typed) = (Told::default(), typed(WINDOW + 1));
        assert_eq!(told(&mut it, &v1(), &typed), [100, 101]);
        it.pause(true);
        it.put(Name::Stdout, b"out".to_vec());
        assert_eq!(told(&mut it, &v1(), &typed), [100]);
        it.pause(false);
        assert_eq!(told(&mut it, &v1(), &typed), [101, 1]);
    }

    #[test]
    fn nothing_more_is_printed_than_a_piece_of_each_stream() {
        let mut it = Told::default();
        it.pause(true);
        for stream in [Name::Stdout, Name::Stderr] {
            assert!(it.has_room(stream));
            it.put(stream, b"x".to_vec());
            assert!(!it.has_room(stream));
            it.end(stream);
        }
        assert_eq!((told(&mut it, &v1(), &Typed::default()), it.is_over()), (vec![100], false));
        it.pause(false);
        assert_eq!((told(&mut it, &v1(), &Typed::default()), it.is_over()), (vec![1, 2], true));
    }

    #[test]
    fn what_is_wrong_again_and_again_is_kept_once() {
        let mut it = Told::default();
        (0..1000).for_each(|_| it.complain("no"));
        assert_eq!(told(&mut it, &v1(), &Typed::default()), [100, 202]);
    }

    #[test]
    fn after_its_end_nothing_is_typed() {
        let mut typed = typed(2);
        typed.end();
        typed.put(b"late");
        assert!(!typed.is_over());
        typed.took(2);
        assert!(typed.is_over() && typed.next().is_empty());
    }
}
