//! Messages as their Rust type.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::StreamExt;
use taskcluster_core::operation::{Event, EventPattern};

use super::{Binding, Bus, BusError, Message, Subscription};

/// Listens to the messages of one event whose routing key fits `pattern`.
///
/// The pattern is what the event's `binding()` gives, narrowed as far as you like, or a text such as `"#"`.
///
#[cfg_attr(feature = "queue", doc = "```")]
#[cfg_attr(not(feature = "queue"), doc = "```ignore")]
/// use taskcluster::TaskId;
/// use taskcluster::events::{Bus, BusError, MemoryBus, listen};
/// use taskcluster::queue::events::TaskGroupResolved;
///
/// # use taskcluster::events::Message;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BusError> {
/// # let (bus, group) = (MemoryBus::new(), TaskId::new());
/// let pattern = TaskGroupResolved::binding().task_group_id(&group);
/// let mut resolved = listen::<TaskGroupResolved>(&bus, pattern).await?;
/// # let body = format!(r#"{{"version":1,"taskGroupId":"{group}","schedulerId":"-","expires":"2030-01-01T00:00:00.000Z"}}"#);
/// # let key = TaskGroupResolved::key(&group, "-");
/// # bus.publish(Message::new(TaskGroupResolved::EXCHANGE.exchange, key, body)).await?;
/// if let Some(event) = resolved.next().await {
///     println!("task group {} is done", event?.message.task_group_id);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`Bus::subscribe`].
pub async fn listen<E: Event>(bus: &dyn Bus, pattern: impl fmt::Display) -> Result<Listener<E>, BusError> {
    let binding = Binding::new(E::EXCHANGE.exchange, pattern.to_string());
    Ok(Listener { messages: bus.subscribe(vec![binding]).await?, event: PhantomData })
}

/// Listening by a pattern that knows its event.
///
#[cfg_attr(feature = "queue", doc = "```no_run")]
#[cfg_attr(not(feature = "queue"), doc = "```ignore")]
/// use taskcluster::TaskId;
/// use taskcluster::events::{Bus, BusError, Listen};
/// use taskcluster::queue::events::task_completed;
///
/// # async fn example(bus: &dyn Bus, group: &TaskId) -> Result<(), BusError> {
/// let mut completed = task_completed().task_group_id(group).listen(bus).await?;
/// while let Some(event) = completed.next().await {
///     println!("{} is completed", event?.message.status.task_id);
/// }
/// # Ok(())
/// # }
/// ```
pub trait Listen: EventPattern + Sized {
    /// Listens to the messages of the event whose routing key fits.
    ///
    /// # Errors
    /// As [`Bus::subscribe`].
    fn listen(self, bus: &dyn Bus) -> impl Future<Output = Result<Listener<Self::Event>, BusError>> + Send {
        let pattern = self.to_string();
        async move { listen(bus, pattern).await }
    }
}

impl<P: EventPattern> Listen for P {}

/// A stream of the messages of one event; dropping it ends the subscription.
pub struct Listener<E> {
    messages: Subscription,
    event: PhantomData<fn() -> E>,
}

/// A message of an event, and how it came.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Received<M> {
    /// What the message says.
    pub message: M,
    /// The key under which it was published.
    pub routing_key: String,
    /// Further keys under which it was published.
    pub cc: Vec<String>,
    /// Whether the bus knows that it delivered this message before.
    pub redelivered: bool,
}

impl<E: Event> Listener<E> {
    /// The next message, or `None` once the bus is closed.
    ///
    /// # Errors
    /// [`BusError::Lagged`], [`BusError::Interrupted`] and [`BusError::Malformed`] stand for messages that cannot be given;
    /// listening goes on.
    ///
    /// # Cancel safety
    /// No message is lost if the future is dropped before it is ready.
    pub async fn next(&mut self) -> Option<Result<Received<E::Message>, BusError>> {
        Some(self.messages.next().await?.and_then(read::<E>))
    }
}

impl<E: Event> Stream for Listener<E> {
    type Item = Result<Received<E::Message>, BusError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let message = ready!(self.messages.poll_next_unpin(context));
        Poll::Ready(message.map(|message| message.and_then(read::<E>)))
    }
}

impl<E> fmt::Debug for Listener<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

fn read<E: Event>(message: Message) -> Result<Received<E::Message>, BusError> {
    let Message { exchange, routing_key, cc, payload, redelivered } = message;
    match serde_json::from_slice(&payload) {
        Ok(message) => Ok(Received { message, routing_key, cc, redelivered }),
        Err(source) => Err(BusError::Malformed { exchange, routing_key, payload, source }),
    }
}

#[cfg(test)]
mod tests {
    use taskcluster_core::operation::Exchange;

    use super::*;
    use crate::events::MemoryBus;

    struct Counted;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Count {
        n: u32,
    }

    impl Event for Counted {
        type Message = Count;
        const EXCHANGE: Exchange =
            Exchange { service: "test", name: "counted", exchange: "exchange/test/v1/counted", routing_key: &[] };
    }

    #[tokio::test]
    async fn a_message_that_cannot_be_read_is_told_and_the_next_one_comes() {
        let bus = MemoryBus::new();
        let mut counted = listen::<Counted>(&bus, "a.#").await.unwrap();
        let publish = |body: &'static str| bus.publish(Message::new(Counted::EXCHANGE.exchange, "a.b", body));
        publish(r#"{"n": "one"}"#).await.unwrap();
        publish(r#"{"n": 2, "new": true}"#).await.unwrap();

        let malformed = counted.next().await.unwrap().unwrap_err();
        assert!(
            matches!(&malformed, BusError::Malformed { routing_key, payload, .. } if routing_key == "a.b" && payload == r#"{"n": "one"}"#),
            "{malformed}"
        );
        let received = counted.next().await.unwrap().unwrap();
        assert_eq!((received.message, received.routing_key.as_str()), (Count { n: 2 }, "a.b"));
        bus.close();
        assert!(counted.next().await.is_none());
    }
}
