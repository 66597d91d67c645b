//! Artifacts that the object service keeps.
//!
//! The queue says under which name, and gives credentials for that one object; everything else is between us and the
//! object service.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use taskcluster_core::{Caller, Credentials, TaskId, Timestamp};
use url::Url;

use super::download::Source;
use super::upload::Upload;
use super::{ArtifactError, Artifacts};
use crate::object::{
    AcceptedDownloadMethods, CreateUploadRequest, DataInlineProposal, FinishUploadRequest, Object, ObjectHashes,
    ProposedUploadMethods, PutUrlProposal, PutUrlUpload, StartDownloadRequest, StartDownloadResponse,
};
use crate::queue::{
    FinishArtifactRequest, ObjectArtifactContent, ObjectArtifactRequest, PostArtifactRequest, PostArtifactResponse,
    TaskCredentials,
};

/// Up to this size the content may go into the request that begins the upload.
pub(super) const INLINE: u64 = 8191;

/// An artifact that was created, and waits for its content.
pub(super) struct ObjectUpload {
    object: Object,
    name: String,
    project_id: String,
    upload_id: TaskId,
    expires: Timestamp,
}

impl ObjectUpload {
    pub(super) async fn create(upload: &Upload, length: u64, content_type: &str) -> Result<Self, ArtifactError> {
        let form = ObjectArtifactRequest::new(upload.expires, content_type).with_content_length(length);
        let created = match upload.post(&PostArtifactRequest::Object(form)).await? {
            PostArtifactResponse::Object(created) => created,
            other => return Err(upload.unsupported(&other)),
        };
        let object = client(&upload.artifacts.caller, &created.credentials).map_err(|source| upload.queue(source))?;
        Ok(Self {
            object,
            name: created.name,
            project_id: created.project_id,
            upload_id: created.upload_id,
            expires: created.expires,
        })
    }

    /// Offers what can be done and learns what shall be; nothing if the content is already there with that.
    pub(super) async fn begin(
        &self,
        upload: &Upload,
        length: u64,
        content_type: &str,
        inline: Option<&[u8]>,
    ) -> Result<Option<PutUrlUpload>, ArtifactError> {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        let mut methods = ProposedUploadMethods::new().with_put_url(PutUrlProposal::new(content_type, length));
        if let Some(data) = inline {
            methods = methods.with_data_inline(DataInlineProposal::new(content_type, STANDARD.encode(data)));
        }
        let form = CreateUploadRequest::new(self.project_id.as_str(), self.upload_id, self.expires, methods);
        let answer = self.object.create_upload(&self.name, &form).await.map_err(|source| upload.queue(source))?;
        let method = answer.upload_method;
        match method.put_url {
            Some(target) => Ok(Some(target)),
            None if method.data_inline == Some(true) => Ok(None),
            None => Err(ArtifactError::Unsupported {
                name: upload.name.clone(),
                storage_type: "object, without a way to upload that we know".to_owned(),
            }),
        }
    }

    /// Tells the object service, which may look whether all is there, and then the queue, which shows the artifact.
    pub(super) async fn finish(&self, upload: &Upload, sha256: &str) -> Result<(), ArtifactError> {
        let hashes = ObjectHashes::new().with_sha256(sha256);
        let form = FinishUploadRequest::new(self.project_id.as_str(), self.upload_id).with_hashes(hashes);
        self.object.finish_upload(&self.name, &form).await.map_err(|source| upload.queue(source))?;
        let form = FinishArtifactRequest::new(self.upload_id);
        let queue = &upload.artifacts.queue;
        let finished = queue.finish_artifact(&upload.task_id, upload.run_id, &upload.name, &form).await;
        finished.map_err(|source| upload.queue(source))
    }
}

/// Where the object of an artifact can be downloaded, and what it must be.
pub(super) async fn locate(
    artifacts: &Artifacts,
    content: &ObjectArtifactContent,
    name: &str,
) -> Result<Source, ArtifactError> {
    let refused = |source| ArtifactError::Queue { name: name.to_owned(), source };
    let object = client(&artifacts.caller, &content.credentials).map_err(refused)?;
    source(start(&object, &content.name).await.map_err(refused)?, name)
}

/// The same for an object that belongs to no artifact, or to any: as whoever the caller is.
pub(super) async fn locate_alone(artifacts: &Artifacts, name: &str) -> Result<Source, ArtifactError> {
    let refused = |source| ArtifactError::Object { name: name.to_owned(), source };
    source(start(&Object::new(artifacts.caller.clone()), name).await.map_err(refused)?, name)
}

async fn start(object: &Object, name: &str) -> Result<StartDownloadResponse, taskcluster_core::Error> {
    let methods = AcceptedDownloadMethods::new().with_get_url(true).with_simple(true);
    object.start_download(name, &StartDownloadRequest::new(methods)).await
}

fn source(answer: StartDownloadResponse, name: &str) -> Result<Source, ArtifactError> {
    let (url, sha256) = match answer {
        StartDownloadResponse::GetUrl(found) => (found.url, found.hashes.sha256),
        StartDownloadResponse::Simple(found) => (found.url, None),
        other => {
            let method =
                format!("object, by the method {:?}", serde_json::to_value(&other).unwrap_or_default()["method"]);
            return Err(ArtifactError::Unsupported { name: name.to_owned(), storage_type: method });
        }
    };
    let url = Url::parse(&url).map_err(|error| ArtifactError::Interrupted {
        name: name.to_owned(),
        source: format!("the object service answered with the URL {url:?}: {error}").into(),
    })?;
    Ok(Source { url, sha256 })
}

/// As whoever the queue says, for one object.
fn client(caller: &Caller, credentials: &TaskCredentials) -> Result<Object, taskcluster_core::Error> {
    let credentials = Credentials::try_from(credentials)?;
    // What the caller restricts itself to is none of theirs.
    let scopes = credentials.certificate.as_ref().map(|certificate| certificate.scopes.clone()).unwrap_or_default();
    Ok(Object::new(caller.to_builder().credentials(credentials).authorized_scopes(scopes).build()?))
}
