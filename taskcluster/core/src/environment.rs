//! The variables that every TaskCluster client reads.

use std::env::VarError;

use crate::credentials::{Certificate, Credentials};
use crate::error::Error;
use crate::hawk::Signer;
use crate::root_url::RootUrl;

pub(crate) const ROOT_URL: &str = "TASKCLUSTER_ROOT_URL";
pub(crate) const PROXY_URL: &str = "TASKCLUSTER_PROXY_URL";
/// Set by deployments on Kubernetes for their services, which call each other within the cluster then.
pub(crate) const KUBERNETES_DNS: &str = "USE_KUBERNETES_DNS_SERVICE_DISCOVERY";
const CLIENT_ID: &str = "TASKCLUSTER_CLIENT_ID";
const ACCESS_TOKEN: &str = "TASKCLUSTER_ACCESS_TOKEN";
const CERTIFICATE: &str = "TASKCLUSTER_CERTIFICATE";

/// A way to look up a variable, so that tests need not change the process's own.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Result<String, VarError>;

pub(crate) fn process(name: &str) -> Result<String, VarError> {
    std::env::var(name)
}

/// The value of a variable; one that is empty counts as not set.
fn read(lookup: Lookup<'_>, name: &str) -> Result<Option<String>, Error> {
    match lookup(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(error @ VarError::NotUnicode(_)) => Err(Error::config(format!("{name}: {}", not_unicode(&error)))),
    }
}

/// `VarError` would show the value, which may be a secret.
fn not_unicode(_: &VarError) -> &'static str {
    "the value is not UTF-8"
}

/// Whether a variable says anything, whatever that is.
pub(crate) fn is_set(lookup: Lookup<'_>, name: &str) -> Result<bool, Error> {
    read(lookup, name).map(|value| value.is_some())
}

pub(crate) fn url(lookup: Lookup<'_>, name: &str) -> Result<Option<RootUrl>, Error> {
    let Some(value) = read(lookup, name)? else { return Ok(None) };
    value.parse().map(Some).map_err(|error| Error::config_from(format!("{name} cannot be used"), error))
}

pub(crate) fn credentials(lookup: Lookup<'_>) -> Result<Option<Credentials>, Error> {
    let certificate = read(lookup, CERTIFICATE)?;
    let credentials = match (read(lookup, CLIENT_ID)?, read(lookup, ACCESS_TOKEN)?) {
        (Some(client_id), Some(access_token)) => Credentials::new(client_id, access_token),
        (Some(_), None) => return Err(Error::config(format!("{ACCESS_TOKEN} is not set, but {CLIENT_ID} is"))),
        (None, Some(_)) => return Err(Error::config(format!("{CLIENT_ID} is not set, but {ACCESS_TOKEN} is"))),
        (None, None) if certificate.is_some() => {
            return Err(Error::config(format!("{CLIENT_ID} is not set, but {CERTIFICATE} is")));
        }
        (None, None) => return Ok(None),
    };
    // What cannot sign is told here, where the variable is known.
    Signer::new(&credentials).map_err(|error| Error::config_from(format!("{CLIENT_ID} cannot be used"), error))?;
    if !credentials.access_token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::config(format!(
            "{ACCESS_TOKEN} cannot be used: it holds what no access token does, such as a space"
        )));
    }
    let Some(certificate) = certificate else { return Ok(Some(credentials)) };
    let certificate = Certificate::from_json(&certificate)
        .map_err(|error| Error::config_from(format!("{CERTIFICATE} is not the JSON of a certificate"), error))?;
    Ok(Some(credentials.with_certificate(certificate)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain;

    fn from(variables: &[(&str, &str)]) -> Result<Option<Credentials>, Error> {
        credentials(&|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned()).ok_or(VarError::NotPresent)
        })
    }

    #[test]
    fn credentials_are_read_whole_or_not_at_all() {
        let certificate =
            r#"{"version":1,"scopes":["a"],"start":1,"expiry":2,"seed":"s","signature":"x","issuer":"i"}"#;
        let found = from(&[(CLIENT_ID, "me"), (ACCESS_TOKEN, "t"), (CERTIFICATE, certificate)]).unwrap().unwrap();
        assert_eq!((found.client_id.as_str(), found.access_token.expose()), ("me", "t"));
        assert_eq!(found.certificate.unwrap().issuer.as_deref(), Some("i"));
        assert_eq!(from(&[]).unwrap(), None);
        assert_eq!(from(&[(CLIENT_ID, ""), (ACCESS_TOKEN, "")]).unwrap(), None);
        assert!(from(&[(CLIENT_ID, "me"), (ACCESS_TOKEN, "t"), (CERTIFICATE, "")]).unwrap().is_some());
    }

    #[test]
    fn the_variable_that_is_wrong_is_named_and_no_value_shown() {
        for (variables, name) in [
            (&[(CLIENT_ID, "me")][..], ACCESS_TOKEN),
            (&[(ACCESS_TOKEN, "hunter2")], CLIENT_ID),
            (&[(CERTIFICATE, "{}")], CLIENT_ID),
            (&[(CLIENT_ID, "\"hunter2"), (ACCESS_TOKEN, "t")], CLIENT_ID),
            (&[(CLIENT_ID, "me"), (ACCESS_TOKEN, "hunter2\n")], ACCESS_TOKEN),
            (&[(CLIENT_ID, "me"), (ACCESS_TOKEN, "hunter2"), (CERTIFICATE, "{\"seed\":\"hunter2\"}")], CERTIFICATE),
        ] {
            let error = chain(&from(variables).unwrap_err()).to_string();
            assert!(error.starts_with(name) && !error.contains("hunter2"), "{error}");
        }
        let broken = |_: &str| Err(VarError::NotUnicode("hunter2".into()));
        assert_eq!(credentials(&broken).unwrap_err().to_string(), "TASKCLUSTER_CERTIFICATE: the value is not UTF-8");
        let error = chain(&url(&|_| Ok("nowhere".into()), ROOT_URL).unwrap_err()).to_string();
        assert!(error.starts_with("TASKCLUSTER_ROOT_URL cannot be used: 'nowhere'"), "{error}");
    }
}
