//! Artifacts whose content the object service keeps: the queue reserves the name there, and hands out credentials for
//! that one object; the artifact is seen once its upload is finished.

use taskcluster::queue as wire;
use taskcluster_core::ids::{RunId, TaskId};
use taskcluster_core::time::{days, hours};
use taskcluster_server::{Call, Failure};

use super::Api;
use super::claims::{claim_on, on_the_wire};
use crate::artifact::{Artifact, ArtifactRefusal, Storage};
use crate::objects::{Objects, download_scope, upload_scope};

/// For how long an object may be uploaded, unless it expires before.
const UPLOAD: std::time::Duration = days(1);
/// For how long an object may be downloaded.
const DOWNLOAD: std::time::Duration = hours(1);

impl Api {
    fn objects(&self) -> Result<&Objects, Failure> {
        let message = "this deployment has no object service: create the artifact with storageType s3";
        self.objects.as_ref().ok_or_else(|| Failure::input_error(message))
    }

    /// The object that an artifact would be, with an upload of its own.
    pub(super) async fn new_object(&self, task_id: TaskId, run_id: RunId, name: &str) -> Result<Storage, Failure> {
        self.objects()?;
        let task = self.store.status(task_id).await?.ok_or(ArtifactRefusal::NoSuchTask(task_id))?;
        let name = format!("t/{task_id}/{run_id}/{name}");
        Ok(Storage::Object { name, project_id: task.project_id, upload_id: TaskId::new().to_string() })
    }

    /// What whoever created the artifact needs for its upload. Can be asked for again, as long as that is not finished.
    pub(super) async fn object_upload(
        &self,
        call: &Call,
        kept: &Artifact,
    ) -> Result<wire::ObjectArtifactResponse, Failure> {
        let Storage::Object { name, project_id, upload_id } = &kept.storage else {
            return Err(Failure::internal("an artifact of another kind was kept"));
        };
        let upload_id: TaskId = upload_id.parse().map_err(Failure::internal)?;
        // So nobody else can upload under this name, whatever scopes they hold: the id is known to our caller alone.
        self.objects()?.reserve(call, project_id, name, upload_id, kept.expires).await?;
        let task = self.find(kept.task_id).await?;
        let worker = claim_on(&task, kept.run_id)?.worker;
        let client_id = format!("artifact-upload/{}/{}/on/{}/{}", kept.task_id, kept.run_id, worker.group, worker.id);
        let now = self.clock.now();
        let issued = self
            .credentials
            .temporary(&[upload_scope(project_id, name)], now, kept.expires.min(now + UPLOAD), Some(&client_id))
            .map_err(Failure::internal)?;
        let (name, project_id) = (name.as_str(), project_id.as_str());
        Ok(wire::ObjectArtifactResponse::new(name, project_id, upload_id, kept.expires, on_the_wire(issued)))
    }

    /// The worker says that everything is uploaded; the object service is asked whether it is.
    pub(super) async fn finish_artifact(
        &self,
        call: &Call,
        task_id: TaskId,
        run_id: RunId,
        name: String,
        payload: wire::FinishArtifactRequest,
    ) -> Result<(), Failure> {
        let missing = || ArtifactRefusal::NoSuchArtifact(name.clone());
        let found = self.store.artifact(task_id, run_id, &name).await?.ok_or_else(missing)?;
        let Storage::Object { name: object, upload_id, .. } = found.storage else {
            return Err(ArtifactRefusal::NotAnObject(name.clone()).into());
        };
        if !found.present {
            if upload_id != payload.upload_id.to_string() {
                return Err(ArtifactRefusal::WrongUpload(name.clone()).into());
            }
            if !self.objects()?.is_finished(call, &object).await? {
                return Err(ArtifactRefusal::NotUploaded(name.clone()).into());
            }
        }
        let task = self.find(task_id).await?;
        self.store.finish_artifact(task, run_id, name.clone()).await?.ok_or_else(missing)?;
        Ok(())
    }

    /// Where a browser finds an object.
    pub(super) async fn object_url(&self, call: &Call, name: &str) -> Result<String, Failure> {
        let url = self.objects()?.simple_url(call, name).await?;
        url.ok_or_else(|| Failure::not_found("the object service has no URL for the artifact"))
    }

    /// What a program needs to download an object as it sees fit.
    pub(super) fn object_content(
        &self,
        task_id: TaskId,
        run_id: RunId,
        name: String,
    ) -> Result<wire::ObjectArtifactContent, Failure> {
        let scope = download_scope(&name);
        let client_id = format!("artifact-download/{task_id}/{run_id}");
        let now = self.clock.now();
        let issued =
            self.credentials.temporary(&[scope], now, now + DOWNLOAD, Some(&client_id)).map_err(Failure::internal)?;
        Ok(wire::ObjectArtifactContent::new(name, on_the_wire(issued)))
    }
}
