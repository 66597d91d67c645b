//! Artifacts whose content the object service keeps.

use taskcluster::object::{
    AcceptedDownloadMethods, CreateUploadRequest, DataInlineProposal, FinishUploadRequest, ProposedUploadMethods,
    StartDownloadRequest, StartDownloadResponse,
};
use taskcluster::queue::{
    ArtifactContentResponse, FinishArtifactRequest, LinkArtifactRequest, ObjectArtifactRequest, ObjectArtifactResponse,
    PostArtifactRequest, PostArtifactResponse,
};
use taskcluster_core::Error;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{days, hours, minutes};

use crate::tester::{Tester, refusal, refused, soon};

const NAME: &str = "public/a b.txt";

impl Tester {
    async fn try_object(&self, id: &TaskId, name: &str, content_type: &str) -> Result<PostArtifactResponse, Error> {
        let form = ObjectArtifactRequest::new(self.now() + hours(10), content_type).with_content_length(5);
        soon(self.queue.create_artifact(id, 0, name, &PostArtifactRequest::Object(form))).await
    }

    async fn object(&self, id: &TaskId, name: &str) -> ObjectArtifactResponse {
        match self.try_object(id, name, "text/plain").await.unwrap() {
            PostArtifactResponse::Object(upload) => upload,
            other => panic!("not an object: {other:?}"),
        }
    }

    async fn finish(&self, id: &TaskId, name: &str, upload_id: TaskId) -> Result<(), Error> {
        soon(self.queue.finish_artifact(id, 0, name, &FinishArtifactRequest::new(upload_id))).await
    }

    /// Does what the answer to `createArtifact` is for.
    async fn upload_object(&self, upload: &ObjectArtifactResponse) {
        let service = self.objects_as(&upload.credentials);
        let inline = ProposedUploadMethods::new().with_data_inline(DataInlineProposal::new("text/plain", "aGVsbG8="));
        let project = upload.project_id.as_str();
        let form = CreateUploadRequest::new(project, upload.upload_id, upload.expires, inline);
        soon(service.create_upload(&upload.name, &form)).await.unwrap();
        let form = FinishUploadRequest::new(project, upload.upload_id);
        soon(service.finish_upload(&upload.name, &form)).await.unwrap();
    }
}

#[tokio::test]
async fn an_object_is_seen_once_its_upload_is_finished() {
    let t = Tester::with_object_service().await;
    let id = t.create_with(|task| task.project_id = Some("a/project".to_owned())).await;
    t.claim().await;
    t.events().await;
    let upload = t.object(&id, NAME).await;
    assert_eq!((upload.name.as_str(), upload.project_id.as_str()), (&*format!("t/{id}/0/{NAME}"), "a/project"));
    assert_eq!(upload.expires, t.now() + hours(10));
    assert_eq!(upload.credentials.client_id, format!("artifact-upload/{id}/0/on/group/one"));
    for missing in [
        refusal(soon(t.queue.get_artifact(&id, 0, NAME)).await),
        refusal(soon(t.queue.artifact(&id, 0, NAME)).await),
        refusal(soon(t.queue.artifact_info(&id, 0, NAME)).await),
    ] {
        assert_eq!(missing, refused(404, "ResourceNotFound"));
    }
    assert_eq!(refusal(t.finish(&id, NAME, upload.upload_id).await), refused(400, "InputError"), "nothing is uploaded");
    t.upload_object(&upload).await;
    assert_eq!(refusal(t.finish(&id, NAME, TaskId::new()).await), refused(400, "InputError"), "another upload");
    assert_eq!(t.event_names().await, Vec::<String>::new());

    for _ in 0..2 {
        t.finish(&id, NAME, upload.upload_id).await.unwrap();
        let events = t.events().await;
        assert_eq!((events.len(), events[0].0.as_str()), (1, "artifact-created"));
        assert_eq!(
            (&events[0].1["artifact"]["storageType"], &events[0].1["workerId"]),
            (&"object".into(), &"one".into())
        );
    }
    let info = soon(t.queue.artifact_info(&id, 0, NAME)).await.unwrap();
    assert_eq!((info.storage_type.as_str(), info.content_length), ("object", Some(5)));
    let found = soon(t.anonymous().get_artifact(&id, 0, NAME)).await.unwrap();
    assert_eq!(found.storage_type, "object");
    let request = http::Request::get(&found.url).body(Default::default()).unwrap();
    assert_eq!(t.send(request).await, (200, "hello".to_owned()));
}

#[tokio::test]
async fn readers_get_credentials_for_the_one_object() {
    let t = Tester::with_object_service().await;
    let id = t.running().await;
    let upload = t.object(&id, NAME).await;
    t.upload_object(&upload).await;
    t.finish(&id, NAME, upload.upload_id).await.unwrap();
    let link = PostArtifactRequest::Link(LinkArtifactRequest::new(t.now() + hours(10), NAME));
    soon(t.queue.create_artifact(&id, 0, "public/link", &link)).await.unwrap();
    for name in [NAME, "public/link"] {
        let content = soon(t.anonymous().artifact(&id, 0, name)).await.unwrap();
        let ArtifactContentResponse::Object(content) = content else { panic!("not an object") };
        assert_eq!(content.name, upload.name);
        let service = t.objects_as(&content.credentials);
        let form = StartDownloadRequest::new(AcceptedDownloadMethods::new().with_simple(true));
        let started = soon(service.start_download(&content.name, &form)).await.unwrap();
        assert!(matches!(started, StartDownloadResponse::Simple(_)));
        assert_eq!(refusal(soon(service.object(&format!("{}x", content.name))).await).0, 403);
    }
    let latest = soon(t.queue.latest_artifact(&id, NAME)).await.unwrap();
    assert!(matches!(latest, ArtifactContentResponse::Object(_)));
}

#[tokio::test]
async fn an_upload_goes_on_where_its_beginning_is_repeated() {
    let t = Tester::with_object_service().await;
    let id = t.running().await;
    let first = t.object(&id, NAME).await;
    let again = t.object(&id, NAME).await;
    assert_eq!((&first.upload_id, &first.name), (&again.upload_id, &again.name));
    let conflict = refused(409, "RequestConflict");
    assert_eq!(refusal(t.try_object(&id, NAME, "text/html").await), conflict);
    let longer = ObjectArtifactRequest::new(t.now() + hours(11), "text/plain");
    let longer = soon(t.queue.create_artifact(&id, 0, NAME, &PostArtifactRequest::Object(longer))).await;
    assert_eq!(refusal(longer), conflict, "another expiry");
    t.upload_object(&first).await;
    t.finish(&id, NAME, first.upload_id).await.unwrap();
    assert_eq!(refusal(t.try_object(&id, NAME, "text/plain").await), conflict, "it is there");
}

#[tokio::test]
async fn what_the_object_service_refuses_is_refused() {
    let t = Tester::with_object_service().await;
    let id = t.running().await;
    // As an artifact's name it is short enough.
    let long = t.try_object(&id, &"x".repeat(1024), "text/plain").await;
    assert_eq!(refusal(long), refused(400, "InputError"));
    let past = ObjectArtifactRequest::new(t.now() - minutes(5), "text/plain");
    let past = soon(t.queue.create_artifact(&id, 0, "past", &PostArtifactRequest::Object(past))).await;
    assert_eq!(refusal(past), refused(400, "InputError"));
    // Somebody else has this object.
    let name = format!("t/{id}/0/taken");
    let form = CreateUploadRequest::new("p", TaskId::new(), t.now() + days(1), ProposedUploadMethods::new());
    soon(t.objects().create_upload(&name, &form)).await.unwrap();
    assert_eq!(refusal(t.try_object(&id, "taken", "text/plain").await), refused(409, "RequestConflict"));
    let unknown = t.try_object(&TaskId::new(), "a", "text/plain").await;
    assert_eq!(refusal(unknown), refused(400, "InputError"));
}

#[tokio::test]
async fn expired_objects_are_gone() {
    let t = Tester::with_object_service().await;
    let id = t.running().await;
    let upload = t.object(&id, NAME).await;
    t.upload_object(&upload).await;
    t.finish(&id, NAME, upload.upload_id).await.unwrap();
    t.clock.advance(hours(11));
    assert_eq!(refusal(soon(t.queue.artifact(&id, 0, NAME)).await), refused(410, "ResourceExpired"));
    t.expire().await;
    assert_eq!(refusal(soon(t.queue.artifact(&id, 0, NAME)).await), refused(404, "ResourceNotFound"));
}
