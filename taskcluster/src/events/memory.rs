//! A bus inside one process.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use futures_core::Stream;

use super::{Binding, Bus, BusError, Message, Subscription};

/// How many messages wait for a listener before the oldest are dropped.
const DEFAULT_CAPACITY: usize = 10_000;

/// A bus inside one process, for tests and for a deployment that is one process.
///
/// Cloning gives another handle to the same bus. Nothing is stored: a message reaches those who listen when it is
/// published. A publisher never waits for a listener. Each subscription has a queue of its own, 10,000 messages long
/// unless [`with_capacity`](Self::with_capacity) says otherwise; a listener that falls further behind loses the **oldest**
/// messages and is told so by one [`BusError::Lagged`] before the messages that are left.
///
/// Subscriptions end once the bus is [closed](Self::close) or its last handle is dropped; what is queued by then is
/// still delivered.
#[derive(Clone, Debug)]
pub struct MemoryBus {
    inner: Arc<Inner>,
}

impl MemoryBus {
    /// A bus with nobody listening yet.
    pub fn new() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }

    /// A bus that queues up to `capacity` messages for each listener.
    ///
    /// # Panics
    /// If `capacity` is zero.
    pub fn with_capacity(capacity: usize) -> Self {
        assert!(capacity > 0, "a bus without room delivers nothing");
        Self { inner: Arc::new(Inner { capacity, listeners: Mutex::default() }) }
    }

    /// Ends all subscriptions, after what is already queued, and refuses what is published from now on.
    pub fn close(&self) {
        self.inner.close();
    }
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn publish(&self, message: Message) -> Result<(), BusError> {
        self.inner.publish(&message)
    }

    async fn subscribe(&self, bindings: Vec<Binding>) -> Result<Subscription, BusError> {
        let queue = Arc::new(Queue { bindings, state: Mutex::default() });
        let mut listeners = lock(&self.inner.listeners);
        match &mut *listeners {
            Listeners::Open(queues) => queues.push(Arc::downgrade(&queue)),
            Listeners::Closed => return Err(BusError::Closed),
        }
        Ok(Subscription::new(Listener { queue }))
    }
}

#[derive(Debug)]
struct Inner {
    capacity: usize,
    listeners: Mutex<Listeners>,
}

/// Subscriptions own their queues; the bus only knows of them, so that dropping a subscription is enough to end it.
#[derive(Debug)]
enum Listeners {
    Open(Vec<Weak<Queue>>),
    Closed,
}

impl Default for Listeners {
    fn default() -> Self {
        Self::Open(Vec::new())
    }
}

impl Inner {
    /// Publishing holds the list's lock, so that two messages reach all listeners in the same order.
    fn publish(&self, message: &Message) -> Result<(), BusError> {
        let mut listeners = lock(&self.listeners);
        let Listeners::Open(queues) = &mut *listeners else { return Err(BusError::Closed) };
        queues.retain(|queue| match queue.upgrade() {
            Some(queue) => {
                queue.offer(message, self.capacity);
                true
            }
            None => false,
        });
        Ok(())
    }

    fn close(&self) {
        let before = std::mem::replace(&mut *lock(&self.listeners), Listeners::Closed);
        if let Listeners::Open(queues) = before {
            queues.iter().filter_map(Weak::upgrade).for_each(|queue| queue.close());
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

/// What waits for one listener.
#[derive(Debug)]
struct Queue {
    bindings: Vec<Binding>,
    state: Mutex<QueueState>,
}

#[derive(Debug, Default)]
struct QueueState {
    messages: VecDeque<Message>,
    /// Dropped since the listener was last told.
    missed: u64,
    closed: bool,
    waker: Option<Waker>,
}

impl Queue {
    fn offer(&self, message: &Message, capacity: usize) {
        if !self.bindings.iter().any(|binding| message.fits(binding)) {
            return;
        }
        let mut state = lock(&self.state);
        if state.messages.len() == capacity {
            state.messages.pop_front();
            state.missed += 1;
        }
        state.messages.push_back(message.clone());
        wake(state);
    }

    fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        wake(state);
    }
}

fn wake(mut state: MutexGuard<'_, QueueState>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// The listener's end.
struct Listener {
    queue: Arc<Queue>,
}

impl Stream for Listener {
    type Item = Result<Message, BusError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = lock(&self.queue.state);
        if state.missed > 0 {
            let missed = std::mem::take(&mut state.missed);
            return Poll::Ready(Some(Err(BusError::Lagged { missed })));
        }
        if let Some(message) = state.messages.pop_front() {
            return Poll::Ready(Some(Ok(message)));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

/// No code panics while it holds one of these locks, so a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const EXCHANGE: &str = "exchange/test/v1/happened";

    fn message(key: &str) -> Message {
        Message::new(EXCHANGE, key, "{}")
    }

    async fn listen(bus: &MemoryBus, pattern: &str) -> Subscription {
        bus.subscribe(vec![Binding::new(EXCHANGE, pattern)]).await.unwrap()
    }

    async fn next_key(subscription: &mut Subscription) -> String {
        subscription.next().await.unwrap().unwrap().routing_key
    }

    fn waits(subscription: &mut Subscription) -> bool {
        subscription.next().now_or_never().is_none()
    }

    #[tokio::test]
    async fn delivers_what_fits_in_order() {
        let bus = MemoryBus::new();
        let mut subscription = listen(&bus, "a.*.#").await;
        for key in ["a.1", "b.1", "a.2.x.y", "a"] {
            bus.publish(message(key)).await.unwrap();
        }
        assert_eq!(next_key(&mut subscription).await, "a.1");
        assert_eq!(next_key(&mut subscription).await, "a.2.x.y");
        assert!(waits(&mut subscription));
    }

    #[tokio::test]
    async fn another_exchange_is_not_delivered() {
        let bus = MemoryBus::new();
        let mut subscription = listen(&bus, "#").await;
        bus.publish(Message::new("exchange/test/v1/other", "a", "{}")).await.unwrap();
        assert!(waits(&mut subscription));
    }

    #[tokio::test]
    async fn carbon_copies_route_too_and_deliver_once() {
        let bus = MemoryBus::new();
        let bindings = vec![Binding::new(EXCHANGE, "route.index.#"), Binding::everything(EXCHANGE)];
        let mut subscription = bus.subscribe(bindings).await.unwrap();
        bus.publish(message("a").with_cc(["route.index.x", "route.index.y"])).await.unwrap();
        assert_eq!(subscription.next().await.unwrap().unwrap().cc.len(), 2);
        assert!(waits(&mut subscription));
    }

    #[tokio::test]
    async fn a_slow_listener_loses_the_oldest_and_is_told_once() {
        let bus = MemoryBus::with_capacity(2);
        let mut slow = listen(&bus, "#").await;
        for key in ["1", "2", "3", "4"] {
            bus.publish(message(key)).await.unwrap();
        }
        assert!(matches!(slow.next().await, Some(Err(BusError::Lagged { missed: 2 }))));
        assert_eq!(next_key(&mut slow).await, "3");
        assert_eq!(next_key(&mut slow).await, "4");
        bus.publish(message("5")).await.unwrap();
        assert_eq!(next_key(&mut slow).await, "5");
    }

    #[tokio::test]
    async fn a_waiting_listener_is_woken() {
        let bus = MemoryBus::new();
        let mut subscription = listen(&bus, "#").await;
        let waiting = tokio::spawn(async move { next_key(&mut subscription).await });
        tokio::task::yield_now().await;
        bus.publish(message("a")).await.unwrap();
        assert_eq!(waiting.await.unwrap(), "a");
    }

    #[tokio::test]
    async fn closing_delivers_what_is_queued_then_ends() {
        let bus = MemoryBus::new();
        let mut subscription = listen(&bus, "#").await;
        bus.publish(message("a")).await.unwrap();
        bus.close();
        assert!(matches!(bus.publish(message("b")).await, Err(BusError::Closed)));
        assert_eq!(next_key(&mut subscription).await, "a");
        assert!(subscription.next().await.is_none());
    }

    #[tokio::test]
    async fn dropping_the_last_handle_ends_subscriptions() {
        let bus = MemoryBus::new();
        let other = bus.clone();
        let mut subscription = listen(&bus, "#").await;
        drop(bus);
        assert!(waits(&mut subscription));
        drop(other);
        assert!(subscription.next().await.is_none());
    }
}
