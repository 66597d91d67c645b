//! What the queue asks of the object service, for artifacts whose content that keeps.
//!
//! Each call is restricted to the one object that it is about. What else is to be done with the object is between the
//! object service and the worker or reader, who get credentials for it.

use taskcluster::object::{
    AcceptedDownloadMethods, CreateUploadRequest, Object, ProposedUploadMethods, StartDownloadRequest,
    StartDownloadResponse,
};
use taskcluster_core::caller::Caller;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::Timestamp;
use taskcluster_core::{Error, chain};
use taskcluster_server::{Call, Failure};

/// What allows the upload of an object.
pub(crate) fn upload_scope(project_id: &str, name: &str) -> String {
    format!("object:upload:{project_id}:{name}")
}

/// What allows the download of an object.
pub(crate) fn download_scope(name: &str) -> String {
    format!("object:download:{name}")
}

/// The object service of the deployment, asked as the queue.
#[derive(Clone, Debug)]
pub(crate) struct Objects {
    caller: Caller,
}

impl Objects {
    pub(crate) fn new(caller: Caller) -> Self {
        Self { caller }
    }

    /// Takes the name for an upload that only those will know whom it is told. The same once more is a success.
    pub(crate) async fn reserve(
        &self,
        call: &Call,
        project_id: &str,
        name: &str,
        upload_id: TaskId,
        expires: Timestamp,
    ) -> Result<(), Failure> {
        let service = self.service(call, upload_scope(project_id, name))?;
        let no_methods = ProposedUploadMethods::new();
        let form = CreateUploadRequest::new(project_id, upload_id, expires, no_methods);
        match service.create_upload(name, &form).await {
            Ok(_) => Ok(()),
            Err(error) => Err(refused(error)),
        }
    }

    /// Is it there, to its end?
    pub(crate) async fn is_finished(&self, call: &Call, name: &str) -> Result<bool, Failure> {
        let service = self.service(call, download_scope(name))?;
        match service.object(name).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(refused(error)),
        }
    }

    /// A URL for whoever can do no more than follow it, if the service offers one.
    pub(crate) async fn simple_url(&self, call: &Call, name: &str) -> Result<Option<String>, Failure> {
        let service = self.service(call, download_scope(name))?;
        let form = StartDownloadRequest::new(AcceptedDownloadMethods::new().with_simple(true));
        match service.start_download(name, &form).await {
            Ok(StartDownloadResponse::Simple(found)) => Ok(Some(found.url)),
            Ok(_) => Ok(None),
            // There is no such object, or no such method.
            Err(error) if error.status().is_some_and(|status| matches!(status.as_u16(), 404 | 406)) => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    fn service(&self, call: &Call, scope: String) -> Result<Object, Failure> {
        let caller = self.caller.to_builder().authorized_scopes([scope]).trace_id(call.trace_id());
        Ok(Object::new(caller.build().map_err(Failure::internal)?))
    }
}

/// What the service says of the request is for our caller, who made it; anything else is not.
fn refused(error: Error) -> Failure {
    let message = error.api().map(|answer| answer.summary().to_owned()).unwrap_or_default();
    match error.status().map(|status| status.as_u16()) {
        Some(400) => Failure::input_error(format!("the object service refuses: {message}")),
        Some(409) => Failure::conflict(format!("the object service refuses: {message}")),
        _ => Failure::internal(format!("the object service did not answer as it should: {}", chain(&error))),
    }
}
