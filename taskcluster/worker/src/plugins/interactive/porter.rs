//! Who wants in, and where to.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;

use super::super::live_log::{Door, Visitor, Visitors};
use super::super::shelf::Shelf;
use super::room::Room;
use crate::shell::frame::{Control, Frame};
use crate::shell::link::{Link, Wire, config};
use crate::shell::session::Return;
use crate::shell::streams::Streams;

/// Visitors who have not said yet what they want; more wait outside.
const GREETED: usize = 100;

/// For how long a visitor may take to say it.
const GREETING: Duration = Duration::from_secs(20);

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
                let _ = tokio::time::timeout(GREETING, greet(visitor, &door, rooms)).await;
                drop(place);
            });
        }
    }
}

/// Find out what a visitor wants and hand the connection over; whoever wants nothing sensible is let go of.
async fn greet(visitor: Visitor, door: &Door, rooms: Shelf<Arc<Room>>) {
    // What is printed is small and must not wait for more.
    if let Some(stream) = visitor.tcp() {
        let _ = stream.set_nodelay(true);
    }
    let Some(wire) = door.unlock(visitor).await else { return };
    let Some((mut link, room)) = shake_hands(wire, &rooms).await else { return };
    let mut nothing = Streams::of_program();
    match link.exchange(&mut nothing).await {
        Ok(Frame::Control(Control::Open(request))) => room.enter(link, request).await,
        Ok(Frame::Control(Control::Resume { session, stdout, stderr })) => {
            room.come_back(&session, Return { link, stdout, stderr }).await;
        }
        Ok(_) => refuse(link, "the first message is to open or to resume a session").await,
        Err(cut) => refuse(link, &cut.to_string()).await,
    }
}

async fn shake_hands(wire: Box<dyn Wire>, rooms: &Shelf<Arc<Room>>) -> Option<(Link, Arc<Room>)> {
    let mut found = None;
    #[expect(clippy::result_large_err, reason = "the library says what is given back")]
    let find = |request: &Request, response: Response| {
        let secret = request.uri().path().rsplit('/').next().unwrap_or_default();
        found = rooms.get(secret);
        if found.is_some() { Ok(response) } else { Err(nowhere()) }
    };
    let socket = accept_hdr_async_with_config(wire, find, Some(config())).await.ok()?;
    Some((Link::new(socket), found?))
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
