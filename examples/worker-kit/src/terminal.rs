//! The terminal of this program, lent to a program in a task.
//!
//! As long as it is [raw](Raw), what is typed goes there byte for byte, Ctrl-C included, and nothing is echoed here. However that
//! ends, the terminal is as before: by the return of a function, by a panic, by a signal that asks this program to end.

use std::io::{self, IsTerminal as _, Read as _};
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::sync::{Mutex, Once};

use bytes::Bytes;
use futures_util::{Stream, stream};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use taskcluster_worker::shell::{Size, Terminal};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;
use tokio_util::sync::CancellationToken;

mod escape;

use escape::Escape;

/// What a terminal has that does not say how large it is.
const USUAL: Size = Size { rows: 24, columns: 80 };

/// What is read at once, and how many such pieces may wait.
const PIECE: usize = 16 * 1024;
const WAITING: usize = 4;

/// Whether somebody sits here: standard input and output are a terminal.
#[must_use]
pub fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// How large it is, or would be.
#[must_use]
pub fn size() -> Size {
    let told = tcgetwinsize(io::stdout().as_fd()).or_else(|_| tcgetwinsize(io::stdin().as_fd()));
    match told {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => Size { rows: size.ws_row, columns: size.ws_col },
        _ => USUAL,
    }
}

/// As the terminal was before it became raw.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Puts the terminal back when it is dropped.
#[derive(Debug)]
#[must_use = "the terminal is put back when this is dropped"]
pub struct Raw(());

impl Raw {
    /// Make the terminal raw, unless it is already.
    ///
    /// # Errors
    /// Standard input is none that allows it.
    pub fn enter() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let others = std::panic::take_hook();
            // Before the message, so that it can be read; and where a panic ends the program at once, nothing else would do it.
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                others(panic);
            }));
        });
        let mut before = BEFORE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if before.is_none() {
            let now = tcgetattr(io::stdin().as_fd())?;
            let mut raw = now.clone();
            raw.make_raw();
            tcsetattr(io::stdin().as_fd(), OptionalActions::Now, &raw)?;
            *before = Some(now);
        }
        Ok(Self(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    let before = BEFORE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    if let Some(before) = before {
        let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, &before);
    }
}

/// Text as it is to be written now: a raw terminal goes to the next line, and does not return to its beginning by itself.
#[must_use]
pub fn lines(text: &[u8]) -> Vec<u8> {
    let is_raw = BEFORE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_some();
    if is_raw { with_returns(text) } else { text.to_owned() }
}

fn with_returns(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut last = 0;
    for &byte in text {
        if byte == b'\n' && last != b'\r' {
            out.push(b'\r');
        }
        out.push(byte);
        last = byte;
    }
    out
}

/// What a program in a task is connected with here.
pub type Seat = Terminal<Input, Output, Output, Pin<Box<dyn Stream<Item = Size> + Send>>>;

/// Standard input.
pub type Input = Pin<Box<dyn AsyncRead + Send>>;

/// Standard output or error.
pub type Output = Pin<Box<dyn AsyncWrite + Send>>;

/// Standard input, output and error, and the sizes of the terminal as it changes. The input fails when `leave` is cancelled. Where
/// the input is a raw terminal, typing `~.` at the beginning of a line cancels it, and `~~` gives one `~`.
///
/// # Errors
/// One of them is not there, or signals cannot be listened to.
pub fn seat(is_raw: bool, leave: CancellationToken) -> io::Result<Seat> {
    let output = |to: &dyn std::os::fd::AsFd| -> io::Result<Output> {
        let file = std::fs::File::from(to.as_fd().try_clone_to_owned()?);
        Ok(Box::pin(tokio::fs::File::from_std(file)))
    };
    Ok(Terminal {
        output: output(&io::stdout())?,
        error: output(&io::stderr())?,
        input: input(is_raw, leave),
        sizes: sizes()?,
    })
}

/// New sizes, as they come.
fn sizes() -> io::Result<Pin<Box<dyn Stream<Item = Size> + Send>>> {
    let changes = signal(SignalKind::window_change())?;
    Ok(Box::pin(stream::unfold(changes, |mut changes| async {
        changes.recv().await?;
        Some((size(), changes))
    })))
}

/// Wait for a signal that asks this program to end.
///
/// # Errors
/// Signals cannot be listened to.
pub fn asked_to_end() -> io::Result<impl Future<Output = ()> + Send> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
            _ = quit.recv() => {}
        }
    })
}

fn input(is_raw: bool, leave: CancellationToken) -> Input {
    let (sender, receiver) = mpsc::channel(WAITING);
    let left = leave.clone();
    // Not one of the runtime's threads, whose end is waited for: nothing ends a read of a terminal.
    std::thread::spawn(move || read(is_raw, &left, &sender));
    Box::pin(StreamReader::new(Box::pin(stream::unfold((receiver, leave), |(mut receiver, leave)| async {
        let piece = tokio::select! {
            biased;
            () = leave.cancelled() => Err(io::Error::new(io::ErrorKind::Interrupted, "told to leave")),
            piece = receiver.recv() => Ok(piece?),
        };
        Some((piece, (receiver, leave)))
    }))))
}

fn read(is_raw: bool, leave: &CancellationToken, sender: &mpsc::Sender<Bytes>) {
    let mut piece = vec![0; PIECE];
    let mut escape = Escape::default();
    loop {
        let read = match io::stdin().lock().read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // A terminal that is gone says nothing more.
            Ok(0) | Err(_) => return,
            Ok(read) => &piece[..read],
        };
        let typed = if is_raw { escape.pass(read) } else { Some(read.to_vec()) };
        let Some(typed) = typed else { return leave.cancel() };
        if !typed.is_empty() && sender.blocking_send(typed.into()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_terminal_is_told_to_return() {
        assert_eq!(with_returns(b"a\nb\r\nc\n\n"), b"a\r\nb\r\nc\r\n\r\n");
    }
}
