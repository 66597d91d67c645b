//! What tells our containers from those of others.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

/// The label that says whose a container is.
const OWNER: &str = "taskcluster.provisioner";

/// The label that says which instance a container is.
pub(super) const INSTANCE: &str = "taskcluster.instance";

/// The mark of one provisioner.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    owner: String,
    /// Stands for the owner in names, which may hold less than labels.
    short: String,
}

impl Mark {
    pub(super) fn new(owner: impl Into<String>) -> Self {
        let owner = owner.into();
        let short = Sha256::digest(owner.as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self { owner, short }
    }

    /// The name of an instance's container. No instance's name has a dot in it.
    pub(super) fn name(&self, instance_id: &str) -> String {
        format!("taskcluster.{}.{instance_id}", self.short)
    }

    pub(super) fn labels(&self, instance_id: &str) -> HashMap<String, String> {
        [(OWNER, &*self.owner), (INSTANCE, instance_id)].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    pub(super) fn is_on(&self, labels: &HashMap<String, String>) -> bool {
        labels.get(OWNER) == Some(&self.owner) && labels.contains_key(INSTANCE)
    }

    /// Filters of a list that let all of ours through, and no others.
    pub(super) fn filters(&self) -> HashMap<&'static str, Vec<String>> {
        [("label", vec![format!("{OWNER}={}", self.owner), INSTANCE.to_owned()])].into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_its_owners_alone() {
        let (own, other) = (Mark::new("https://tc.example/ pool=1"), Mark::new("https://tc.example/ pool=2"));
        assert_ne!(own.name("a"), other.name("a"));
        assert!(own.is_on(&own.labels("a")) && !own.is_on(&other.labels("a")));
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        assert!(own.name("-9_z").chars().all(allowed), "what Docker takes for a name");
    }
}
