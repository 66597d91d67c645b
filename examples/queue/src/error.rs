//! The edge: what the domain says becomes a status and a code here, and nowhere else.

use taskcluster_server::Failure;

use crate::artifact::ArtifactRefusal;
use crate::definition::Invalid;
use crate::store::{ApplyRefusal, CreateRefusal, StoreError};
use crate::task::Refusal;

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::input_error(invalid.to_string())
    }
}

impl From<CreateRefusal> for Failure {
    fn from(refusal: CreateRefusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            CreateRefusal::Exists(_) | CreateRefusal::OtherScheduler { .. } | CreateRefusal::Sealed(_) => {
                Self::conflict(message)
            }
            CreateRefusal::Dependencies { .. } => Self::input_error(message),
        }
    }
}

impl From<ApplyRefusal> for Failure {
    fn from(refusal: ApplyRefusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            ApplyRefusal::NoSuchTask(_) | ApplyRefusal::Refused(Refusal::NoSuchRun(_)) => Self::not_found(message),
            ApplyRefusal::Refused(
                Refusal::PastDeadline(_)
                | Refusal::WrongState { .. }
                | Refusal::ClaimedByAnother { .. }
                | Refusal::ClaimEnded { .. }
                | Refusal::TooManyRuns
                | Refusal::PriorityFixed,
            ) => Self::conflict(message),
        }
    }
}

impl From<ArtifactRefusal> for Failure {
    fn from(refusal: ArtifactRefusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            ArtifactRefusal::NoSuchTask(_)
            | ArtifactRefusal::NoSuchRun(_)
            | ArtifactRefusal::NotClaimed(_)
            | ArtifactRefusal::ExpiresPast(_)
            | ArtifactRefusal::OutlivesTask { .. }
            | ArtifactRefusal::NotAnObject(_)
            | ArtifactRefusal::WrongUpload(_)
            | ArtifactRefusal::NotUploaded(_) => Self::input_error(message),
            ArtifactRefusal::NotRunning(_) | ArtifactRefusal::Differs { .. } => Self::conflict(message),
            ArtifactRefusal::NoSuchArtifact(_) => Self::not_found(message),
        }
    }
}
