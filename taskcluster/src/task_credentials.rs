//! The credentials that come with a claim, as credentials to call with.

use taskcluster_core::{Certificate, Credentials, Error};

use crate::queue::TaskCredentials;

impl TryFrom<&TaskCredentials> for Credentials {
    type Error = Error;

    /// Fails if the certificate is not one, which no queue does.
    fn try_from(given: &TaskCredentials) -> Result<Self, Error> {
        let certificate = Certificate::from_json(given.certificate.expose()).map_err(|source| Error::Config {
            message: format!("the task's credentials {}: not the JSON of a certificate: {source}", given.client_id),
            source: Some(source.into()),
        })?;
        Ok(Self::new(given.client_id.clone(), given.access_token.clone()).with_certificate(certificate))
    }
}

impl TryFrom<TaskCredentials> for Credentials {
    type Error = Error;

    fn try_from(given: TaskCredentials) -> Result<Self, Error> {
        (&given).try_into()
    }
}
