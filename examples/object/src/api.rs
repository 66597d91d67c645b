//! The methods of the service: a request in, the domain asked, an answer out.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use service_kit::blobs::{Blobs, Buckets};
use taskcluster::object as wire;
use taskcluster_core::clock::SharedClock;
use taskcluster_core::scopes::Params;
use taskcluster_core::time::{Timestamp, minutes};
use taskcluster_server::object::ObjectApi;
use taskcluster_server::{Call, Failure, Reply};

use crate::error::of_storage;
use crate::object::{Hashes, Object, Refusal};
use crate::store::Store;

/// For how long data may be uploaded to a URL.
const UPLOAD: Duration = minutes(45);
/// For how long data may be downloaded from a URL.
const DOWNLOAD: Duration = minutes(30);
/// What goes inline at most, in bytes.
const INLINE: usize = 8192;
/// How often it is decided anew because somebody else was faster; everybody else moves on each time.
const ATTEMPTS: usize = 20;

/// The service as an implementation of its reference.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) blobs: Buckets,
    pub(crate) clock: SharedClock,
}

#[taskcluster_server::async_trait]
impl ObjectApi for Api {
    async fn create_upload(
        &self,
        call: &Call,
        name: String,
        payload: wire::CreateUploadRequest,
    ) -> Result<Reply<wire::CreateUploadResponse>, Failure> {
        call.authorize(Params::new().text("projectId", &payload.project_id)).await?;
        let (hashes, upload) = (hashes_of(payload.hashes)?, Upload::of(payload.proposed_upload_methods)?);
        // Times of answers, and so those of callers who repeat them, have whole milliseconds.
        let expires = Timestamp::from_millis(payload.expires.as_millis());
        let wanted = Object::begin(name, payload.project_id, payload.upload_id, hashes, expires, self.clock.now())?;
        // Nothing is begun that the storage could not take.
        self.download_url(&wanted)?;
        let object = self.begin(wanted).await?;
        let method = self.upload_method(&object, upload).await?;
        Ok(wire::CreateUploadResponse::new(object.project_id, object.upload_id, object.expires, method).into())
    }

    async fn finish_upload(
        &self,
        call: &Call,
        name: String,
        payload: wire::FinishUploadRequest,
    ) -> Result<Reply<()>, Failure> {
        call.authorize(Params::new().text("projectId", &payload.project_id)).await?;
        let hashes = hashes_of(payload.hashes)?;
        for _ in 0..ATTEMPTS {
            let before = self.store.object(&name).await?.ok_or_else(|| Refusal::NoUpload(name.clone()))?;
            let after = before.finish(&payload.project_id, payload.upload_id, &hashes, self.clock.now())?;
            if after == before {
                return Ok(().into());
            }
            if self.data().describe(&before.blob_key).await.map_err(of_storage)?.is_none() {
                return Err(Refusal::NoData(name).into());
            }
            if self.store.replace(&before, &after).await? {
                return Ok(().into());
            }
        }
        Err(contention())
    }

    async fn start_download(
        &self,
        _call: &Call,
        name: String,
        payload: wire::StartDownloadRequest,
    ) -> Result<Reply<wire::StartDownloadResponse>, Failure> {
        let object = self.available(&name).await?;
        let (url, expires) = self.download_url(&object)?;
        let accepted = payload.accept_download_methods;
        let answer = if accepted.get_url == Some(true) && object.can_be_checked() {
            let hashes = on_the_wire(object.hashes)?;
            wire::StartDownloadResponse::GetUrl(wire::GetUrlDownload::new(url, expires, hashes))
        } else if accepted.simple == Some(true) {
            wire::StartDownloadResponse::Simple(wire::SimpleDownload::new(url))
        } else {
            let message =
                "the object can be downloaded by the method simple, and by getUrl if there is a checksum of it";
            return Err(Failure::no_matching_method(message));
        };
        Ok(answer.into())
    }

    async fn object(&self, _call: &Call, name: String) -> Result<Reply<wire::ObjectMetadataResponse>, Failure> {
        let object = self.available(&name).await?;
        let hashes = on_the_wire(object.hashes)?;
        Ok(wire::ObjectMetadataResponse::new(object.project_id, object.expires, hashes).into())
    }

    async fn download(&self, _call: &Call, name: String) -> Result<Reply<()>, Failure> {
        let (url, _) = self.download_url(&self.available(&name).await?)?;
        Ok(Reply::new(()).with_status(303).with_header("location", url))
    }
}

impl Api {
    /// Everything is kept together: whether somebody may download is decided by scopes, for every object.
    fn data(&self) -> &dyn Blobs {
        self.blobs.of(false)
    }

    /// Begins an upload or goes on with it.
    async fn begin(&self, wanted: Object) -> Result<Object, Failure> {
        for _ in 0..ATTEMPTS {
            let Some(before) = self.store.object(&wanted.name).await? else {
                if self.store.add(&wanted).await? {
                    return Ok(wanted);
                }
                continue;
            };
            let after = before.begun_again(&wanted, self.clock.now())?;
            if after == before || self.store.replace(&before, &after).await? {
                return Ok(after);
            }
        }
        Err(contention())
    }

    /// What is to be done now; data that came along is stored.
    async fn upload_method(&self, object: &Object, upload: Upload) -> Result<wire::UploadMethod, Failure> {
        let method = wire::UploadMethod::new();
        match upload {
            Upload::Nothing => Ok(method),
            Upload::Inline { content_type, data } => {
                self.data().write(&object.blob_key, &content_type, data.into()).await.map_err(of_storage)?;
                Ok(method.with_data_inline(true))
            }
            Upload::Put { content_type, length } => {
                // Not beyond the end of the upload: then its data is deleted, and nothing may come after that.
                let expires = object.gone_from.min(self.clock.now() + UPLOAD);
                let url = self.data().put_url(&object.blob_key, &content_type, Some(length), expires);
                let headers = [("Content-Type", content_type), ("Content-Length", length.to_string())];
                Ok(method.with_put_url(wire::PutUrlUpload::new(url.map_err(of_storage)?, headers, expires)))
            }
        }
    }

    async fn available(&self, name: &str) -> Result<Object, Failure> {
        let found = self.store.object(name).await?.filter(|object| object.is_available(self.clock.now()));
        found.ok_or_else(|| Failure::not_found(format!("there is no object {name:?}")))
    }

    fn download_url(&self, object: &Object) -> Result<(String, Timestamp), Failure> {
        let expires = self.clock.now() + DOWNLOAD;
        let url = self.data().get_url(&object.blob_key, expires).map_err(of_storage)?;
        Ok((url.into(), expires))
    }
}

/// The best of the methods that a caller proposes.
enum Upload {
    Nothing,
    Inline { content_type: String, data: Vec<u8> },
    Put { content_type: String, length: u64 },
}

impl Upload {
    fn of(proposed: wire::ProposedUploadMethods) -> Result<Self, Failure> {
        if let Some(inline) = proposed.data_inline {
            check_content_type(&inline.content_type)?;
            let data = STANDARD.decode(&inline.object_data).ok().filter(|data| data.len() <= INLINE);
            let refusal =
                || Failure::input_error(format!("objectData must be at most {INLINE} bytes of data in base64"));
            return Ok(Self::Inline { content_type: inline.content_type, data: data.ok_or_else(refusal)? });
        }
        let Some(put) = proposed.put_url else { return Ok(Self::Nothing) };
        check_content_type(&put.content_type)?;
        let length = u64::try_from(put.content_length)
            .map_err(|_| Failure::input_error("contentLength must be a number of bytes"))?;
        Ok(Self::Put { content_type: put.content_type, length })
    }
}

/// The schema leaves open what checksums of other algorithms look like; here they are text as well.
fn hashes_of(given: Option<wire::ObjectHashes>) -> Result<Hashes, Failure> {
    let Some(given) = given else { return Ok(Hashes::new()) };
    let given = serde_json::to_value(given).map_err(Failure::internal)?;
    serde_json::from_value(given).map_err(|_| Failure::input_error("each checksum must be a text"))
}

fn on_the_wire(hashes: Hashes) -> Result<wire::ObjectHashes, Failure> {
    let hashes = hashes.into_iter().map(|(algorithm, hash)| (algorithm, hash.into())).collect();
    serde_json::from_value(serde_json::Value::Object(hashes)).map_err(Failure::internal)
}

/// It comes back as a header.
fn check_content_type(content_type: &str) -> Result<(), Failure> {
    if content_type.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Ok(());
    }
    Err(Failure::input_error(format!("contentType {content_type:?} cannot stand in a header")))
}

fn contention() -> Failure {
    Failure::conflict("others are changing the same object at the moment; try again")
}
