//! Uploads, from the first call to the last.

use taskcluster::object::{
    CreateUploadRequest, DataInlineProposal, FinishUploadRequest, ObjectHashes, ProposedUploadMethods, PutUrlProposal,
    StartDownloadResponse,
};
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{Timestamp, days, hours, minutes};

use crate::tester::{HELLO_SHA256, PROJECT, Tester, all_methods, inline, put_url, refusal, refused, sha256, soon};

#[tokio::test]
async fn data_by_url_is_there_once_the_upload_is_finished() {
    for t in Tester::on_each_storage().await {
        let (name, upload_id) = (format!("public/{}/hello world.txt", TaskId::new()), TaskId::new());
        let begun = t.create(&name, upload_id, put_url(5)).await.unwrap();
        assert_eq!((begun.project_id.as_str(), begun.upload_id, begun.expires), (PROJECT, upload_id, t.expires()));
        let target = begun.upload_method.put_url.unwrap();
        assert_eq!(target.expires, t.now() + minutes(45));
        assert!((400..500).contains(&t.put(&target, "hello!").await), "it is not as long as was said");
        assert_eq!(refusal(t.finish(&name, upload_id, ObjectHashes::new()).await), refused(400, "InputError"));

        let again = t.create(&name, upload_id, put_url(5)).await.unwrap().upload_method.put_url.unwrap();
        assert_eq!(t.put(&again, "hello").await, 200);
        assert_eq!(refusal(soon(t.object.object(&name)).await), refused(404, "ResourceNotFound"));
        assert_eq!(refusal(t.start(&name, all_methods()).await), refused(404, "ResourceNotFound"));
        assert_eq!(refusal(soon(t.object.download(&name)).await), refused(404, "ResourceNotFound"));

        t.finish(&name, upload_id, sha256(HELLO_SHA256)).await.unwrap();
        let metadata = soon(t.object.object(&name)).await.unwrap();
        assert_eq!((metadata.project_id.as_str(), metadata.expires), (PROJECT, t.expires()));
        assert_eq!(metadata.hashes, sha256(HELLO_SHA256));
        let StartDownloadResponse::GetUrl(found) = t.start(&name, all_methods()).await.unwrap() else {
            panic!("there is a checksum")
        };
        let (status, headers, body) = t.get(&found.url).await;
        assert_eq!((status, body.as_str()), (200, "hello"));
        assert_eq!(headers["content-type"], "text/plain");
        assert_eq!((found.hashes, found.expires), (sha256(HELLO_SHA256), t.now() + minutes(30)));
    }
}

#[tokio::test]
async fn small_data_comes_with_the_call() {
    for t in Tester::on_each_storage().await {
        let (name, upload_id) = (format!("small/{}", TaskId::new()), TaskId::new());
        let both = inline("hello").with_put_url(PutUrlProposal::new("text/plain", 5));
        let method = t.create(&name, upload_id, both).await.unwrap().upload_method;
        assert!(method.data_inline == Some(true) && method.put_url.is_none());
        t.finish(&name, upload_id, ObjectHashes::new()).await.unwrap();
        let StartDownloadResponse::Simple(found) = t.start(&name, all_methods()).await.unwrap() else {
            panic!("there is no checksum")
        };
        let (status, headers, body) = t.get(&found.url).await;
        assert_eq!((status, body.as_str()), (200, "hello"));
        assert_eq!(headers["content-type"], "text/plain");
    }
}

#[tokio::test]
async fn an_upload_that_was_begun_is_nobody_elses() {
    let t = Tester::new().await;
    let upload_id = TaskId::new();
    let nothing = t.create("a", upload_id, ProposedUploadMethods::new()).await.unwrap().upload_method;
    assert_eq!((nothing.data_inline, nothing.put_url), (None, None));
    let conflict = refused(409, "RequestConflict");
    assert_eq!(refusal(t.create("a", TaskId::new(), inline("mine")).await), conflict);
    for other in [
        CreateUploadRequest::new("another/project", upload_id, t.expires(), inline("x")),
        CreateUploadRequest::new(PROJECT, upload_id, t.expires() + days(1), inline("x")),
    ] {
        assert_eq!(refusal(soon(t.object.create_upload("a", &other)).await), conflict, "{other:?}");
    }
    t.create("a", upload_id, inline("first")).await.unwrap();
    t.create("a", upload_id, inline("hello")).await.unwrap();
    assert_eq!(refusal(t.finish("a", TaskId::new(), ObjectHashes::new()).await), conflict);
    let other = FinishUploadRequest::new("another/project", upload_id);
    assert_eq!(refusal(soon(t.object.finish_upload("a", &other)).await), refused(400, "InputError"));
    assert_eq!(refusal(t.finish("b", upload_id, ObjectHashes::new()).await), refused(404, "ResourceNotFound"));
    t.finish("a", upload_id, ObjectHashes::new()).await.unwrap();
    assert_eq!(refusal(t.create("a", upload_id, inline("late")).await), conflict);
    assert_eq!(refusal(t.finish("a", TaskId::new(), ObjectHashes::new()).await), conflict);
}

#[tokio::test]
async fn checksums_are_added_and_never_changed() {
    let t = Tester::new().await;
    let (upload_id, conflict) = (TaskId::new(), refused(409, "RequestConflict"));
    let create = async |hashes| {
        let request = CreateUploadRequest::new(PROJECT, upload_id, t.expires(), inline("hello")).with_hashes(hashes);
        soon(t.object.create_upload("a", &request)).await
    };
    create(sha256(HELLO_SHA256)).await.unwrap();
    create(ObjectHashes::new()).await.unwrap();
    assert_eq!(refusal(create(sha256(&"0".repeat(64))).await), conflict);
    assert_eq!(refusal(t.finish("a", upload_id, sha256(&"0".repeat(64))).await), conflict);
    let other = |name: &str, value: serde_json::Value| {
        let more = serde_json::json!({ name: value });
        serde_json::from_value::<ObjectHashes>(more).unwrap()
    };
    assert_eq!(refusal(t.finish("a", upload_id, other("crc", 7.into())).await), refused(400, "InputError"));
    t.finish("a", upload_id, other("crc", "7".into())).await.unwrap();

    for hashes in [other("crc", "7".into()), sha256(HELLO_SHA256), ObjectHashes::new()] {
        t.finish("a", upload_id, hashes).await.expect("it says nothing new");
    }
    assert_eq!(refusal(t.finish("a", upload_id, other("md5", "x".into())).await), conflict);
    let kept = serde_json::to_value(soon(t.object.object("a")).await.unwrap().hashes).unwrap();
    assert_eq!(kept, serde_json::json!({"sha256": HELLO_SHA256, "crc": "7"}));
}

#[tokio::test]
async fn what_cannot_be_uploaded_is_refused_at_once() {
    let t = Tester::new().await;
    let inline = |content_type: &str, data: &str| {
        ProposedUploadMethods::new().with_data_inline(DataInlineProposal::new(content_type, data))
    };
    let by_url = |content_type: &str, length| {
        ProposedUploadMethods::new().with_put_url(PutUrlProposal::new(content_type, length))
    };
    // 8193 bytes, which the schema lets through.
    let long = "AAAA".repeat(2731);
    for methods in [
        inline("text/plain", "%"),
        inline("text/plain", "aGVsbG8"),
        inline("text/plain", &long),
        inline("text/\nplain", "aGVsbG8="),
        by_url("text/plain", -1),
        by_url("\u{fc}", 5),
    ] {
        assert_eq!(
            refusal(t.create("a", TaskId::new(), methods.clone()).await),
            refused(400, "InputError"),
            "{methods:?}"
        );
    }
    let past = CreateUploadRequest::new(PROJECT, TaskId::new(), t.now(), by_url("text/plain", 5));
    assert_eq!(refusal(soon(t.object.create_upload("past", &past)).await), refused(400, "InputError"));
    let soon_over = CreateUploadRequest::new(PROJECT, TaskId::new(), t.now() + minutes(5), by_url("text/plain", 5));
    let begun = soon(t.object.create_upload("short", &soon_over)).await.unwrap();
    assert_eq!(begun.upload_method.put_url.unwrap().expires, t.now() + minutes(5), "no longer than the object");
}

#[tokio::test]
async fn times_are_compared_as_they_are_answered() {
    let t = Tester::new().await;
    let upload_id = TaskId::new();
    let body = |expires: &str| {
        let expires: Timestamp = expires.parse().unwrap();
        CreateUploadRequest::new(PROJECT, upload_id, expires, inline("hello"))
    };
    soon(t.object.create_upload("a", &body("2026-05-06T07:08:09.123+01:00"))).await.unwrap();
    let again = soon(t.object.create_upload("a", &body("2026-05-06T06:08:09.123Z"))).await.unwrap();
    assert_eq!(again.expires.to_string(), "2026-05-06T06:08:09.123Z");
}

#[tokio::test]
async fn uploads_need_the_scope_of_their_project_and_name() {
    let t = Tester::new().await;
    let upload_id = TaskId::new();
    let request = CreateUploadRequest::new(PROJECT, upload_id, t.now() + hours(1), inline("hello"));
    let finish = FinishUploadRequest::new(PROJECT, upload_id);
    for scopes in
        [vec![], vec!["object:upload:another:a/b"], vec!["object:upload:a/project:a/c"], vec!["object:download:*"]]
    {
        let object = t.with_scopes(scopes);
        assert_eq!(refusal(soon(object.create_upload("a/b", &request)).await), refused(403, "InsufficientScopes"));
        assert_eq!(refusal(soon(object.finish_upload("a/b", &finish)).await), refused(403, "InsufficientScopes"));
    }
    let object = t.with_scopes(["object:upload:a/project:a/b"]);
    soon(object.create_upload("a/b", &request)).await.unwrap();
    soon(object.finish_upload("a/b", &finish)).await.unwrap();
    assert_eq!(refusal(soon(object.object("a/b")).await), refused(403, "InsufficientScopes"));
}

#[tokio::test]
async fn any_name_will_do() {
    for t in Tester::on_each_storage().await {
        for name in ["a//b", "../x", "with % and ?#&=", "trailing/"] {
            let name = format!("{}/{name}", TaskId::new());
            t.upload(&name, ObjectHashes::new()).await;
            let StartDownloadResponse::Simple(found) = t.start(&name, all_methods()).await.unwrap() else {
                panic!("there is no checksum")
            };
            assert_eq!(t.get(&found.url).await.2, "hello", "{name}");
        }
    }
}

#[cfg(feature = "s3")]
#[tokio::test]
async fn a_name_that_the_storage_cannot_take_is_refused() {
    let Some(t) = Tester::on_each_storage().await.into_iter().nth(1) else { return };
    let created = t.create(&"x".repeat(1024), TaskId::new(), put_url(5)).await;
    assert_eq!(refusal(created), refused(400, "NoMatchingBackend"));
}
