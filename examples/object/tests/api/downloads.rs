//! Downloads, by every method.

use taskcluster::object::{AcceptedDownloadMethods, ObjectHashes, StartDownloadRequest, StartDownloadResponse};
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::minutes;

use crate::tester::{HELLO_SHA256, Tester, all_methods, refusal, refused, sha256, soon};

#[tokio::test]
async fn the_best_method_that_the_caller_accepts_is_taken() {
    let t = Tester::new().await;
    t.upload("plain", ObjectHashes::new()).await;
    t.upload("checked", sha256(HELLO_SHA256)).await;
    t.upload("also checked", ObjectHashes::new().with_sha512("0".repeat(128))).await;
    let (simple, get_url) =
        (AcceptedDownloadMethods::new().with_simple(true), AcceptedDownloadMethods::new().with_get_url(true));
    for (name, accepted, expected) in [
        ("plain", all_methods(), Some("simple")),
        ("plain", simple.clone(), Some("simple")),
        ("plain", get_url.clone(), None),
        ("plain", AcceptedDownloadMethods::new(), None),
        ("checked", all_methods(), Some("getUrl")),
        ("checked", simple, Some("simple")),
        ("checked", get_url.clone(), Some("getUrl")),
        ("also checked", get_url, Some("getUrl")),
    ] {
        let answer = t.start(name, accepted.clone()).await;
        match expected {
            None => assert_eq!(refusal(answer), refused(406, "NoMatchingMethod"), "{name}, {accepted:?}"),
            Some("simple") => assert!(matches!(answer, Ok(StartDownloadResponse::Simple(_))), "{name}, {accepted:?}"),
            Some(_) => assert!(matches!(answer, Ok(StartDownloadResponse::GetUrl(_))), "{name}, {accepted:?}"),
        }
    }
}

#[tokio::test]
async fn a_signed_url_leads_a_browser_to_the_data() {
    for t in Tester::on_each_storage().await {
        let name = format!("private/{}.txt", TaskId::new());
        t.upload(&name, ObjectHashes::new()).await;
        let url = t.object.download(&name).signed_for(minutes(5)).unwrap();
        let (status, location) = t.redirect(url.as_str()).await;
        assert_eq!(status, 303);
        let (status, headers, body) = t.get(&location.unwrap()).await;
        assert_eq!((status, body.as_str()), (200, "hello"));
        assert_eq!(headers["content-type"], "text/plain");
    }
}

#[tokio::test]
async fn urls_end() {
    let t = Tester::new().await;
    t.upload("a", ObjectHashes::new()).await;
    let StartDownloadResponse::Simple(found) = t.start("a", all_methods()).await.unwrap() else {
        panic!("there is no checksum")
    };
    t.clock.advance(minutes(29));
    assert_eq!(t.get(&found.url).await.0, 200);
    t.clock.advance(minutes(2));
    assert_eq!(t.get(&found.url).await.0, 403);
}

#[tokio::test]
async fn downloads_need_the_scope_of_the_name() {
    let t = Tester::new().await;
    for name in ["public/a", "private/a"] {
        t.upload(name, ObjectHashes::new()).await;
    }
    let form = StartDownloadRequest::new(all_methods());
    let anonymous = t.anonymous();
    soon(anonymous.start_download("public/a", &form)).await.unwrap();
    soon(anonymous.object("public/a")).await.unwrap();
    for object in [anonymous, t.with_scopes(["object:download:private/b", "object:upload:*"])] {
        let missing = refused(403, "InsufficientScopes");
        assert_eq!(refusal(soon(object.start_download("private/a", &form)).await), missing);
        assert_eq!(refusal(soon(object.object("private/a")).await), missing);
        assert_eq!(refusal(soon(object.download("private/a")).await), missing);
        assert_eq!(refusal(soon(object.download("private/none")).await), missing, "before anything is said of it");
    }
    let object = t.with_scopes(["object:download:private/a"]);
    soon(object.object("private/a")).await.unwrap();
}

#[tokio::test]
async fn the_service_says_that_it_is_there() {
    let t = Tester::new().await;
    soon(t.anonymous().ping()).await.unwrap();
    soon(t.anonymous().lbheartbeat()).await.unwrap();
    soon(t.anonymous().heartbeat()).await.unwrap();
    soon(t.anonymous().version()).await.unwrap();
}
