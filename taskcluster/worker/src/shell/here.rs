//! Attends to a shell in the worker's own process.

use std::io;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::{Shell, ShellControl, Size, Terminal};
use crate::error::{Error, Result};

/// How long the output may be silent once the program has ended: something that it left behind may hold it open.
const REST: Duration = Duration::from_secs(1);

/// What is passed on at once.
const PIECE: usize = 16 * 1024;

/// Connect a program with a terminal until it has ended and what it printed is passed on. Gives its exit code.
///
/// # Errors
/// [`Error::Task`]: this side's input or output does not work. [`Error::Worker`]: nobody knows how the program ended. The program is
/// ended with both.
///
/// # Cancel safety
/// Dropping the future ends the program.
pub async fn attend<I, O, E, S>(shell: Shell, terminal: Terminal<I, O, E, S>) -> Result<i32>
where
    I: AsyncRead + Unpin,
    O: AsyncWrite + Unpin,
    E: AsyncWrite + Unpin,
    S: Stream<Item = Size> + Unpin,
{
    let Shell { stdin, mut stdout, stderr, mut control } = shell;
    let Terminal { input, mut output, mut error, sizes } = terminal;
    let failed = |error: io::Error| Error::task(format!("cannot pass on what is said: {error}"));
    let printing = async {
        let side = async {
            match stderr {
                Some(mut stderr) => print(&mut stderr, &mut error).await,
                None => Ok(()),
            }
        };
        tokio::try_join!(print(&mut stdout, &mut output), side).map(drop)
    };
    let feeding = feed(input, stdin);
    let (mut printing, mut feeding) = (std::pin::pin!(printing), std::pin::pin!(feeding));
    let (mut is_printed, mut is_fed) = (false, false);
    let code = {
        let mut ending = std::pin::pin!(wait(&mut *control, sizes));
        loop {
            tokio::select! {
                code = &mut ending => break code?,
                printed = &mut printing, if !is_printed => {
                    printed.map_err(failed)?;
                    is_printed = true;
                }
                fed = &mut feeding, if !is_fed => {
                    fed.map_err(failed)?;
                    is_fed = true;
                }
            }
        }
    };
    if !is_printed && let Ok(printed) = tokio::time::timeout(REST, printing).await {
        printed.map_err(failed)?;
    }
    Ok(code)
}

/// The exit code; its terminal follows ours meanwhile.
async fn wait(control: &mut dyn ShellControl, mut sizes: impl Stream<Item = Size> + Unpin) -> Result<i32> {
    let mut are_over = false;
    loop {
        let size = tokio::select! {
            code = control.wait() => return code,
            size = sizes.next(), if !are_over => size,
        };
        match size {
            Some(size) => control.resize(size),
            None => are_over = true,
        }
    }
}

async fn print(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    // The end of a terminal is an error to some systems.
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        to.write_all(&piece[..read]).await?;
        to.flush().await?;
    }
    Ok(())
}

/// Only that our own input fails matters: a program need not read what it is given.
async fn feed(mut input: impl AsyncRead + Unpin, mut program: Box<dyn AsyncWrite + Send + Unpin>) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = input.read(&mut piece).await?;
        if read == 0 || program.write_all(&piece[..read]).await.is_err() || program.flush().await.is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use futures_util::stream;
    use tokio::io::duplex;

    use super::*;

    /// Ends when it is told its size, with the sum of it.
    struct Sums(Option<Size>, tokio::sync::watch::Sender<Option<Size>>);

    #[async_trait]
    impl ShellControl for Sums {
        async fn wait(&mut self) -> Result<i32> {
            let mut sized = self.1.subscribe();
            let size = sized.wait_for(Option::is_some).await.unwrap().unwrap();
            Ok(i32::from(size.rows + size.columns))
        }

        fn resize(&mut self, size: Size) {
            self.0 = Some(size);
            self.1.send_replace(Some(size));
        }
    }

    fn program() -> (Shell, tokio::io::DuplexStream, tokio::io::DuplexStream) {
        let (stdin, typed) = duplex(100);
        let (stdout, printed) = duplex(100);
        (Shell::new(stdin, stdout, Sums(None, tokio::sync::watch::channel(None).0)), typed, printed)
    }

    #[tokio::test]
    async fn what_is_said_goes_both_ways_and_the_code_is_told() {
        let (shell, mut typed, mut printed) = program();
        let mut output = Vec::new();
        let (tell, sizes) = tokio::sync::mpsc::unbounded_channel();
        let sizes = Box::pin(stream::unfold(sizes, |mut sizes| async { Some((sizes.recv().await?, sizes)) }));
        let terminal = Terminal { input: &b"typed"[..], output: &mut output, error: tokio::io::sink(), sizes };
        let program = async {
            let mut heard = String::new();
            typed.read_to_string(&mut heard).await.unwrap();
            printed.write_all(heard.to_uppercase().as_bytes()).await.unwrap();
            drop(printed);
            tell.send(Size { rows: 40, columns: 2 }).unwrap();
        };
        let (code, ()) = tokio::join!(attend(shell, terminal), program);
        assert_eq!((code.unwrap(), &*output), (42, &b"TYPED"[..]));
    }

    #[tokio::test]
    async fn an_input_that_fails_ends_it() {
        let (shell, _typed, _printed) = program();
        let broken = tokio_util::io::StreamReader::new(stream::iter([Err::<&[u8], _>(io::Error::other("unplugged"))]));
        let terminal =
            Terminal { input: broken, output: tokio::io::sink(), error: tokio::io::sink(), sizes: stream::pending() };
        let error = attend(shell, terminal).await.unwrap_err().to_string();
        assert!(error.contains("unplugged"), "{error}");
    }
}
