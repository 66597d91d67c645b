//! Artifacts of every kind.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use serde_json::Value;
use taskcluster::queue::{
    ArtifactContentResponse, ArtifactErrorReason, ErrorArtifactRequest, FinishArtifactRequest, LinkArtifactRequest,
    ObjectArtifactRequest, PostArtifactRequest, PostArtifactResponse, ReferenceArtifactRequest, S3ArtifactRequest,
    TaskExceptionRequest,
};
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{days, hours, minutes};

use crate::tester::{Tester, refusal, refused, soon};

const URL: &str = "https://example.com/file";

impl Tester {
    fn reference(&self, url: &str) -> PostArtifactRequest {
        PostArtifactRequest::Reference(ReferenceArtifactRequest::new(self.now() + hours(10), url, "text/plain"))
    }

    fn link(&self, to: &str) -> PostArtifactRequest {
        PostArtifactRequest::Link(LinkArtifactRequest::new(self.now() + hours(10), to))
    }

    fn s3(&self) -> PostArtifactRequest {
        PostArtifactRequest::S3(S3ArtifactRequest::new(self.now() + hours(10), "text/plain"))
    }

    async fn put(
        &self,
        id: &TaskId,
        name: &str,
        artifact: &PostArtifactRequest,
    ) -> Result<PostArtifactResponse, taskcluster_core::Error> {
        soon(self.queue.create_artifact(id, 0, name, artifact)).await
    }
}

#[tokio::test]
async fn what_everybody_may_read_has_a_bucket_of_its_own() {
    let t = Tester::with_public_bucket().await;
    let id = t.running().await;
    for (name, place) in
        [("public/log.txt", "http://tc.example/open/"), ("private/log.txt", "http://tc.example/blobs/")]
    {
        let PostArtifactResponse::S3(upload) = t.put(&id, name, &t.s3()).await.unwrap() else { panic!("not s3") };
        assert!(upload.put_url.starts_with(place), "{}", upload.put_url);
        let found = soon(t.queue.get_artifact(&id, 0, name)).await.unwrap();
        assert!(found.url.starts_with(place), "{}", found.url);
        let blobs = t.buckets.of(name.starts_with("public/"));
        let key = format!("{id}/0/{name}");
        blobs.write(&key, "text/plain", "x".into()).await.unwrap();
        t.put(&id, name, &t.s3()).await.expect("again");
    }
    t.clock.advance(hours(11));
    t.expire().await;
    for public in [true, false] {
        for name in ["public/log.txt", "private/log.txt"] {
            assert_eq!(t.buckets.of(public).describe(&format!("{id}/0/{name}")).await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn bytes_go_to_the_blob_store_and_come_back() {
    let t = Tester::new().await;
    let id = t.running().await;
    t.events().await;
    let PostArtifactResponse::S3(upload) = t.put(&id, "public/log.txt", &t.s3()).await.unwrap() else {
        panic!("not s3")
    };
    assert!(upload.put_url.starts_with("http://tc.example/blobs/"), "{}", upload.put_url);
    assert_eq!((upload.content_type.as_str(), upload.expires), ("text/plain", t.now() + minutes(45)));
    assert_eq!(t.event_names().await, Vec::<String>::new());
    // Creating it again gives another URL.
    t.put(&id, "public/log.txt", &t.s3()).await.unwrap();
    let found = soon(t.anonymous().get_artifact(&id, 0, "public/log.txt")).await.unwrap();
    assert_eq!(found.storage_type, "s3");
    assert!(found.url.starts_with("http://tc.example/blobs/"), "{}", found.url);
    let latest = soon(t.anonymous().get_latest_artifact(&id, "public/log.txt")).await.unwrap();
    assert_eq!(latest.storage_type, "s3");
    let content = soon(t.queue.artifact(&id, 0, "public/log.txt")).await.unwrap();
    assert!(matches!(content, ArtifactContentResponse::S3(_)));
}

#[tokio::test]
async fn signed_urls_move_the_bytes() {
    let t = Tester::new().await;
    let id = t.running().await;
    let PostArtifactResponse::S3(upload) = t.put(&id, "public/log.txt", &t.s3()).await.unwrap() else {
        panic!("not s3")
    };
    let put =
        http::Request::put(upload.put_url.as_str()).header("content-type", "text/plain").header("content-length", 5);
    let answer = t.send(put.body("hello".into()).unwrap()).await;
    assert_eq!(answer.0, 200, "{}", answer.1);
    let found = soon(t.anonymous().get_artifact(&id, 0, "public/log.txt")).await.unwrap();
    let get = http::Request::get(found.url.as_str()).body("".into()).unwrap();
    assert_eq!(t.send(get).await, (200, "hello".to_owned()));
    // Nobody else's name is on the URL, and it does not hold for ever.
    let other = found.url.replace("log.txt", "other.txt");
    let get = http::Request::get(other).body("".into()).unwrap();
    assert_ne!(t.send(get).await.0, 200);
    t.clock.advance(minutes(31));
    let get = http::Request::get(found.url.as_str()).body("".into()).unwrap();
    assert_ne!(t.send(get).await.0, 200);
    for odd in ["text/plain\nx: y", "text/plain; title=ü"] {
        let odd = PostArtifactRequest::S3(S3ArtifactRequest::new(t.now() + hours(1), odd));
        assert_eq!(refusal(t.put(&id, "public/odd", &odd).await), refused(400, "InputError"));
    }
}

#[tokio::test]
async fn private_artifacts_need_a_scope() {
    let t = Tester::new().await;
    let id = t.running().await;
    t.put(&id, "private/a", &t.reference(URL)).await.unwrap();
    assert_eq!(
        refusal(soon(t.anonymous().get_artifact(&id, 0, "private/a")).await),
        refused(403, "InsufficientScopes")
    );
    let allowed = t.with_scopes(["queue:get-artifact:private/a"]);
    assert_eq!(soon(allowed.get_artifact(&id, 0, "private/a")).await.unwrap().url, URL);
    // Permission comes before existence.
    assert_eq!(refusal(soon(t.anonymous().get_latest_artifact(&TaskId::new(), "private/a")).await).0, 403);
    assert_eq!(refusal(soon(t.queue.get_latest_artifact(&TaskId::new(), "private/a")).await).0, 404);
    assert_eq!(refusal(soon(t.queue.get_artifact(&id, 0, "private/b")).await), refused(404, "ResourceNotFound"));
    // A signed URL carries the permission.
    let url =
        soon(async { t.queue.get_artifact(&id, 0, "private/a").signed_for(Duration::from_secs(60)) }).await.unwrap();
    assert!(url.query().unwrap().starts_with("bewit="));
}

#[tokio::test]
async fn references_links_and_errors_are_told_of() {
    let t = Tester::new().await;
    let id = t.running().await;
    t.events().await;
    t.put(&id, "public/a", &t.reference(URL)).await.unwrap();
    t.put(&id, "public/b", &t.link("public/a")).await.unwrap();
    let error = ErrorArtifactRequest::new(t.now() + hours(1), ArtifactErrorReason::FileMissingOnWorker, "no such file");
    t.put(&id, "public/c", &PostArtifactRequest::Error(error)).await.unwrap();
    let events = t.events().await;
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|(name, body)| name == "artifact-created" && body["workerId"] == "one"));
    assert_eq!(soon(t.queue.get_artifact(&id, 0, "public/b")).await.unwrap().url, URL);
    let missing = soon(t.queue.get_artifact(&id, 0, "public/c")).await.unwrap_err();
    assert_eq!(missing.status().unwrap().as_u16(), 424);
    let content = soon(t.queue.artifact(&id, 0, "public/c")).await.unwrap();
    let ArtifactContentResponse::Error(content) = content else { panic!("not an error") };
    assert_eq!((content.reason.as_str(), content.message.as_str()), ("file-missing-on-worker", "no such file"));
}

#[tokio::test]
async fn every_link_of_a_chain_needs_its_scope() {
    let t = Tester::new().await;
    let id = t.running().await;
    t.put(&id, "private/a", &t.reference(URL)).await.unwrap();
    t.put(&id, "public/b", &t.link("private/a")).await.unwrap();
    t.put(&id, "public/c", &t.link("public/b")).await.unwrap();
    assert_eq!(refusal(soon(t.anonymous().get_artifact(&id, 0, "public/c")).await).0, 403);
    let both = t.with_scopes(["queue:get-artifact:public/*", "queue:get-artifact:private/a"]);
    assert_eq!(soon(both.get_artifact(&id, 0, "public/c")).await.unwrap().url, URL);
    t.put(&id, "public/x", &t.link("public/y")).await.unwrap();
    t.put(&id, "public/y", &t.link("public/x")).await.unwrap();
    assert_eq!(refusal(soon(t.queue.get_artifact(&id, 0, "public/x")).await), refused(400, "InputError"));
}

#[tokio::test]
async fn artifacts_are_listed_and_described() {
    let t = Tester::new().await;
    let id = t.running().await;
    for name in ["public/b", "public/a", "public/c"] {
        t.put(&id, name, &t.reference(URL)).await.unwrap();
    }
    let all = soon(t.queue.list_artifacts(&id, 0).limit(2).stream().try_collect::<Vec<_>>()).await.unwrap();
    let names: Vec<&str> = all.iter().map(|artifact| artifact.name.as_str()).collect();
    assert_eq!(names, ["public/a", "public/b", "public/c"]);
    assert_eq!(soon(t.queue.list_latest_artifacts(&id)).await.unwrap().artifacts.len(), 3);
    let info = soon(t.queue.artifact_info(&id, 0, "public/a")).await.unwrap();
    assert_eq!((info.storage_type.to_string().as_str(), info.content_type.as_str()), ("reference", "text/plain"));
    assert_eq!(soon(t.queue.latest_artifact_info(&id, "public/a")).await.unwrap(), info);
    assert_eq!(refusal(soon(t.queue.artifact_info(&id, 0, "public/z")).await).0, 404);
    assert_eq!(refusal(soon(t.queue.list_artifacts(&id, 1)).await).0, 404);
    assert_eq!(refusal(soon(t.anonymous().list_artifacts(&id, 0)).await).0, 403);
}

#[tokio::test]
async fn another_artifact_of_the_same_name_is_refused() {
    let t = Tester::new().await;
    let id = t.running().await;
    t.put(&id, "public/a", &t.reference(URL)).await.unwrap();
    t.put(&id, "public/a", &t.reference("https://example.com/other")).await.unwrap();
    assert_eq!(refusal(t.put(&id, "public/a", &t.s3()).await), refused(409, "RequestConflict"));
    t.put(&id, "public/a", &t.link("public/b")).await.unwrap();
    assert_eq!(refusal(t.put(&id, "public/a", &t.link("public/c")).await), refused(409, "RequestConflict"));
}

#[tokio::test]
async fn artifacts_need_a_live_run() {
    let t = Tester::new().await;
    let id = t.create().await;
    assert_eq!(refusal(t.put(&id, "public/a", &t.reference(URL)).await), refused(400, "InputError"));
    assert_eq!(refusal(t.put(&TaskId::new(), "public/a", &t.reference(URL)).await), refused(400, "InputError"));
    let claim = t.claim().await;
    let own = t.as_task(&claim);
    soon(own.create_artifact(&id, 0, "public/a", &t.reference(URL))).await.unwrap();
    assert_eq!(refusal(soon(own.create_artifact(&id, 1, "public/a", &t.reference(URL))).await).0, 403);
    let past = PostArtifactRequest::Reference(ReferenceArtifactRequest::new(t.now() - hours(1), URL, "text/plain"));
    assert_eq!(refusal(t.put(&id, "public/b", &past).await), refused(400, "InputError"));
    let long = PostArtifactRequest::Reference(ReferenceArtifactRequest::new(t.now() + days(800), URL, "text/plain"));
    assert_eq!(refusal(t.put(&id, "public/b", &long).await), refused(400, "InputError"));
    soon(t.queue.report_completed(&id, 0)).await.unwrap();
    assert_eq!(refusal(t.put(&id, "public/b", &t.reference(URL)).await), refused(409, "RequestConflict"));
}

#[tokio::test]
async fn log_may_be_uploaded_shortly_after_an_exception() {
    let t = Tester::new().await;
    let id = t.running().await;
    soon(t.queue.report_exception(&id, 0, &TaskExceptionRequest::new("malformed-payload"))).await.unwrap();
    t.clock.advance(minutes(24));
    t.put(&id, "public/log", &t.s3()).await.unwrap();
    t.clock.advance(minutes(1));
    assert_eq!(refusal(t.put(&id, "public/late", &t.s3()).await), refused(409, "RequestConflict"));
}

#[tokio::test]
async fn objects_are_refused_until_there_is_an_object_service() {
    let t = Tester::new().await;
    let id = t.running().await;
    let object = PostArtifactRequest::Object(ObjectArtifactRequest::new(t.now() + hours(1), "text/plain"));
    let error = t.put(&id, "public/a", &object).await;
    assert!(error.as_ref().unwrap_err().to_string().contains("object service"));
    assert_eq!(refusal(error), refused(400, "InputError"));
    let finish = FinishArtifactRequest::new(TaskId::new());
    assert_eq!(refusal(soon(t.queue.finish_artifact(&id, 0, "public/a", &finish)).await).0, 404);
    t.put(&id, "public/a", &t.reference(URL)).await.unwrap();
    assert_eq!(refusal(soon(t.queue.finish_artifact(&id, 0, "public/a", &finish)).await), refused(400, "InputError"));
}

#[tokio::test]
async fn expired_artifacts_are_gone_for_good_after_the_sweep() {
    let t = Tester::new().await;
    let id = t.running().await;
    t.put(&id, "public/a", &t.s3()).await.unwrap();
    t.clock.advance(hours(11));
    assert_eq!(refusal(soon(t.queue.get_artifact(&id, 0, "public/a")).await), refused(410, "ResourceExpired"));
    t.expire().await;
    assert_eq!(refusal(soon(t.queue.get_artifact(&id, 0, "public/a")).await), refused(404, "ResourceNotFound"));
}

#[tokio::test]
async fn answers_redirect_and_name_the_storage() {
    let t = Tester::new().await;
    let id = t.running().await;
    t.put(&id, "public/a", &t.reference(URL)).await.unwrap();
    let raw = soon(t.queue.get_artifact(&id, 0, "public/a").raw()).await.unwrap();
    let body: Value = serde_json::from_slice(&raw).unwrap();
    assert_eq!((body["storageType"].as_str(), body["url"].as_str()), (Some("reference"), Some(URL)));
}

#[tokio::test]
async fn names_that_no_artifact_can_have_are_refused() {
    let t = Tester::new().await;
    let id = t.running().await;
    t.put(&id, &"x".repeat(1024), &t.reference(URL)).await.unwrap();
    assert_eq!(
        refusal(t.put(&id, &"x".repeat(1025), &t.reference(URL)).await),
        refused(400, "InvalidRequestArguments")
    );
    for target in ["", "a\0b", "\u{fc}", &"x".repeat(1025)] {
        assert_eq!(refusal(t.put(&id, "link", &t.link(target)).await), refused(400, "InputError"), "{target:?}");
    }
    assert_eq!(soon(t.queue.list_artifacts(&id, 0)).await.unwrap().artifacts.len(), 1);
}
