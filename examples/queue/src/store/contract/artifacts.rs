//! Artifacts.

use super::fixture::*;
use super::prelude::*;

pub(super) async fn artifacts_are_created_listed_and_replaced(f: &Fixture) {
    let id = f.create(json!({})).await;
    f.claim(1).await;
    f.events().await;
    let reference = |url: &str| Storage::Reference { url: url.to_owned() };
    let put =
        |name: &'static str, storage| f.store.put_artifact(artifact(id, name, f.now() + days(1), storage), f.now());
    for name in ["public/c", "public/a", "public/b"] {
        put(name, reference("https://example.com")).await.unwrap().unwrap();
    }
    put("public/d", Storage::Blob { key: "k".to_owned(), public: false }).await.unwrap().unwrap();
    let events = f.events().await;
    assert_eq!(events.len(), 3);
    assert_eq!(events[0].0, "artifact-created");
    assert_eq!(
        events[0].3["artifact"],
        json!({"storageType": "reference", "name": "public/c", "expires": f.now() + days(1), "contentType": "text/plain"})
    );
    let names = |page: &[Artifact]| page.iter().map(|artifact| artifact.name.clone()).collect::<Vec<_>>();
    let page = f.store.artifacts(id, 0.into(), "", 2).await.unwrap();
    assert_eq!(names(&page), ["public/a", "public/b"]);
    assert_eq!(names(&f.store.artifacts(id, 0.into(), "public/b", 5).await.unwrap()), ["public/c", "public/d"]);
    put("public/a", reference("https://example.org")).await.unwrap().unwrap();
    let found = f.store.artifact(id, 0.into(), "public/a").await.unwrap().unwrap();
    assert_eq!(found.storage, reference("https://example.org"));
    assert!(put("public/d", reference("https://example.org")).await.unwrap().is_err());
    assert_eq!(f.store.artifact(id, 1.into(), "public/a").await.unwrap(), None);
}

pub(super) async fn late_artifacts_are_refused(f: &Fixture) {
    let id = f.create(json!({})).await;
    let storage = || Storage::Reference { url: "https://example.com".to_owned() };
    let put = |name: &'static str| f.store.put_artifact(artifact(id, name, f.now() + days(1), storage()), f.now());
    assert_eq!(put("a").await.unwrap(), Err(ArtifactRefusal::NotClaimed(0.into())));
    f.claim(1).await;
    let outlives = artifact(id, "a", f.now() + days(31), storage());
    assert!(matches!(
        f.store.put_artifact(outlives, f.now()).await.unwrap(),
        Err(ArtifactRefusal::OutlivesTask { .. })
    ));
    let missing = artifact(TaskId::new(), "a", f.now(), storage());
    assert!(matches!(f.store.put_artifact(missing, f.now()).await.unwrap(), Err(ArtifactRefusal::NoSuchTask(_))));
    f.apply(id, Event::Except { run: 0.into(), reason: ExceptionReason::InternalError }).await;
    f.clock.advance(minutes(24));
    put("log").await.unwrap().unwrap();
    f.clock.advance(minutes(2));
    assert_eq!(put("more").await.unwrap(), Err(ArtifactRefusal::NotRunning(0.into())));
}
