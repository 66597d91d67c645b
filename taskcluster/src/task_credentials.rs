//! The credentials that come with a claim, as credentials to call with.

use taskcluster_core::{Certificate, Credentials, Error};

use crate::queue::TaskCredentials;

impl TryFrom<&TaskCredentials> for Credentials {
    type Error = Error;

    /// Fails if the certificate is not one, which no queue does.
    fn try_from(given: &TaskCredentials) -> Result<Self, Error> {
        let certificate = Certificate::from_json(given.certificate.expose()).map_err(|source| Error::Config {
            message: format!("the certificate of the task's credentials {} is not one", given.client_id),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_is_read_and_a_broken_one_is_not_shown() {
        let certificate = r#"{"version":1,"scopes":["a"],"start":1,"expiry":2,"seed":"s","signature":"x"}"#;
        let given = TaskCredentials::new("task-client/x", "token", certificate);
        let credentials = Credentials::try_from(&given).unwrap();
        assert_eq!((credentials.client_id.as_str(), credentials.access_token.expose()), ("task-client/x", "token"));
        assert_eq!(credentials.certificate.unwrap().scopes, ["a"]);

        let broken = TaskCredentials::new("task-client/x", "token", "hunter2");
        let error = Credentials::try_from(broken).unwrap_err().to_string();
        assert!(error.contains("task-client/x") && !error.contains("hunter2"), "{error}");
    }
}
