//! A bucket keeps what every storage promises. `TEST_S3` is the address of a server that holds the buckets `private` and
//! `public`, checks signatures, and knows the key `test` with the secret `test-secret`; without it nothing is tested.

use std::sync::Arc;
use std::time::Duration;

use service_kit::blobs::{Blobs as _, S3Blobs, S3Options, contract};
use taskcluster_core::clock::{ManualClock, SharedClock, SystemClock};
use taskcluster_core::ids::TaskId;
use taskcluster_core::transport::http::HttpTransport;
use taskcluster_core::transport::{Body, Transport};

fn open(clock: &SharedClock, secret: &str) -> Option<(S3Blobs, S3Blobs)> {
    let Ok(endpoint) = std::env::var("TEST_S3") else {
        println!("skipped: TEST_S3 is not set");
        return None;
    };
    let url = format!("s3://private?public_bucket=public&endpoint={endpoint}").parse().unwrap();
    let options = S3Options::read(&url, |name| match name {
        "AWS_ACCESS_KEY_ID" => Some("test".to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some(secret.to_owned()),
        _ => None,
    });
    let (private, public) = S3Blobs::open(&options.unwrap(), clock).unwrap();
    Some((private, public.unwrap()))
}

fn http() -> Transport {
    HttpTransport::new().unwrap().into_transport()
}

#[tokio::test]
async fn keeps_what_every_storage_promises() {
    let Some((blobs, _)) = open(&SystemClock::shared(), "test-secret") else { return };
    contract::run(&contract::Subject { blobs: Arc::new(blobs), transport: http(), clock: None }).await;
}

#[tokio::test]
async fn urls_expire_and_are_the_owners() {
    let (now, key) = (SystemClock::shared().now(), format!("expiring/{}", TaskId::new()));
    let Some((blobs, _)) = open(&SystemClock::shared(), "test-secret") else { return };
    blobs.write(&key, "text/plain", "x".into()).await.unwrap();
    let long_ago = ManualClock::at(now - Duration::from_secs(3600)).shared();
    let (past, _) = open(&long_ago, "test-secret").unwrap();
    let (stranger, _) = open(&SystemClock::shared(), "guessed").unwrap();
    let soon = now + Duration::from_secs(600);
    for (url, status) in [
        (blobs.get_url(&key, soon).unwrap(), 200),
        (past.get_url(&key, soon).unwrap(), 200),
        (past.get_url(&key, now - Duration::from_secs(1800)).unwrap(), 403),
        (stranger.get_url(&key, soon).unwrap(), 403),
    ] {
        let request = http::Request::get(url.as_str()).body(Body::empty()).unwrap();
        assert_eq!(http().send(request).await.unwrap().status().as_u16(), status, "{url}");
    }
    let refused = stranger.write(&key, "text/plain", "y".into()).await.unwrap_err();
    assert!(format!("{refused:?}").contains("403"), "{refused:?}");
    blobs.delete(&key).await.unwrap();
}

#[tokio::test]
async fn a_public_bucket_is_read_without_a_signature_and_written_with_one() {
    let clock = SystemClock::shared();
    let Some((_, public)) = open(&clock, "test-secret") else { return };
    let soon = clock.now() + Duration::from_secs(600);
    let get = public.get_url("a/0/public/x y", soon).unwrap();
    assert!(get.as_str().ends_with("/public/a/0/public/x%20y"), "{get}");
    assert!(public.put_url("a", "text/plain", None, soon).unwrap().query().unwrap().contains("content-type%3Bhost"));
}
