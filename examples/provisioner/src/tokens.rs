//! The tokens by which workers prove themselves, and what they are given for them.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use taskcluster_core::credentials::Credentials;
use taskcluster_core::ids::TaskId;
use taskcluster_core::secret::Secret;
use taskcluster_core::time::{Timestamp, hours, minutes};

use crate::instance::Instance;

/// How long a worker may wait before it fetches its secret, beyond what its type allows for a start: the wish may be old already.
pub(crate) const SPARE: std::time::Duration = minutes(20);

/// How long a worker's credentials are good for.
const CREDENTIALS: std::time::Duration = hours(96);

/// The clocks of services may differ.
const BACK: std::time::Duration = minutes(5);

/// Makes the tokens of instances. The token of an instance follows from its name, so that a launch that is asked for again, maybe by
/// another process, is the same request; and from a key, so that nobody else can tell it.
#[derive(Clone, Debug)]
pub struct Tokens {
    key: Secret,
}

impl Tokens {
    /// With a key that all processes of this provisioner have, and nobody else.
    #[must_use]
    pub fn new(key: Secret) -> Self {
        Self { key }
    }

    /// The token of an instance: a slugid.
    #[must_use]
    pub fn of(&self, instance_id: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose().as_bytes()).expect("a key may be of any length");
        mac.update(b"token of instance ");
        mac.update(instance_id.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        slugid(bytes)
    }
}

/// A slugid of these bytes, which gives up the six bits that tell its kind (version 4, RFC 9562).
fn slugid(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    TaskId::from_bytes(bytes).to_string()
}

/// What a token is known by in the database.
#[must_use]
pub fn digest(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The scope of a worker type's role.
#[must_use]
pub fn role(provisioner_id: &str, worker_type: &str) -> String {
    format!("assume:worker-type:{provisioner_id}/{worker_type}")
}

/// The scopes of a worker of a type: those of its role, and those that its definition gives it.
#[must_use]
pub fn scopes_of_type(provisioner_id: &str, worker_type: &str, defined: &[String]) -> Vec<String> {
    let mut scopes = vec![role(provisioner_id, worker_type)];
    scopes.extend(defined.iter().cloned());
    scopes
}

/// The scopes of an instance's worker: besides those of its type, all that it takes to run tasks of its queue under its own name.
#[must_use]
pub fn scopes_of_instance(provisioner_id: &str, instance: &Instance, defined: &[String]) -> Vec<String> {
    let Instance { worker_type, worker_group, id, .. } = instance;
    let queue = format!("{provisioner_id}/{worker_type}");
    let worker = format!("{worker_group}/{id}");
    let mut scopes = scopes_of_type(provisioner_id, worker_type, defined);
    scopes.extend([
        format!("queue:claim-work:{queue}"),
        format!("queue:claim-task:{queue}"),
        format!("queue:claimed-list:{queue}"),
        format!("queue:worker-id:{worker}"),
        format!("queue:get-worker:{queue}/{worker}"),
        format!("queue:quarantine-worker:{queue}/{worker}"),
        format!("purge-cache:purge-requests::{queue}"),
        format!("provisioner:should-terminate:{worker_type}/{id}"),
    ]);
    scopes
}

/// Temporary credentials with these scopes.
///
/// # Errors
/// The provisioner's own credentials cannot issue any, or a scope is none.
pub fn credentials(
    own: &Credentials,
    scopes: &[String],
    now: Timestamp,
) -> Result<Credentials, taskcluster_core::Error> {
    own.temporary(scopes, now - BACK, now + CREDENTIALS, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_slugid_that_follows_from_name_and_key() {
        let tokens = Tokens::new(Secret::from("key"));
        let token = tokens.of("an-instance");
        assert_eq!(token, tokens.of("an-instance"));
        assert_ne!(token, tokens.of("another"));
        assert_ne!(token, Tokens::new(Secret::from("other")).of("an-instance"));
        assert!(token.parse::<TaskId>().is_ok(), "{token}");
        assert_eq!(slugid([0; 16]).parse::<TaskId>().unwrap().as_bytes()[6], 0x40);
    }

    #[test]
    fn a_digest_does_not_tell_its_token() {
        assert_eq!(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
