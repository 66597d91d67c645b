//! The edge: what the domain says becomes a status and a code here, and nowhere else.

use taskcluster_server::Failure;

use crate::request::UnusableName;

impl From<UnusableName> for Failure {
    fn from(error: UnusableName) -> Self {
        Self::input_error(error.to_string())
    }
}
