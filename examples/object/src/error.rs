//! The edge: what the domain says becomes a status and a code here, and nowhere else.

use service_kit::blobs::BlobError;
use taskcluster_server::Failure;

use crate::object::Refusal;

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::ExpiresPast(_) | Refusal::OtherProject(_) | Refusal::NoData(_) => Self::input_error(message),
            Refusal::Taken { .. }
            | Refusal::Finished(_)
            | Refusal::Leaving(_)
            | Refusal::OtherUpload(_)
            | Refusal::HashDiffers(_)
            | Refusal::HashLate(_) => Self::conflict(message),
            Refusal::NoUpload(_) => Self::not_found(message),
        }
    }
}

/// What the storage says. It may not take names that are as long as ours may be.
pub(crate) fn of_storage(error: BlobError) -> Failure {
    match error {
        BlobError::Key(_) => Failure::no_matching_backend("the storage of this deployment cannot take so long a name"),
        other => Failure::internal(other),
    }
}
