//! The API through the generated client. `tests/api/purge_cache` of the repository asks the same over the network, on each
//! database.

use std::sync::Arc;
use std::time::Duration;

use service_kit::frame::Frame;
use service_kit::service::Service as _;
use service_kit::store::Database;
use taskcluster::events::MemoryBus;
use taskcluster::purge_cache::{PurgeCache, PurgeCacheRequest};
use taskcluster_core::RetryPolicy;
use taskcluster_core::caller::Caller;
use taskcluster_core::clock::{Clock as _, ManualClock};
use taskcluster_core::credentials::Credentials;
use taskcluster_core::error::Error;
use taskcluster_core::time::{Timestamp, days, hours, minutes};
use taskcluster_core::transport;
use taskcluster_purge_cache::{Options, PurgeCacheService};
use taskcluster_server::authenticator::Fixed;

const ROOT: &str = "http://tc.example";
const POOL: &str = "pool/worker";

/// Nothing in these tests takes this long, however busy the machine is.
const LONG: Duration = Duration::from_secs(120);

/// An await that must not take for ever.
async fn soon<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future.into_future()).await.expect("it takes too long")
}

struct Tester {
    clock: ManualClock,
    service: PurgeCacheService,
    client: PurgeCache,
}

impl Tester {
    async fn new() -> Self {
        Self::on(Database::Memory).await
    }

    async fn on(database: Database) -> Self {
        let clock = ManualClock::at("2026-03-04T05:06:07.000Z".parse().unwrap());
        let frame = Frame::new(ROOT, Arc::new(MemoryBus::new())).with_clock(clock.shared());
        let everything = Arc::new(Fixed::new("tester", ["*"]));
        let service = PurgeCacheService::open(Options::new(frame, database, everything)).await.unwrap();
        let caller = Caller::builder(ROOT)
            .credentials(Credentials::new("tester", "token"))
            .clock(clock.shared())
            .retry(RetryPolicy::never())
            .transport(transport::in_process(service.router()));
        Self { clock, service, client: PurgeCache::new(caller.build().unwrap()) }
    }

    async fn purge(&self, cache: &str) -> Result<(), Error> {
        soon(self.client.purge_cache(POOL, &PurgeCacheRequest::new(cache))).await
    }

    /// What a worker of the pool is told: names, and since when copies are good.
    async fn open(&self) -> Vec<(String, Timestamp)> {
        let answer = soon(self.client.purge_requests(POOL)).await.unwrap();
        answer.requests.into_iter().map(|request| (request.cache_name, request.before)).collect()
    }
}

#[tokio::test]
async fn a_request_is_open_for_a_day_and_moves_when_it_is_made_again() {
    let tester = Tester::new().await;
    let first = tester.clock.now();
    tester.purge("target").await.unwrap();
    assert_eq!(tester.open().await, [("target".to_owned(), first)]);
    tester.clock.advance(hours(23));
    tester.purge("target").await.unwrap();
    let second = tester.clock.now();
    assert_eq!(tester.open().await, [("target".to_owned(), second)]);
    tester.clock.advance(days(1));
    assert_eq!(tester.open().await.len(), 1);
    tester.clock.advance(minutes(1));
    assert!(tester.open().await.is_empty());
    tester.service.catch_up().await.unwrap();
    tester.clock.set(second);
    assert!(tester.open().await.is_empty(), "it was removed");
}

#[tokio::test]
async fn a_time_that_is_none_and_names_that_cannot_be_kept_are_refused() {
    let tester = Tester::new().await;
    let refused = soon(tester.client.purge_requests(POOL).since("yesterday")).await.unwrap_err();
    assert!(refused.status().unwrap() == 400 && refused.to_string().contains("yesterday"), "{refused}");
    for name in ["a\0b", &"x".repeat(2001)] {
        let refused = tester.purge(name).await.unwrap_err();
        assert!(refused.status().unwrap() == 400 && refused.to_string().contains("cacheName"), "{refused}");
    }
    tester.purge(&"x".repeat(2000)).await.unwrap();
    let token = soon(tester.client.all_purge_requests().continuation_token("nonsense")).await.unwrap_err();
    assert_eq!(token.status().unwrap(), 400);
}

#[tokio::test]
async fn a_pool_is_two_names() {
    let tester = Tester::new().await;
    for pool in ["pool", "pool/", "list", "a/b/c"] {
        let refused = soon(tester.client.purge_cache(pool, &PurgeCacheRequest::new("x"))).await.unwrap_err();
        assert!(matches!(refused.status().unwrap().as_u16(), 400 | 404 | 405), "{pool}: {refused}");
    }
    assert!(soon(tester.client.all_purge_requests()).await.unwrap().requests.is_empty());
}

#[tokio::test]
async fn requests_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(dir.path().join("purge-cache.db"));
    let tester = Tester::on(database.clone()).await;
    tester.purge("target").await.unwrap();
    let open = tester.open().await;
    tester.service.store().close().await;
    assert_eq!(Tester::on(database).await.open().await, open);
}
