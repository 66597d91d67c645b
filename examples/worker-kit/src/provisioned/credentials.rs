//! Credentials as the provisioner hands them out.

use anyhow::{Context, Result};
use taskcluster::provisioner::WorkerCredentials;
use taskcluster_core::credentials::{Certificate, Credentials};

pub(super) fn read(given: &WorkerCredentials) -> Result<Credentials> {
    let certificate = Certificate::from_json(given.certificate.expose());
    let certificate = certificate.context("the provisioner gave a certificate that is none")?;
    Ok(Credentials::new(&*given.client_id, given.access_token.clone()).with_certificate(certificate))
}
