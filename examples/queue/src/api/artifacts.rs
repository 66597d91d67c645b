//! Artifacts: creating, finding and listing them. Their bytes go between workers, readers and the blob store, by signed
//! URLs.

use service_kit::blobs::BlobError;
use taskcluster::queue as wire;
use taskcluster_core::ids::{RunId, TaskId};
use taskcluster_core::scopes::Params;
use taskcluster_core::time::{Timestamp, minutes};
use taskcluster_server::arguments::path_pattern;
use taskcluster_server::queue::{ListArtifactsQuery, ListLatestArtifactsQuery};
use taskcluster_server::{Call, Failure, Reply};

use super::Api;
use super::pages::Page;
use crate::artifact::{Artifact, ArtifactRefusal, Kind, Storage};
use crate::store::ApplyRefusal;
use crate::task::Refusal;
use crate::wire as to_wire;

/// What is said of an artifact whose type nobody named.
const UNKNOWN_CONTENT: &str = "application/binary";
/// For how long bytes may be uploaded.
const UPLOAD: std::time::Duration = minutes(45);
/// For how long bytes may be downloaded.
const DOWNLOAD: std::time::Duration = minutes(30);
/// How many artifacts may lie on the way from a name to its content.
const MOST_LINKS: usize = 20;

impl Api {
    pub(super) async fn create_artifact(
        &self,
        call: &Call,
        task_id: TaskId,
        run_id: RunId,
        name: String,
        payload: wire::PostArtifactRequest,
    ) -> Result<wire::PostArtifactResponse, Failure> {
        let unknown = || UNKNOWN_CONTENT.to_owned();
        let length = |length: Option<u64>| length.and_then(|length| i64::try_from(length).ok());
        let (expires, content_type, content_length, storage) = match payload {
            wire::PostArtifactRequest::S3(blob) => {
                let key = format!("{task_id}/{run_id}/{name}");
                // In a bucket that needs no signature only where everybody may read it.
                let public = self.blobs.are_apart() && name.starts_with("public/");
                (blob.expires, blob.content_type, length(blob.content_length), Storage::Blob { key, public })
            }
            wire::PostArtifactRequest::Object(object) => {
                let storage = self.new_object(task_id, run_id, &name).await?;
                (object.expires, object.content_type, length(object.content_length), storage)
            }
            wire::PostArtifactRequest::Reference(reference) => {
                (reference.expires, reference.content_type, None, Storage::Reference { url: reference.url })
            }
            wire::PostArtifactRequest::Link(link) => (
                link.expires,
                link.content_type.unwrap_or_else(unknown),
                None,
                Storage::Link { artifact: link.artifact },
            ),
            wire::PostArtifactRequest::Error(error) => {
                let reason = error.reason.to_string();
                (error.expires, unknown(), None, Storage::Error { reason, message: error.message })
            }
            other => return Err(Failure::input_error(format!("{other:?} is no artifact that we know"))),
        };
        if let Storage::Link { artifact } = &storage
            && !(path_pattern("name").matches)(artifact)
        {
            return Err(Failure::input_error(format!(
                "no artifact can have the name {artifact:?} that the link leads to"
            )));
        }
        if !content_type.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(Failure::input_error(format!("contentType {content_type:?} cannot stand in a header")));
        }
        let now = self.clock.now();
        if let Storage::Blob { key, public } = &storage {
            // Asked before anything is written: a name that the storage cannot take shall not stay.
            self.blobs.of(*public).put_url(key, &content_type, None, now + UPLOAD).map_err(no_url)?;
        }
        let expires = Timestamp::from_millis(expires.as_millis());
        // The object service has to be asked whether it has everything; nobody else is.
        let present = storage.kind() != Kind::Object;
        let artifact = Artifact { task_id, run_id, name, content_type, content_length, expires, present, storage };
        let kept = self.store.put_artifact(artifact, now).await??;
        Ok(match kept.storage {
            Storage::Object { .. } => wire::PostArtifactResponse::Object(self.object_upload(call, &kept).await?),
            Storage::Blob { key, public } => {
                // The announced length is not held against the upload: clients that compress announce another.
                let url = self.blobs.of(public).put_url(&key, &kept.content_type, None, now + UPLOAD);
                let url = url.map_err(no_url)?;
                wire::PostArtifactResponse::S3(wire::S3ArtifactResponse::new(url, now + UPLOAD, kept.content_type))
            }
            Storage::Reference { .. } => wire::PostArtifactResponse::Reference(wire::ReferenceArtifactResponse::new()),
            Storage::Link { .. } => wire::PostArtifactResponse::Link(wire::LinkArtifactResponse::new()),
            Storage::Error { .. } => wire::PostArtifactResponse::Error(wire::ErrorArtifactResponse::new()),
        })
    }

    pub(super) async fn get_artifact(
        &self,
        call: &Call,
        task_id: TaskId,
        run_id: RunId,
        name: String,
    ) -> Result<Reply<wire::GetArtifactResponse>, Failure> {
        allow(call, &name).await?;
        self.redirect(call, task_id, run_id, name).await
    }

    pub(super) async fn get_latest_artifact(
        &self,
        call: &Call,
        task_id: TaskId,
        name: String,
    ) -> Result<Reply<wire::GetArtifactResponse>, Failure> {
        allow(call, &name).await?;
        let run_id = self.last_run(task_id).await?;
        self.redirect(call, task_id, run_id, name).await
    }

    async fn redirect(
        &self,
        call: &Call,
        task_id: TaskId,
        run_id: RunId,
        name: String,
    ) -> Result<Reply<wire::GetArtifactResponse>, Failure> {
        let found = self.follow(call, task_id, run_id, name).await?;
        let kind = found.storage.kind().as_str();
        let url = match found.storage {
            Storage::Error { reason, message } => {
                return Err(Failure::custom(424, serde_json::json!({"reason": reason, "message": message})));
            }
            Storage::Object { name, .. } => self.object_url(call, &name).await?,
            storage => self.url_of(storage)?,
        };
        Ok(Reply::new(wire::GetArtifactResponse::new(kind, url.as_str()))
            .with_status(303)
            .with_header("location", url)
            .with_header("x-taskcluster-artifact-storage-type", kind))
    }

    /// The artifact at the end of a chain of links. The caller must be allowed to see each of them.
    async fn follow(&self, call: &Call, task_id: TaskId, run_id: RunId, name: String) -> Result<Artifact, Failure> {
        let mut names = vec![name];
        loop {
            let name = &names[names.len() - 1];
            let found = self.existing(task_id, run_id, name).await?;
            if found.expires < self.clock.now() {
                return Err(Failure::expired(format!("artifact {name:?} has expired")));
            }
            let Storage::Link { artifact: target } = &found.storage else { return Ok(found) };
            if names.contains(target) {
                return Err(Failure::input_error(format!("the links {} lead in a circle", names.join(", "))));
            }
            allow(call, target).await?;
            if names.len() == MOST_LINKS {
                return Err(Failure::input_error(format!("{:?} leads to more than {MOST_LINKS} links", names[0])));
            }
            names.push(target.clone());
        }
    }

    async fn existing(&self, task_id: TaskId, run_id: RunId, name: &str) -> Result<Artifact, Failure> {
        let found = self.store.artifact(task_id, run_id, name).await?.filter(|artifact| artifact.present);
        Ok(found.ok_or_else(|| ArtifactRefusal::NoSuchArtifact(name.to_owned()))?)
    }

    fn url_of(&self, storage: Storage) -> Result<String, Failure> {
        match storage {
            Storage::Blob { key, public } => {
                let url = self.blobs.of(public).get_url(&key, self.clock.now() + DOWNLOAD);
                Ok(url.map_err(no_url)?.into())
            }
            Storage::Reference { url } => Ok(url),
            Storage::Object { .. } | Storage::Link { .. } | Storage::Error { .. } => {
                Err(Failure::not_found("the artifact has no URL"))
            }
        }
    }

    pub(super) async fn artifact(
        &self,
        call: &Call,
        task_id: TaskId,
        run_id: RunId,
        name: String,
    ) -> Result<wire::ArtifactContentResponse, Failure> {
        allow(call, &name).await?;
        self.content(call, task_id, run_id, name).await
    }

    pub(super) async fn latest_artifact(
        &self,
        call: &Call,
        task_id: TaskId,
        name: String,
    ) -> Result<wire::ArtifactContentResponse, Failure> {
        allow(call, &name).await?;
        let run_id = self.last_run(task_id).await?;
        self.content(call, task_id, run_id, name).await
    }

    async fn content(
        &self,
        call: &Call,
        task_id: TaskId,
        run_id: RunId,
        name: String,
    ) -> Result<wire::ArtifactContentResponse, Failure> {
        let found = self.follow(call, task_id, run_id, name).await?;
        Ok(match found.storage {
            Storage::Blob { .. } => {
                wire::ArtifactContentResponse::S3(wire::S3ArtifactContent::new(self.url_of(found.storage)?))
            }
            Storage::Reference { url } => {
                wire::ArtifactContentResponse::Reference(wire::ReferenceArtifactContent::new(url))
            }
            Storage::Error { reason, message } => {
                wire::ArtifactContentResponse::Error(wire::ErrorArtifactContent::new(reason, message))
            }
            Storage::Object { name, .. } => {
                wire::ArtifactContentResponse::Object(self.object_content(task_id, run_id, name)?)
            }
            Storage::Link { .. } => return Err(Failure::internal("a link was followed to a link")),
        })
    }

    pub(super) async fn artifact_info(
        &self,
        _call: &Call,
        task_id: TaskId,
        run_id: RunId,
        name: String,
    ) -> Result<wire::Artifact, Failure> {
        Ok(to_wire::artifact(&self.existing(task_id, run_id, &name).await?))
    }

    pub(super) async fn latest_artifact_info(
        &self,
        _call: &Call,
        task_id: TaskId,
        name: String,
    ) -> Result<wire::Artifact, Failure> {
        let run_id = self.last_run(task_id).await?;
        Ok(to_wire::artifact(&self.existing(task_id, run_id, &name).await?))
    }

    pub(super) async fn list_artifacts(
        &self,
        _call: &Call,
        task_id: TaskId,
        run_id: RunId,
        query: ListArtifactsQuery,
    ) -> Result<wire::ListArtifactsResponse, Failure> {
        let page = Page::new(query.continuation_token, query.limit)?;
        if self.find(task_id).await?.run(run_id).is_none() {
            return Err(ApplyRefusal::Refused(Refusal::NoSuchRun(run_id)).into());
        }
        self.list(task_id, run_id, &page).await
    }

    pub(super) async fn list_latest_artifacts(
        &self,
        _call: &Call,
        task_id: TaskId,
        query: ListLatestArtifactsQuery,
    ) -> Result<wire::ListArtifactsResponse, Failure> {
        let page = Page::new(query.continuation_token, query.limit)?;
        let run_id = self.last_run(task_id).await?;
        self.list(task_id, run_id, &page).await
    }

    async fn list(&self, task_id: TaskId, run_id: RunId, page: &Page) -> Result<wire::ListArtifactsResponse, Failure> {
        let mut rows = self.store.artifacts(task_id, run_id, page.after(0), page.rows()).await?;
        let token = page.cut(&mut rows, |artifact| vec![artifact.name.clone()]);
        let mut answer = wire::ListArtifactsResponse::new(rows.iter().map(to_wire::artifact));
        answer.continuation_token = token;
        Ok(answer)
    }

    async fn last_run(&self, task_id: TaskId) -> Result<RunId, Failure> {
        let last = self.find(task_id).await?.last_run();
        last.ok_or_else(|| Failure::not_found(format!("task {task_id} has no runs")))
    }
}

/// A name may be longer than the storage takes.
fn no_url(error: BlobError) -> Failure {
    match error {
        BlobError::Key(_) => Failure::input_error(error.to_string()),
        other => Failure::internal(other),
    }
}

/// May the caller see artifacts of this name?
async fn allow(call: &Call, name: &str) -> Result<(), Failure> {
    call.authorize(Params::new().list("names", [name])).await
}
