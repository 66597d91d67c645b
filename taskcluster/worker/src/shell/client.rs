//! Speaks to a shell of a task from elsewhere.
//!
//! A connection that breaks is made anew, and the program goes on where it was: it does not notice.

use std::io;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest as _};
use url::Url;

use super::frame::{Control, Frame, Name};
use super::link::{Cut, Link, config};
use super::session::PATIENCE;
use super::streams::{PIECE, Streams, Violation};
use super::{ShellRequest, Size};
use crate::wire::Wire;

pub use super::Terminal;

/// How long making a connection may take.
const CONNECTING: Duration = Duration::from_secs(20);

/// How long to wait before another attempt.
const PAUSE: Duration = Duration::from_millis(500);

/// Why there is no exit code.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShellError {
    /// The address is none that a shell can have.
    #[error("{0} is not the address of a shell")]
    Address(Url),
    /// The worker answers, but has no such shell: the task may have ended.
    #[error("there is no such shell; the task may have ended")]
    Gone,
    /// The worker cannot be reached, or not any more.
    #[error("the worker cannot be reached: {0}")]
    Unreachable(String),
    /// The worker refuses, and says why.
    #[error("{0}")]
    Refused(String),
    /// The visitor has left before the program ended.
    #[error("the shell was left")]
    Left,
    /// This side's input or output does not work.
    #[error("cannot pass on what is said: {0}")]
    Io(#[from] io::Error),
}

/// Start a program beside a task's own, and attend to it until it ends. Gives its exit code.
///
/// `address` is where the artifact [`SHELL`](crate::plugins::SHELL) leads to: it alone is what a visitor needs, so it is a
/// secret.
///
/// # Errors
/// See [`ShellError`]. An output that nobody reads any more is one of `Io`; the program is ended then.
///
/// # Cancel safety
/// Dropping the future leaves the program without a visitor: it ends two minutes later. [`attend_until`] ends it at once.
pub async fn attend<I, O, E, S>(
    address: &Url,
    request: ShellRequest,
    terminal: Terminal<I, O, E, S>,
) -> Result<i32, ShellError>
where
    I: AsyncRead + Unpin,
    O: AsyncWrite + Unpin,
    E: AsyncWrite + Unpin,
    S: Stream<Item = Size> + Unpin,
{
    attend_until(address, request, terminal, std::future::pending()).await
}

/// The same, until `leave` is ready at the latest: the program is ended then.
///
/// # Errors
/// As those of [`attend`], and [`ShellError::Left`].
pub async fn attend_until<I, O, E, S>(
    address: &Url,
    request: ShellRequest,
    terminal: Terminal<I, O, E, S>,
    leave: impl Future<Output = ()>,
) -> Result<i32, ShellError>
where
    I: AsyncRead + Unpin,
    O: AsyncWrite + Unpin,
    E: AsyncWrite + Unpin,
    S: Stream<Item = Size> + Unpin,
{
    let mut leave = std::pin::pin!(leave);
    let mut link = tokio::select! {
        link = connect(address) => link?,
        () = &mut leave => return Err(ShellError::Left),
    };
    let mut streams = Streams::of_visitor();
    streams.begin(Control::Open(request));
    // Nothing is sent before the worker has said how far the input had come.
    streams.hold();
    let mut visit = Visit { streams, session: None, terminal: Ends::new(terminal), exit: None };
    loop {
        let end = tokio::select! {
            end = visit.until_cut(&mut link) => end,
            () = &mut leave => Err(ShellError::Left),
        };
        let end = match end {
            Ok(None) => {
                link = tokio::select! {
                    link = visit.again(address) => link?,
                    () = &mut leave => return Err(ShellError::Left),
                };
                continue;
            }
            Ok(Some(code)) => Ok(code),
            Err(error @ (ShellError::Io(_) | ShellError::Left)) => Err(error),
            Err(error) => return Err(error),
        };
        visit.streams.say(Control::Bye);
        link.part(&mut visit.streams).await;
        return end;
    }
}

struct Ends<I, O, E, S> {
    terminal: Terminal<I, O, E, S>,
    input_is_over: bool,
    sizes_are_over: bool,
    /// What is being written.
    output: Vec<u8>,
    error: Vec<u8>,
}

impl<I, O, E, S> Ends<I, O, E, S> {
    fn new(terminal: Terminal<I, O, E, S>) -> Self {
        Self { terminal, input_is_over: false, sizes_are_over: false, output: Vec::new(), error: Vec::new() }
    }
}

/// What may happen next.
enum Event {
    Said(Result<Frame, Cut>),
    Typed(io::Result<usize>),
    Sized(Option<Size>),
    Wrote(Name, io::Result<usize>),
}

struct Visit<I, O, E, S> {
    streams: Streams,
    session: Option<String>,
    terminal: Ends<I, O, E, S>,
    exit: Option<i32>,
}

impl<I, O, E, S> Visit<I, O, E, S>
where
    I: AsyncRead + Unpin,
    O: AsyncWrite + Unpin,
    E: AsyncWrite + Unpin,
    S: Stream<Item = Size> + Unpin,
{
    /// Until the program has ended and everything it printed is written: its code; or until the connection breaks: `None`.
    async fn until_cut(&mut self, link: &mut Link) -> Result<Option<i32>, ShellError> {
        let mut typed = vec![0; PIECE];
        loop {
            let ends = &mut self.terminal;
            for (name, writing) in [(Name::Stdout, &mut ends.output), (Name::Stderr, &mut ends.error)] {
                if writing.is_empty() {
                    *writing = self.streams.waiting(name);
                }
            }
            let is_written = ends.output.is_empty() && ends.error.is_empty();
            if let Some(code) = self.exit.filter(|_| is_written) {
                ends.terminal.output.flush().await?;
                ends.terminal.error.flush().await?;
                return Ok(Some(code));
            }
            let room = self.streams.room(Name::Stdin).min(PIECE);
            let event = tokio::select! {
                said = link.exchange(&mut self.streams) => Event::Said(said),
                read = ends.terminal.input.read(&mut typed[..room]), if room > 0 && !ends.input_is_over => Event::Typed(read),
                size = ends.terminal.sizes.next(), if !ends.sizes_are_over => Event::Sized(size),
                wrote = ends.terminal.output.write(&ends.output), if !ends.output.is_empty() =>
                    Event::Wrote(Name::Stdout, wrote),
                wrote = ends.terminal.error.write(&ends.error), if !ends.error.is_empty() =>
                    Event::Wrote(Name::Stderr, wrote),
            };
            match event {
                Event::Said(Ok(frame)) => self.heard(frame)?,
                Event::Said(Err(Cut::Violation(violation))) => return Err(refused(&violation)),
                Event::Said(Err(cut)) if self.session.is_none() => {
                    return Err(ShellError::Unreachable(cut.to_string()));
                }
                Event::Said(Err(_)) => return Ok(None),
                Event::Typed(read) => match read? {
                    0 => {
                        self.streams.end(Name::Stdin);
                        self.terminal.input_is_over = true;
                    }
                    read => self.streams.put(Name::Stdin, &typed[..read]),
                },
                Event::Sized(Some(size)) => self.streams.say(Control::Resize(size)),
                Event::Sized(None) => self.terminal.sizes_are_over = true,
                Event::Wrote(name, wrote) => {
                    let wrote = wrote?;
                    if wrote == 0 {
                        return Err(io::Error::from(io::ErrorKind::WriteZero).into());
                    }
                    let ends = &mut self.terminal;
                    let writing = if name == Name::Stdout { &mut ends.output } else { &mut ends.error };
                    writing.drain(..wrote);
                    self.streams.consume(name, wrote);
                }
            }
        }
    }

    fn heard(&mut self, frame: Frame) -> Result<(), ShellError> {
        match self.streams.take(frame).map_err(|violation| refused(&violation))? {
            None | Some(Control::Bye) => {}
            Some(Control::Opened { session, stdin }) => {
                self.streams.resume(Name::Stdin, stdin).map_err(|violation| refused(&violation))?;
                self.session = Some(session);
            }
            Some(Control::Exit { code }) => self.exit = Some(code),
            Some(Control::Error { message }) => return Err(ShellError::Refused(message)),
            Some(
                Control::Open(_)
                | Control::Resume { .. }
                | Control::Resize(_)
                | Control::Ack { .. }
                | Control::End { .. },
            ) => return Err(refused(&Violation("this is not for a worker to say"))),
        }
        Ok(())
    }

    /// Another connection for the same session.
    async fn again(&mut self, address: &Url) -> Result<Link, ShellError> {
        let session = self.session.clone().ok_or(ShellError::Gone)?;
        let until = Instant::now() + PATIENCE;
        let link = loop {
            match connect(address).await {
                Err(ShellError::Unreachable(_)) if Instant::now() < until => tokio::time::sleep(PAUSE).await,
                link => break link?,
            }
        };
        let received = |name| self.streams.received(name);
        let (stdout, stderr) = (received(Name::Stdout), received(Name::Stderr));
        self.streams.begin(Control::Resume { session, stdout, stderr });
        self.streams.hold();
        Ok(link)
    }
}

fn refused(violation: &Violation) -> ShellError {
    ShellError::Refused(violation.to_string())
}

async fn connect(address: &Url) -> Result<Link, ShellError> {
    let unreachable = |error: &dyn std::error::Error| ShellError::Unreachable(error.to_string());
    let invalid = || ShellError::Address(address.clone());
    let is_secret = match address.scheme() {
        "http" | "ws" => false,
        "https" | "wss" => true,
        _ => return Err(invalid()),
    };
    let host = address.host_str().ok_or_else(invalid)?;
    let port = address.port().unwrap_or(if is_secret { 443 } else { 80 });
    let mut url = address.clone();
    url.set_scheme(if is_secret { "wss" } else { "ws" }).map_err(|()| invalid())?;
    let request = url.as_str().into_client_request().map_err(|_| invalid())?;
    let connecting = async {
        let stream =
            TcpStream::connect((host.trim_matches(['[', ']']), port)).await.map_err(|error| unreachable(&error))?;
        // What is typed is small and must not wait for more.
        let _ = stream.set_nodelay(true);
        let wire: Box<dyn Wire> = if is_secret { encrypt(host, stream).await? } else { Box::new(stream) };
        match client_async_with_config(request, wire, Some(config())).await {
            Ok((socket, _)) => Ok(Link::new(socket)),
            Err(tungstenite::Error::Http(answer)) if answer.status().is_client_error() => Err(ShellError::Gone),
            Err(error) => Err(unreachable(&error)),
        }
    };
    timeout(CONNECTING, connecting).await.unwrap_or_else(|elapsed| Err(unreachable(&elapsed)))
}

#[cfg(feature = "tls")]
pub(crate) async fn encrypt(host: &str, stream: TcpStream) -> Result<Box<dyn Wire>, ShellError> {
    use std::sync::Arc;

    use rustls::pki_types::ServerName;
    use rustls_platform_verifier::BuilderVerifierExt as _;

    let unreachable = |error: &dyn std::error::Error| ShellError::Unreachable(error.to_string());
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(|error| unreachable(&error))?
        .with_no_client_auth();
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).map_err(|error| unreachable(&error))?;
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    Ok(Box::new(stream.map_err(|error| unreachable(&error))?))
}

#[cfg(not(feature = "tls"))]
pub(crate) async fn encrypt(_host: &str, _stream: TcpStream) -> Result<Box<dyn Wire>, ShellError> {
    Err(ShellError::Unreachable("this program was built without TLS".to_owned()))
}
