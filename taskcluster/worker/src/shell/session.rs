//! A session at the program's end: it outlives connections, and the program ends with it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Shell;
use super::frame::{Control, Name};
use super::link::{Cut, Link};
use super::streams::{PIECE, Streams, Violation};

/// For how long a visitor whose connection broke is awaited.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How long the output may be silent once the program has ended: something that it left behind may hold it open.
pub(crate) const REST: Duration = Duration::from_secs(1);

/// A visitor who comes back, and how far the output had come to it.
pub(crate) struct Return {
    pub(crate) link: Link,
    pub(crate) stdout: u64,
    pub(crate) stderr: u64,
}

/// What may happen next in a session.
enum Event {
    Returned(Option<Box<Return>>),
    Said(Result<super::frame::Frame, Cut>),
    Printed(Name, usize),
    Fed(io::Result<usize>),
    Ended(crate::error::Result<i32>),
    Rested,
    Forgotten,
}

/// A program and whoever attends to it.
pub(crate) struct Session {
    id: String,
    streams: Streams,
    link: Option<Link>,
    /// Input that is on its way into the program.
    feeding: Vec<u8>,
    exit: Option<i32>,
    /// When a visitor who is away is no longer awaited, and when output that is silent is over.
    forget: Instant,
    rest: Instant,
}

impl Session {
    pub(crate) fn new(id: String, link: Link) -> Self {
        let mut streams = Streams::of_program();
        streams.begin(Control::Opened { session: id.clone(), stdin: 0 });
        let now = Instant::now();
        Self { id, streams, link: Some(link), feeding: Vec::new(), exit: None, forget: now, rest: now }
    }

    /// Until the visitor has seen how the program ended, or does not come back.
    pub(crate) async fn run(mut self, mut shell: Shell, mut returns: mpsc::Receiver<Return>) {
        let mut buffers = [vec![0; PIECE], vec![0; PIECE]];
        let mut stdin = Some(shell.stdin);
        if shell.stderr.is_none() {
            self.streams.end(Name::Stderr);
        }
        loop {
            if self.feeding.is_empty() {
                self.feeding = self.streams.waiting(Name::Stdin);
                if self.feeding.is_empty() && self.streams.is_over(Name::Stdin) {
                    stdin = None;
                }
            }
            if stdin.is_none() {
                // Nobody reads it any more; whoever types need not wait for that.
                self.streams.consume(Name::Stdin, std::mem::take(&mut self.feeding).len());
            }
            let [out, side] = &mut buffers;
            let rooms = [Name::Stdout, Name::Stderr].map(|name| self.streams.room(name).min(PIECE));
            // Whoever has to wait for the visitor is not silent.
            let is_silent = self.exit.is_some() && rooms.iter().any(|room| *room > 0) && !self.streams.is_blocked();
            let event = tokio::select! {
                // What is printed goes before all that would cut it off, and then lets the others have their turn: there is no room.
                biased;
                read = read(Some(&mut shell.stdout), &mut out[..rooms[0]]) => Event::Printed(Name::Stdout, read),
                read = read(shell.stderr.as_mut(), &mut side[..rooms[1]]) => Event::Printed(Name::Stderr, read),
                fed = feed(stdin.as_mut(), &self.feeding) => Event::Fed(fed),
                code = shell.control.wait(), if self.exit.is_none() => Event::Ended(code),
                comer = returns.recv() => Event::Returned(comer.map(Box::new)),
                said = exchange(&mut self.link, &mut self.streams) => Event::Said(said),
                () = sleep_until(self.rest), if is_silent => Event::Rested,
                () = sleep_until(self.forget), if self.link.is_none() => Event::Forgotten,
            };
            match event {
                Event::Returned(Some(comer)) => self.resume(*comer),
                Event::Said(Ok(frame)) => match self.streams.take(frame) {
                    // There may be room again for more of the output, which may have waited for long.
                    Ok(None) => self.rest = Instant::now() + REST,
                    Ok(Some(Control::Resize(size))) => shell.control.resize(size),
                    Ok(Some(Control::Bye)) => return,
                    Ok(Some(_)) => return self.refuse(Violation("this is not for a visitor to say")).await,
                    Err(violation) => return self.refuse(violation).await,
                },
                Event::Said(Err(Cut::Violation(violation))) => return self.refuse(violation).await,
                Event::Said(Err(cut)) => {
                    tracing::debug!(%cut, "a visitor of a shell is away");
                    self.link = None;
                    self.forget = Instant::now() + PATIENCE;
                }
                Event::Printed(name, 0) => self.streams.end(name),
                Event::Printed(name, read) => {
                    let bytes = if name == Name::Stdout { &buffers[0][..read] } else { &buffers[1][..read] };
                    self.streams.put(name, bytes);
                    self.rest = Instant::now() + REST;
                }
                Event::Fed(Ok(fed @ 1..)) => {
                    self.feeding.drain(..fed);
                    self.streams.consume(Name::Stdin, fed);
                }
                Event::Fed(Ok(0) | Err(_)) => stdin = None,
                Event::Ended(code) => self.ended(code),
                Event::Rested => [Name::Stdout, Name::Stderr].into_iter().for_each(|name| self.streams.end(name)),
                Event::Returned(None) | Event::Forgotten => return,
            }
        }
    }

    fn resume(&mut self, comer: Return) {
        let Return { link, stdout, stderr } = comer;
        let resumed =
            self.streams.resume(Name::Stdout, stdout).and_then(|()| self.streams.resume(Name::Stderr, stderr));
        // Otherwise it is not who it says it is; whoever is there already stays.
        if resumed.is_ok() {
            let stdin = self.streams.received(Name::Stdin);
            self.streams.begin(Control::Opened { session: self.id.clone(), stdin });
            self.link = Some(link);
        }
    }

    fn ended(&mut self, code: crate::error::Result<i32>) {
        let last = match &code {
            Ok(code) => Control::Exit { code: *code },
            Err(error) => Control::Error { message: error.reasons().join("; ") },
        };
        self.exit = Some(code.unwrap_or(-1));
        self.streams.say_last(last);
        self.rest = Instant::now() + REST;
    }

    /// A visitor who does not keep to the protocol cannot be understood any more.
    async fn refuse(mut self, violation: Violation) {
        self.streams.say(Control::Error { message: violation.to_string() });
        if let Some(link) = self.link.take() {
            link.part(&mut self.streams).await;
        }
    }
}

async fn exchange(link: &mut Option<Link>, streams: &mut Streams) -> Result<super::frame::Frame, Cut> {
    match link {
        Some(link) => link.exchange(streams).await,
        None => std::future::pending().await,
    }
}

/// Never, while there is no room. The end of a terminal is an error to some systems.
async fn read(stream: Option<&mut (impl AsyncRead + Unpin)>, room: &mut [u8]) -> usize {
    match stream {
        Some(stream) if !room.is_empty() => stream.read(room).await.unwrap_or(0),
        _ => std::future::pending().await,
    }
}

async fn feed(stdin: Option<&mut Box<dyn tokio::io::AsyncWrite + Send + Unpin>>, bytes: &[u8]) -> io::Result<usize> {
    match stdin {
        Some(stdin) if !bytes.is_empty() => stdin.write(bytes).await,
        _ => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use async_trait::async_trait;
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;
    use crate::shell::link::config;
    use crate::shell::streams::WINDOW;
    use crate::shell::{ShellControl, Size};
    use crate::wire::Wire;

    /// A program that has ended.
    struct Ended;

    #[async_trait]
    impl ShellControl for Ended {
        async fn wait(&mut self) -> crate::error::Result<i32> {
            Ok(0)
        }

        fn resize(&mut self, _size: Size) {}
    }

    async fn link(wire: tokio::io::DuplexStream, role: Role) -> Link {
        let wire: Box<dyn Wire> = Box::new(wire);
        Link::new(WebSocketStream::from_raw_socket(wire, role, Some(config())).await)
    }

    async fn seen_of(shell: Shell) -> usize {
        let (near, far) = tokio::io::duplex(1 << 20);
        let session = Session::new("secret".to_owned(), link(near, Role::Server).await);
        let (_returns, comers) = mpsc::channel(1);
        let visit = async {
            let (mut link, mut streams, mut read) = (link(far, Role::Client).await, Streams::of_visitor(), 0);
            loop {
                let frame = link.exchange(&mut streams).await.unwrap();
                if let Some(Control::Exit { .. }) = streams.take(frame).unwrap() {
                    streams.say(Control::Bye);
                    link.part(&mut streams).await;
                    return read;
                }
                let waiting = streams.waiting(Name::Stdout).len();
                read += waiting;
                // Longer than a program's output may be silent.
                tokio::time::sleep(5 * REST).await;
                streams.consume(Name::Stdout, waiting);
            }
        };
        tokio::join!(session.run(shell, comers), visit).1
    }

    #[tokio::test(start_paused = true)]
    async fn a_visitor_who_is_slow_gets_all_that_was_printed_before_the_end() {
        let shell = || Shell::new(tokio::io::sink(), Cursor::new(vec![b'x'; 10 * WINDOW]), Ended);
        assert_eq!(seen_of(shell()).await, 10 * WINDOW);
        // Also if something that was left behind may still print on the side.
        let (_left, side) = tokio::io::duplex(1);
        assert_eq!(seen_of(shell().with_stderr(side)).await, 10 * WINDOW);
    }
}
