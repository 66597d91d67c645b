//! A page at a program: what it prints goes to the page, what is typed there goes to it, and it ends with the page.
//!
//! Pages do not come back: a connection that is lost ends the program. What waits in between is a [desk](super::desk)'s.

use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::tungstenite::{self, Message};

use super::Shell;
use super::characters::Characters;
use super::desk::{Told, Typed};
use super::dialect::{Dialect, End, Said};
use super::frame::Name;
use super::session::{PATIENCE, REST};
use super::socket::{Cut, Socket};
use super::streams::PIECE;

/// For how long the beginning of a character is held back when nothing follows.
const LULL: Duration = Duration::from_millis(20);

const STREAMS: [Name; 2] = [Name::Stdout, Name::Stderr];

/// What may happen next.
enum Event {
    Heard(Result<Message, Cut>),
    Told,
    Printed(Name, usize),
    Fed(io::Result<usize>),
    Ended(crate::error::Result<i32>),
    Lulled,
    Rested,
    LostPatience,
}

/// A page.
pub(crate) struct Page {
    socket: Socket,
    dialect: Box<dyn Dialect>,
    told: Told,
    typed: Typed,
    /// For terminals: what else prints may be no text.
    characters: Option<Characters>,
    exit: Option<Result<i32, String>>,
    lull: Instant,
    rest: Instant,
    /// When whoever does not take what was printed by a program that has ended is let go of.
    patience: Instant,
}

impl Page {
    pub(crate) fn new(socket: Socket, dialect: Box<dyn Dialect>) -> Self {
        let (told, typed, now) = (Told::default(), Typed::default(), Instant::now());
        Self { socket, dialect, told, typed, characters: None, exit: None, lull: now, rest: now, patience: now }
    }

    /// Until the program has ended and the page knows it, the page is gone, or `over` is ready. The program does not outlive this.
    pub(crate) async fn run(mut self, shell: Shell, in_terminal: bool, over: impl Future<Output = ()>) {
        self.characters = in_terminal.then(Characters::default);
        let mut over = pin!(over);
        let end = tokio::select! {
            // A program that is killed because all is over has not ended by itself.
            biased;
            () = &mut over => Some(End::TaskOver),
            end = self.attend(shell) => end,
        };
        match end {
            Some(end) => self.dismiss(&end).await,
            // It has closed the websocket, and is to be answered.
            None => self.socket.part(|| None, None).await,
        }
    }

    /// Say why nothing more is said, and part.
    pub(crate) async fn dismiss(self, end: &End) {
        let mut last = self.dialect.farewell(end);
        self.socket.part(|| last.take(), Some(end.frame())).await;
    }

    /// `None`: the page is gone.
    async fn attend(&mut self, mut shell: Shell) -> Option<End> {
        let mut buffers = [vec![0; PIECE], vec![0; PIECE]];
        let mut stdin = Some(shell.stdin);
        if shell.stderr.is_none() {
            self.told.end(Name::Stderr);
        }
        loop {
            if let Some(exit) = self.exit.clone()
                && self.told.is_over()
            {
                return Some(exit.map_or_else(End::Failed, End::Exited));
            }
            if stdin.is_none() {
                self.typed.discard();
            } else if self.typed.is_over() {
                stdin = None;
            }
            let [out, side] = &mut buffers;
            let [has_room, has_side_room] = STREAMS.map(|stream| self.told.has_room(stream));
            let (is_held_back, has_ended) =
                (self.characters.as_ref().is_some_and(|it| !it.is_empty()) && has_room, self.exit.is_some());
            // Whoever has to wait for the page is not silent.
            let may_rest = has_ended && (has_room || has_side_room) && !self.told.is_blocked();
            let said = || self.told.next(&*self.dialect, &self.typed);
            let event = tokio::select! {
                // What is printed goes before all that would cut it off, and then lets the others have their turn: there is no room.
                biased;
                read = read(Some(&mut shell.stdout), out), if has_room => Event::Printed(Name::Stdout, read),
                read = read(shell.stderr.as_mut(), side), if has_side_room => Event::Printed(Name::Stderr, read),
                fed = feed(stdin.as_mut(), self.typed.next()) => Event::Fed(fed),
                code = shell.control.wait(), if !has_ended => Event::Ended(code),
                heard = self.socket.exchange(said, !self.typed.is_full()) =>
                    heard.transpose().map_or(Event::Told, Event::Heard),
                () = sleep_until(self.lull), if is_held_back => Event::Lulled,
                () = sleep_until(self.rest), if may_rest => Event::Rested,
                () = sleep_until(self.patience), if has_ended => Event::LostPatience,
            };
            match event {
                Event::Heard(Ok(message)) => match self.dialect.understand(message) {
                    Said::Typed(bytes) => self.typed.put(&bytes),
                    Said::TypedAll => self.typed.end(),
                    Said::Resized(size) => shell.control.resize(size),
                    Said::Pause => self.told.pause(true),
                    Said::Resume => self.told.pause(false),
                    Said::Nothing => {}
                    Said::Wrong(why) => self.told.complain(why),
                },
                Event::Heard(Err(cut)) => {
                    tracing::debug!(%cut, "a page is gone from a shell");
                    return verdict(&cut);
                }
                // There is room for more, which may have waited for long.
                Event::Told => (self.lull, self.rest) = (Instant::now() + LULL, Instant::now() + REST),
                Event::Printed(stream, 0) => self.ends(stream),
                Event::Printed(stream, read) => {
                    self.printed(stream, &buffers[usize::from(stream == Name::Stderr)][..read])
                }
                Event::Fed(Ok(fed @ 1..)) => self.typed.took(fed),
                Event::Fed(Ok(0) | Err(_)) => stdin = None,
                Event::Ended(code) => {
                    self.exit = Some(code.map_err(|error| error.reasons().join("; ")));
                    self.rest = Instant::now() + REST;
                    self.patience = Instant::now() + PATIENCE;
                }
                Event::Lulled => self.let_go(),
                Event::Rested => STREAMS.into_iter().for_each(|stream| self.ends(stream)),
                Event::LostPatience => return self.exit.take().map(|exit| exit.map_or_else(End::Failed, End::Exited)),
            }
        }
    }

    fn printed(&mut self, stream: Name, bytes: &[u8]) {
        let bytes = match &mut self.characters {
            Some(characters) if stream == Name::Stdout => characters.whole(bytes),
            _ => bytes.to_vec(),
        };
        self.told.put(stream, bytes);
        self.lull = Instant::now() + LULL;
        self.rest = Instant::now() + REST;
    }

    fn ends(&mut self, stream: Name) {
        if stream == Name::Stdout {
            self.let_go();
        }
        self.told.end(stream);
    }

    /// Tell what was held back.
    fn let_go(&mut self) {
        if let Some(characters) = &mut self.characters {
            self.told.put(Name::Stdout, characters.rest());
        }
    }
}

/// Whether a page that cannot be listened to any more is told why.
fn verdict(cut: &Cut) -> Option<End> {
    match cut {
        Cut::Broken(error) => match **error {
            tungstenite::Error::Capacity(_) => Some(End::TooLong),
            tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_) => Some(End::Garbled),
            _ => None,
        },
        Cut::Closed | Cut::Silent | Cut::Violation(_) => None,
    }
}

/// The end of a terminal is an error to some systems.
async fn read(stream: Option<&mut (impl AsyncRead + Unpin)>, room: &mut [u8]) -> usize {
    match stream {
        Some(stream) => stream.read(room).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

async fn feed(stdin: Option<&mut (impl AsyncWrite + Unpin)>, bytes: &[u8]) -> io::Result<usize> {
    match stdin {
        Some(stdin) if !bytes.is_empty() => stdin.write(bytes).await,
        _ => std::future::pending().await,
    }
}
