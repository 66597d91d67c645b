//! Who wants in, and where to.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{StatusCode, Uri};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::super::door::{Door, Visitor, Visitors};
use super::super::shelf::Shelf;
use super::page::ShellPage;
use super::room::Room;
use crate::shell::dialect::Dialect;
use crate::shell::frame::{Control, Frame};
use crate::shell::link::{Link, config};
use crate::shell::page::Page;
use crate::shell::session::Return;
use crate::shell::socket::Socket;
use crate::shell::streams::Streams;
use crate::shell::v1::V1;
use crate::shell::v2::V2;
use crate::shell::{ShellRequest, USUAL};
use crate::wire::Wire;

/// Visitors who have not said yet what they want; more wait outside.
const GREETED: usize = 100;

/// For how long a visitor may take to say it.
const GREETING: Duration = Duration::from_secs(20);

/// How much the system may hold for a visitor, each way; some double it.
const UNREAD: usize = 64 * 1024;

pub(super) struct Porter {
    door: Arc<Door>,
    rooms: Shelf<Arc<Room>>,
}

impl Porter {
    pub(super) fn new(door: Door, rooms: Shelf<Arc<Room>>) -> Self {
        Self { door: Arc::new(door), rooms }
    }

    /// Let visitors in until this is dropped.
    pub(super) async fn serve(self, mut comers: Visitors) {
        let (mut visitors, free) = (JoinSet::new(), Arc::new(Semaphore::new(GREETED)));
        loop {
            let place = free.clone().acquire_owned().await.expect("nobody closes it");
            while visitors.try_join_next().is_some() {}
            let visitor = comers.next().await;
            let (door, rooms) = (self.door.clone(), self.rooms.clone());
            visitors.spawn(async move {
                let greeted = tokio::time::timeout(GREETING, greet(visitor, &door, rooms)).await;
                drop(place);
                if let Ok(Some(stay)) = greeted {
                    stay.await;
                }
            });
        }
    }
}

/// Find out what a visitor wants and hand the connection over; whoever wants nothing sensible is let go of. What is given back is
/// to be awaited: somebody's whole stay.
async fn greet(visitor: Visitor, door: &Door, rooms: Shelf<Arc<Room>>) -> Option<BoxFuture<'static, ()>> {
    if let Some(stream) = visitor.tcp() {
        // What is printed is small and must not wait for more.
        let _ = stream.set_nodelay(true);
        keep_little(stream);
    }
    let wire = door.unlock(visitor).await?;
    let (socket, Wish { room, page }) = shake_hands(wire, &rooms).await?;
    if let Some((dialect, request)) = page {
        return Some(Box::pin(room.receive(Page::new(Socket::new(socket), dialect), request).await?));
    }
    let mut link = Link::new(socket);
    let mut nothing = Streams::of_program();
    match link.exchange(&mut nothing).await {
        Ok(Frame::Control(Control::Open(request))) => room.enter(link, request).await,
        Ok(Frame::Control(Control::Resume { session, stdout, stderr })) => {
            room.come_back(&session, Return { link, stdout, stderr }).await;
        }
        Ok(_) => refuse(link, "the first message is to open or to resume a session").await,
        Err(cut) => refuse(link, &cut.to_string()).await,
    }
    None
}

/// What was sent and not read is the system's to hold, megabytes if need be: a page that does not keep up would show what
/// was printed minutes ago, and its answers to pings would be as late.
fn keep_little(stream: &TcpStream) {
    use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
    let set = set_socket_send_buffer_size(stream, UNREAD).and_then(|()| set_socket_recv_buffer_size(stream, UNREAD));
    if let Err(error) = set {
        tracing::debug!(%error, "the system holds what it likes for a visitor of a shell");
    }
}

/// What the address that a visitor has come to says.
struct Wish {
    room: Arc<Room>,
    /// The protocol of a page, and what it is to start; otherwise the visitor speaks ours, and says it then.
    page: Option<(Box<dyn Dialect>, ShellRequest)>,
}

impl Wish {
    /// `…/<secret>`, or `…/<secret>/v1?…`, or `…/<secret>/v2`.
    fn of(uri: &Uri, rooms: &Shelf<Arc<Room>>) -> Option<Self> {
        let mut segments = uri.path().rsplit('/');
        let last = segments.next()?;
        let page = ShellPage::of_segment(last);
        let secret = if page.is_some() { segments.next()? } else { last };
        let room = rooms.get(secret)?;
        let page = page.map(|page| -> (Box<dyn Dialect>, ShellRequest) {
            match page {
                ShellPage::DockerWorker => {
                    let (dialect, request) = V1::of_query(uri.query().unwrap_or_default(), USUAL);
                    (Box::new(dialect), request)
                }
                ShellPage::GenericWorker => (Box::new(V2), ShellRequest::default().with_terminal(USUAL)),
            }
        });
        Some(Self { room, page })
    }
}

/// Whatever page leads here, of whatever origin: what it has to know is the secret, which browsers do not send by themselves as
/// they do cookies. So there is nothing that a page of somebody else's could make use of.
async fn shake_hands(wire: Box<dyn Wire>, rooms: &Shelf<Arc<Room>>) -> Option<(WebSocketStream<Box<dyn Wire>>, Wish)> {
    let mut wish = None;
    #[expect(clippy::result_large_err, reason = "the library says what is given back")]
    let find = |request: &Request, response: Response| {
        wish = Wish::of(request.uri(), rooms);
        if wish.is_some() { Ok(response) } else { Err(nowhere()) }
    };
    let socket = accept_hdr_async_with_config(wire, find, Some(config())).await.ok()?;
    Some((socket, wish?))
}

fn nowhere() -> ErrorResponse {
    let mut answer = ErrorResponse::new(Some("there is no such shell\n".to_owned()));
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
}

/// Say why not, and part.
pub(super) async fn refuse(link: Link, why: &str) {
    let mut streams = Streams::of_program();
    streams.say(Control::Error { message: why.to_owned() });
    link.part(&mut streams).await;
}
