//! Who changed what: the audit trail, which is also the list of what other processes have to read again.

use std::fmt;

use taskcluster_core::time::{Timestamp, days};

/// How long entries are kept.
pub const KEPT: std::time::Duration = days(30);

/// The kinds of things that this service changes. Trails of other kinds may be asked for; they are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entity {
    /// A client.
    Client,
    /// A role.
    Role,
}

impl Entity {
    /// As in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Role => "role",
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is new.
    Created,
    /// Its properties changed.
    Updated,
    /// It is gone because somebody said so.
    Deleted,
    /// The client was turned on.
    Enabled,
    /// The client was turned off.
    Disabled,
    /// The client got another access token.
    TokenReset,
    /// It is gone because its time was over.
    Expired,
}

impl Action {
    /// As in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Enabled => "client enabled",
            Self::Disabled => "client disabled",
            Self::TokenReset => "access token reset",
            Self::Expired => "expired",
        }
    }
}

/// One change, as it is written down beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What kind of thing changed.
    pub entity: Entity,
    /// Which one.
    pub entity_id: String,
    /// What was done.
    pub action: Action,
    /// Who did it.
    pub client_id: String,
    /// When.
    pub created: Timestamp,
}

/// One entry of the trail, as it is read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the trail; later entries have greater ones.
    pub position: i64,
    /// What kind of thing changed.
    pub entity_type: String,
    /// Which one.
    pub entity_id: String,
    /// What was done.
    pub action_type: String,
    /// Who did it.
    pub client_id: String,
    /// When.
    pub created: Timestamp,
}

/// Whose trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// Everything that happened to one thing.
    Entity {
        /// What kind of thing.
        entity_type: String,
        /// Which one.
        entity_id: String,
    },
    /// Everything that one client did.
    Client(String),
}
