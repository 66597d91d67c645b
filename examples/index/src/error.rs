//! The edge: what the domain says becomes a status and a code here, and nowhere else.

use taskcluster_server::Failure;

use crate::path::NoPath;

impl From<NoPath> for Failure {
    fn from(error: NoPath) -> Self {
        Self::input_error(error.to_string())
    }
}
