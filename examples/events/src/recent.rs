//! The messages of late, in the order in which they came: what all listeners read from.
//!
//! There is one memory, bounded in messages and bytes, and a listener is nothing but a position in it. So a listener that
//! is slow costs no more than one that is quick; once it is slower than the memory is long, it has lost something and is
//! told so. A listener that comes back after a break names the position where it was.
//!
//! Positions count from the start of the process. An id is a position with the name of the process before it, so that one
//! of another process, or of an earlier life of this one, is recognised as such.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use taskcluster::events::{Binding, Message};
use taskcluster_core::ids::TaskId;
use tokio::sync::watch;

use crate::frame;

/// How many messages a look takes out of the memory. With a hundred bindings they take a fraction of a millisecond, and whoever
/// comes back after long has many to pass over.
const PORTION: usize = 256;

/// A place between two messages.
pub type Position = u64;

/// The memory.
#[derive(Debug)]
pub struct Recent {
    process: String,
    most_messages: usize,
    most_bytes: usize,
    kept: Mutex<Kept>,
    /// The position after the last message.
    end: watch::Sender<Position>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<Arc<Entry>>,
    /// The position of the first entry.
    first: Position,
    bytes: usize,
}

#[derive(Debug)]
enum Entry {
    /// A message, and the event that it is to listeners.
    Message(Message, Bytes),
    /// Messages may be missing here.
    Gap,
}

/// What there is for a listener.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A message that fits, as an event. The listener is then at this position.
    Message(Bytes, Position),
    /// Messages may be missing. The listener is then at this position.
    Lost(Position),
    /// Nothing up to this position, which is the end.
    Nothing(Position),
    /// Nothing up to this position, and there is more: others may have their turn first.
    Further(Position),
}

/// A last event id that is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no event id of this service")]
pub struct NoId(String);

impl Recent {
    /// A memory for so many messages, and for so many bytes of them.
    #[must_use]
    pub fn new(most_messages: usize, most_bytes: usize) -> Self {
        let process = TaskId::new().to_string();
        Self { process, most_messages, most_bytes, kept: Mutex::default(), end: watch::Sender::new(0) }
    }

    /// Adds a message, and forgets the oldest ones if there is no room.
    pub fn add(&self, message: Message) {
        let mut kept = self.lock();
        let id = self.id(kept.end() + 1);
        let Some(event) = frame::message(&id, &message) else {
            tracing::warn!(exchange = message.exchange, "a message is no JSON object and cannot be passed on");
            return;
        };
        self.push(&mut kept, Entry::Message(message, event));
    }

    /// Notes that messages may be missing.
    pub fn add_gap(&self) {
        self.push(&mut self.lock(), Entry::Gap);
    }

    fn push(&self, kept: &mut Kept, entry: Entry) {
        kept.bytes += entry.size();
        kept.entries.push_back(Arc::new(entry));
        while kept.entries.len() > self.most_messages || kept.bytes > self.most_bytes {
            let Some(oldest) = kept.entries.pop_front() else { break };
            kept.bytes -= oldest.size();
            kept.first += 1;
        }
        self.end.send_replace(kept.end());
    }

    /// What is there from `position` on for a listener with these bindings.
    pub fn look(&self, position: Position, bindings: &[Binding]) -> Found {
        let mut position = position;
        let (first, portion) = self.portion(position);
        if position < first {
            return Found::Lost(first);
        }
        let is_last = portion.len() < PORTION;
        for entry in portion {
            position += 1;
            match &*entry {
                Entry::Message(message, event) if bindings.iter().any(|binding| message.fits(binding)) => {
                    return Found::Message(event.clone(), position);
                }
                Entry::Message(..) => {}
                Entry::Gap => return Found::Lost(position),
            }
        }
        if is_last { Found::Nothing(position) } else { Found::Further(position) }
    }

    /// Some entries from `position` on, and the position of the oldest entry that is kept.
    fn portion(&self, position: Position) -> (Position, Vec<Arc<Entry>>) {
        let kept = self.lock();
        let skipped = usize::try_from(position.saturating_sub(kept.first)).unwrap_or(usize::MAX);
        (kept.first, kept.entries.iter().skip(skipped).take(PORTION).cloned().collect())
    }

    /// The position after the last message, now and whenever it changes.
    #[must_use]
    pub fn end(&self) -> watch::Receiver<Position> {
        self.end.subscribe()
    }

    /// The id of a position.
    #[must_use]
    pub fn id(&self, position: Position) -> String {
        format!("{}.{position}", self.process)
    }

    /// The position of an id; nothing if it is another process's.
    ///
    /// # Errors
    /// If it has not the form of an id.
    pub fn position(&self, id: &str) -> Result<Option<Position>, NoId> {
        let no_id = || NoId(id.chars().take(100).collect());
        let (process, position) = id.rsplit_once('.').ok_or_else(no_id)?;
        let position: Position = position.parse().map_err(|_| no_id())?;
        process.parse::<TaskId>().map_err(|_| no_id())?;
        Ok((process == self.process && position <= self.lock().end()).then_some(position))
    }

    /// No code panics while it holds the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn end(&self) -> Position {
        self.first + self.entries.len() as u64
    }
}

impl Entry {
    /// What it takes in memory, roughly.
    fn size(&self) -> usize {
        let message = match self {
            Self::Message(message, event) => {
                let keys: usize = message.keys().map(str::len).sum();
                keys + message.exchange.len() + message.payload.len() + event.len()
            }
            Self::Gap => 0,
        };
        message + size_of::<Self>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXCHANGE: &str = "exchange/test/v1/happened";

    fn message(key: &str) -> Message {
        Message::new(EXCHANGE, key, r#"{"version":1}"#)
    }

    fn recent(keys: &[&str], most_messages: usize) -> Recent {
        let recent = Recent::new(most_messages, usize::MAX);
        keys.iter().for_each(|key| recent.add(message(key)));
        recent
    }

    fn all() -> Vec<Binding> {
        vec![Binding::everything(EXCHANGE)]
    }

    /// The keys that are found from a position on; `!` where something was lost.
    fn keys(recent: &Recent, mut position: Position, bindings: &[Binding]) -> Vec<String> {
        let mut keys = Vec::new();
        loop {
            match recent.look(position, bindings) {
                Found::Message(event, next) => {
                    let text = String::from_utf8(event.to_vec()).unwrap();
                    let data: serde_json::Value =
                        serde_json::from_str(text.split_once("data: ").unwrap().1.trim()).unwrap();
                    assert!(text.contains(&format!("id: {}\n", recent.id(next))), "{text}");
                    keys.push(data["routingKey"].as_str().unwrap().to_owned());
                    position = next;
                }
                Found::Lost(next) => {
                    keys.push("!".to_owned());
                    position = next;
                }
                Found::Further(next) => position = next,
                Found::Nothing(_) => return keys,
            }
        }
    }

    #[test]
    fn a_listener_goes_on_where_it_was() {
        let recent = recent(&["a.1", "b.1", "a.2"], 10);
        assert_eq!(keys(&recent, 0, &[Binding::new(EXCHANGE, "a.*")]), ["a.1", "a.2"]);
        assert_eq!(keys(&recent, 1, &all()), ["b.1", "a.2"]);
        assert_eq!(recent.look(1, &[Binding::new(EXCHANGE, "c")]), Found::Nothing(3));
        assert_eq!(recent.position(&recent.id(1)), Ok(Some(1)));
    }

    #[test]
    fn whoever_is_behind_what_is_kept_has_lost_something_and_gets_the_rest() {
        let recent = recent(&["1", "2", "3", "4"], 2);
        assert_eq!(keys(&recent, 0, &all()), ["!", "3", "4"]);
        assert_eq!(keys(&recent, 2, &all()), ["3", "4"]);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let recent = Recent::new(usize::MAX, 10_000);
        for number in 0..100 {
            recent.add(Message::new(EXCHANGE, format!("{number}"), format!(r#"{{"x":"{}"}}"#, "x".repeat(1000))));
        }
        let kept = keys(&recent, 0, &all());
        assert!((2..10).contains(&kept.len()) && kept.last().unwrap() == "99", "{kept:?}");
        recent.add(Message::new(EXCHANGE, "huge", format!(r#"{{"x":"{}"}}"#, "x".repeat(20_000))));
        assert_eq!(keys(&recent, 100, &all()), ["!"]);
    }

    #[test]
    fn a_gap_is_told_to_all_who_have_not_passed_it() {
        let recent = recent(&["1"], 10);
        recent.add_gap();
        recent.add(message("2"));
        assert_eq!(keys(&recent, 0, &[Binding::new(EXCHANGE, "2")]), ["!", "2"]);
        assert_eq!(keys(&recent, 2, &all()), ["2"]);
    }

    #[test]
    fn an_id_of_another_process_is_known_as_such_and_nonsense_is_refused() {
        let (one, other) = (recent(&["1"], 10), recent(&["1"], 10));
        assert_eq!(one.position(&other.id(1)), Ok(None));
        assert_eq!(one.position(&one.id(2)), Ok(None));
        for id in ["", "7", ".", "x.1", "fN1SbArXTPSVFNUvaOlinQ.", "fN1SbArXTPSVFNUvaOlinQ.-1"] {
            assert_eq!(one.position(id), Err(NoId(id.to_owned())));
        }
    }

    #[test]
    fn many_that_do_not_fit_are_passed_over() {
        let recent = Recent::new(10_000, usize::MAX);
        (0..3 * PORTION).for_each(|_| recent.add(message("other")));
        recent.add(message("mine"));
        assert_eq!(keys(&recent, 0, &[Binding::new(EXCHANGE, "mine")]), ["mine"]);
    }
}
