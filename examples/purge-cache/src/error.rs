//! The edge: what the domain says becomes a status and a code here, and nowhere else.

use taskcluster_server::Failure;

use crate::request::UnusableName;
use crate::store::StoreError;

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}

impl From<UnusableName> for Failure {
    fn from(error: UnusableName) -> Self {
        Self::input_error(error.to_string())
    }
}
