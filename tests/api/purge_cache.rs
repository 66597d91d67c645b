//! The purge-cache service over the network.

use harness::{Backend, Deployment, Options, Tester, soon};
use taskcluster::purge_cache::PurgeCacheRequest;
use taskcluster::time::{hours, minutes};
use taskcluster::{Error, ManualClock, Timestamp};

const POOL: &str = "pool/worker";

async fn purge(tester: &Tester, pool: &str, cache: &str) -> Result<(), Error> {
    soon(tester.purge_cache().purge_cache(pool, &PurgeCacheRequest::new(cache)).into_future()).await
}

/// What workers of a pool are told that ask for what is new since then.
async fn told(tester: &Tester, pool: &str, since: Option<Timestamp>) -> Result<Vec<String>, Error> {
    let request = tester.purge_cache().purge_requests(pool);
    let request = match since {
        Some(since) => request.since(since),
        None => request,
    };
    let answer = soon(request.into_future()).await?;
    Ok(answer.requests.into_iter().map(|request| request.cache_name).collect())
}

#[tokio::test]
async fn workers_are_told_what_was_asked_of_their_pool() {
    for backend in Backend::available() {
        let clock = ManualClock::at(Timestamp::now());
        let deployment = Deployment::start(Options::on(backend).with_clock(clock.clone())).await.unwrap();
        let root = deployment.root();
        purge(&root, POOL, "old").await.unwrap();
        purge(&root, "pool/other", "of others").await.unwrap();
        clock.advance(hours(1));
        purge(&root, POOL, "new").await.unwrap();
        purge(&root, POOL, "new").await.unwrap();
        let answer = soon(root.purge_cache().purge_requests(POOL).into_future()).await.unwrap().requests;
        let newest = &answer[0];
        assert_eq!((newest.provisioner_id.as_str(), newest.worker_type.as_str()), ("pool", "worker"));
        assert_eq!((newest.cache_name.as_str(), newest.before), ("new", root.now()));
        assert_eq!(told(&root, POOL, None).await.unwrap(), ["new", "old"]);
        assert_eq!(told(&root, POOL, Some(root.now())).await.unwrap(), ["new"], "that time is among them");
        assert!(told(&root, POOL, Some(root.now() + minutes(1))).await.unwrap().is_empty());
        assert!(told(&root, "pool/unknown", None).await.unwrap().is_empty());
        deployment.stop().await;
    }
}

#[tokio::test]
async fn a_request_ends_after_a_day_and_begins_anew_when_it_is_made_again() {
    for backend in Backend::available() {
        let clock = ManualClock::at(Timestamp::now());
        let deployment = Deployment::start(Options::on(backend).with_clock(clock.clone())).await.unwrap();
        let root = deployment.root();
        purge(&root, POOL, "stays").await.unwrap();
        purge(&root, POOL, "goes").await.unwrap();
        clock.advance(hours(23));
        purge(&root, POOL, "stays").await.unwrap();
        assert_eq!(told(&root, POOL, None).await.unwrap(), ["goes", "stays"]);
        clock.advance(hours(2));
        assert_eq!(told(&root, POOL, None).await.unwrap(), ["stays"]);
        let all = soon(root.purge_cache().all_purge_requests().all()).await.unwrap();
        assert_eq!(all.len(), 1);
        // However long ago the worker has asked.
        assert_eq!(told(&root, POOL, Some(Timestamp::UNIX_EPOCH)).await.unwrap(), ["stays"]);
        deployment.stop().await;
    }
}

#[tokio::test]
async fn all_requests_are_listed_page_by_page() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let root = deployment.root();
        let asked = [("p/a", "x"), ("p/a", "y"), ("p/b", "x"), ("q/a", "A"), ("q/a", "a")];
        for (pool, cache) in asked {
            purge(&root, pool, cache).await.unwrap();
        }
        for limit in [1, 2, 5, 1000] {
            let all = soon(root.purge_cache().all_purge_requests().limit(limit).all()).await.unwrap();
            let pool = |provisioner: &str, worker_type: &str| format!("{provisioner}/{worker_type}");
            let found: Vec<(String, String)> = all
                .into_iter()
                .map(|request| (pool(&request.provisioner_id, &request.worker_type), request.cache_name))
                .collect();
            assert_eq!(found, asked.map(|(pool, cache)| (pool.to_owned(), cache.to_owned())));
        }
        deployment.stop().await;
    }
}

#[tokio::test]
async fn each_method_takes_its_scope() {
    for backend in Backend::available() {
        let deployment = Deployment::start(Options::on(backend)).await.unwrap();
        let holding = |scope: &str| {
            let credentials = deployment.root().caller().credentials().unwrap();
            let caller = deployment.with(credentials).caller().to_builder().authorized_scopes([scope]).build();
            Tester::new(caller.unwrap())
        };
        let user = holding("purge-cache:pool/worker:mine");
        purge(&user, POOL, "mine").await.unwrap();
        assert!(purge(&user, POOL, "other").await.unwrap_err().is_forbidden());
        assert!(purge(&user, "pool/other", "mine").await.unwrap_err().is_forbidden());
        assert!(told(&user, POOL, None).await.unwrap_err().is_forbidden());

        let worker = holding("purge-cache:purge-requests::pool/worker");
        assert_eq!(told(&worker, POOL, None).await.unwrap(), ["mine"]);
        assert!(told(&worker, "pool/other", None).await.unwrap_err().is_forbidden());
        assert!(purge(&worker, POOL, "mine").await.unwrap_err().is_forbidden());
        assert!(soon(worker.purge_cache().all_purge_requests().into_future()).await.unwrap_err().is_forbidden());

        let viewer = holding("purge-cache:all-purge-requests");
        assert_eq!(soon(viewer.purge_cache().all_purge_requests().into_future()).await.unwrap().requests.len(), 1);
        assert!(purge(&deployment.anonymous(), POOL, "mine").await.unwrap_err().is_forbidden());
        deployment.stop().await;
    }
}

#[tokio::test]
async fn it_says_that_it_is_there() {
    let deployment = Deployment::start(Options::on(Backend::Sqlite)).await.unwrap();
    let service = deployment.anonymous().purge_cache();
    for call in [service.ping(), service.lbheartbeat(), service.heartbeat(), service.version()] {
        soon(call.into_future()).await.unwrap();
    }
    deployment.stop().await;
}
