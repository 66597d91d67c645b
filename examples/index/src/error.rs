//! The edge: what the domain says becomes a status and a code here, and nowhere else.

use taskcluster_server::Failure;

use crate::path::NoPath;
use crate::store::StoreError;

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}

impl From<NoPath> for Failure {
    fn from(error: NoPath) -> Self {
        Self::input_error(error.to_string())
    }
}
