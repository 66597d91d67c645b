//! A network between us and the broker that can be cut, and be silent.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    passage: Passage,
    /// How often connections were cut: those from before end, even if it is up again by the time they look.
    cuts: u32,
    /// Whether the broker says that it takes no messages.
    blocked: bool,
}

/// `connection.blocked` with the reason `alarm`, and `connection.unblocked`, as the protocol writes them.
const BLOCKED: &[u8] = b"\x01\x00\x00\x00\x00\x00\x0a\x00\x0a\x00\x3c\x05alarm\xce";
const UNBLOCKED: &[u8] = b"\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x3d\xce";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Passage {
    Open,
    /// New connections end at once.
    Closed,
    /// Connections are there, but nothing goes through.
    Silent,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// A network in front of what listens at `to`, a host and a port.
    pub(crate) async fn start(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(watch::Sender::new(State { passage: Passage::Open, cuts: 0, blocked: false }));
        let followed = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            while let Ok((incoming, _)) = listener.accept().await {
                tokio::spawn(carry(incoming, to.clone(), followed.subscribe()));
            }
        });
        Self { address, state, serving }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// When this returns, nothing goes through any more.
    pub(crate) async fn cut(&self) {
        self.state.send_modify(|state| *state = State { passage: Passage::Closed, cuts: state.cuts + 1, ..*state });
        self.state.closed().await;
    }

    pub(crate) fn silence(&self) {
        self.state.send_modify(|state| state.passage = Passage::Silent);
    }

    /// Says for the broker, which must have nothing else to say at the moment, whether it takes messages.
    pub(crate) fn block(&self, blocked: bool) {
        self.state.send_modify(|state| state.blocked = blocked);
    }

    pub(crate) fn restore(&self) {
        self.state.send_modify(|state| state.passage = Passage::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn carry(mut incoming: TcpStream, to: String, mut state: watch::Receiver<State>) {
    let State { cuts, mut blocked, .. } = *state.borrow_and_update();
    let Ok(mut outgoing) = TcpStream::connect(to).await else { return };
    loop {
        let now = *state.borrow_and_update();
        if now.cuts != cuts || now.passage == Passage::Closed {
            return;
        }
        if now.blocked != blocked {
            blocked = now.blocked;
            if incoming.write_all(if blocked { BLOCKED } else { UNBLOCKED }).await.is_err() {
                return;
            }
        }
        let passing = async {
            match now.passage {
                Passage::Open => drop(tokio::io::copy_bidirectional(&mut incoming, &mut outgoing).await),
                Passage::Closed | Passage::Silent => std::future::pending().await,
            }
        };
        tokio::select! {
            () = passing => return,
            changed = state.changed() => if changed.is_err() { return },
        }
    }
}
