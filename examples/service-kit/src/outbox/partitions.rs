//! Publishing many rows at once, those of a partition one after the other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt as _, stream};
use taskcluster::events::{Bus, BusError};
use tokio::sync::oneshot;

use super::{Message, Row};

/// How many messages may be on their way to the bus at the same time.
const CONCURRENCY: usize = 128;

/// What became of some rows.
pub(super) struct Published {
    /// The ids of those that the bus has taken.
    pub(super) taken: Vec<i64>,
    /// The first failure.
    pub(super) result: Result<(), BusError>,
}

/// What messages have in common whose order is kept: the first two words of the routing key, which in the events of tasks and
/// task groups are `primary` and the id. Events without words, as auth's, are one partition.
fn partition(message: &Message) -> String {
    let mut words = message.routing_key.splitn(3, '.');
    [words.next(), words.next()].map(Option::unwrap_or_default).join(".")
}

/// A row on its way.
struct Sending {
    id: i64,
    message: Message,
    /// Told when the one before it in its partition was taken, dropped when it was not.
    before: Option<oneshot::Receiver<()>>,
    taken: oneshot::Sender<()>,
}

/// Whether the bus has taken a message. Nothing: it was not asked to, since it did not take the one before.
type Outcome = Option<Result<i64, BusError>>;

/// Publishes rows, oldest first. After a failure no other is begun, but those that are on their way are waited for.
pub(super) async fn publish_rows(rows: Vec<Row>, bus: &dyn Bus) -> Published {
    let failed = AtomicBool::new(false);
    let mut published = Published { taken: Vec::with_capacity(rows.len()), result: Ok(()) };
    let begun = stream::iter(chained(rows)).take_while(|_| std::future::ready(!failed.load(Ordering::Relaxed)));
    let mut outcomes = begun.map(|sending| send(sending, bus)).buffer_unordered(CONCURRENCY);
    while let Some(outcome) = outcomes.next().await {
        match outcome {
            Some(Ok(id)) => published.taken.push(id),
            Some(Err(error)) => {
                failed.store(true, Ordering::Relaxed);
                if published.result.is_ok() {
                    published.result = Err(error);
                }
            }
            None => {}
        }
    }
    drop(outcomes);
    published
}

/// Lets each row wait for the one before it in its partition.
fn chained(rows: Vec<Row>) -> Vec<Sending> {
    let mut last = HashMap::new();
    rows.into_iter()
        .map(|row| {
            let (id, message) = Message::from_row(row);
            let (taken, after) = oneshot::channel();
            let before = last.insert(partition(&message), after);
            Sending { id, message, before, taken }
        })
        .collect()
}

async fn send(sending: Sending, bus: &dyn Bus) -> Outcome {
    let Sending { id, message, before, taken } = sending;
    if let Some(before) = before {
        before.await.ok()?;
    }
    match bus.publish(message.into()).await {
        Ok(()) => {}
        // To keep it would hold back all after it for ever.
        Err(error @ BusError::Refused { .. }) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a message was dropped");
        }
        Err(error) => return Some(Err(error)),
    }
    // Nobody may be waiting for it.
    let _ = taken.send(());
    Some(Ok(id))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use async_trait::async_trait;
    use taskcluster::events::{Binding, Message, Subscription};
    use tokio::sync::Semaphore;

    use super::*;

    /// A bus that takes messages when the test says so, and never those of some keys.
    #[derive(Debug)]
    struct Slow {
        permits: Semaphore,
        begun: Mutex<Vec<String>>,
        refused: BTreeSet<&'static str>,
    }

    impl Slow {
        fn new(refused: &[&'static str]) -> Self {
            let refused = refused.iter().copied().collect();
            Self { permits: Semaphore::new(0), begun: Mutex::default(), refused }
        }

        fn begun(&self) -> Vec<String> {
            self.begun.lock().unwrap().clone()
        }
    }

    #[async_trait]
    impl Bus for Slow {
        async fn publish(&self, message: Message) -> Result<(), BusError> {
            self.begun.lock().unwrap().push(message.routing_key.clone());
            self.permits.acquire().await.unwrap().forget();
            if self.refused.contains(message.routing_key.as_str()) { Err(BusError::Closed) } else { Ok(()) }
        }

        async fn subscribe(&self, _: Vec<Binding>) -> Result<Subscription, BusError> {
            Err(BusError::Closed)
        }
    }

    fn rows(keys: &[&str]) -> Vec<Row> {
        let row = |(id, key): (i64, &&str)| (id, "exchange/test".into(), (*key).into(), "[]".into(), "{}".into());
        (1..).zip(keys).map(row).collect()
    }

    #[tokio::test]
    async fn partitions_are_published_side_by_side_and_each_in_its_order() {
        let bus = Slow::new(&[]);
        let publishing = publish_rows(rows(&["primary.a.1", "primary.a.2", "primary.b.1", "primary.c.1"]), &bus);
        let test = async {
            while bus.begun().len() < 3 {
                tokio::task::yield_now().await;
            }
            assert_eq!(bus.begun(), ["primary.a.1", "primary.b.1", "primary.c.1"]);
            bus.permits.add_permits(4);
        };
        let (published, ()) = tokio::join!(publishing, test);
        assert!(published.result.is_ok());
        assert_eq!(bus.begun().last().unwrap(), "primary.a.2");
        assert_eq!(BTreeSet::from_iter(published.taken), BTreeSet::from([1, 2, 3, 4]));
    }

    #[tokio::test]
    async fn nothing_overtakes_what_was_not_taken() {
        let bus = Slow::new(&["primary.a.2"]);
        bus.permits.add_permits(100);
        let keys = ["primary.a.1", "primary.b.1", "primary.a.2", "primary.a.3", "primary.b.2", "primary.a.4"];
        let published = publish_rows(rows(&keys), &bus).await;
        assert!(published.result.is_err());
        assert!(!bus.begun().iter().any(|key| key == "primary.a.3" || key == "primary.a.4"), "{:?}", bus.begun());
        // What was on its way all the same is known to be taken, so that it is not published again.
        let taken = BTreeSet::from_iter(published.taken);
        assert!(taken.contains(&1) && taken.contains(&2) && taken.is_subset(&BTreeSet::from([1, 2, 5])), "{taken:?}");
    }
}
