//! What an S3 storage needs to know, read from its URL and the usual variables.

use taskcluster_core::secret::Secret;
use url::Url;

/// Where a bucket is, and who we are there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct S3Options {
    /// The bucket.
    pub bucket: String,
    /// The bucket for what everybody may read; its downloads are plain URLs. Without it there is none.
    pub public_bucket: Option<String>,
    /// The region that signatures name.
    pub region: String,
    /// The address of a storage that is not Amazon's; the bucket is then the first segment of the path.
    pub endpoint: Option<Url>,
    /// Who signs.
    pub access_key_id: String,
    /// With which secret.
    pub secret_access_key: Secret,
    /// Temporary credentials have one.
    pub session_token: Option<Secret>,
}

/// Why an S3 storage cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum S3OptionsError {
    /// No bucket.
    #[error("{0} names no bucket: such a URL reads s3://bucket?region=eu-central-1")]
    NoBucket(Url),
    /// An option that means nothing.
    #[error("unknown option {0:?} of an S3 storage: there are region, endpoint and public_bucket")]
    UnknownOption(String),
    /// The endpoint is none.
    #[error("{0:?} is not the address of an S3 storage, such as https://storage.example")]
    Endpoint(String),
    /// Nobody to sign.
    #[error("an S3 storage needs {0} in the environment")]
    NoCredentials(&'static str),
}

impl S3Options {
    /// Reads `s3://bucket?region=…&endpoint=…&public_bucket=…`. What it leaves out comes from the environment:
    /// `AWS_REGION` or `AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`; the credentials always do, from
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if temporary, `AWS_SESSION_TOKEN`.
    ///
    /// # Errors
    /// See [`S3OptionsError`].
    pub fn from_env(url: &Url) -> Result<Self, S3OptionsError> {
        Self::read(url, |name| std::env::var(name).ok())
    }

    /// As [`from_env`](Self::from_env), with another environment.
    ///
    /// # Errors
    /// See [`S3OptionsError`].
    pub fn read(url: &Url, variable: impl Fn(&str) -> Option<String>) -> Result<Self, S3OptionsError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let needed = |name: &'static str| variable(name).ok_or(S3OptionsError::NoCredentials(name));
        let bucket = url.host_str().filter(|_| url.scheme() == "s3" && matches!(url.path(), "" | "/"));
        let bucket = bucket.ok_or_else(|| S3OptionsError::NoBucket(url.clone()))?.to_owned();
        let (mut region, mut endpoint, mut public_bucket) = (None, None, None);
        for (name, value) in url.query_pairs() {
            match &*name {
                "region" => region = Some(value.into_owned()),
                "endpoint" => endpoint = Some(value.into_owned()),
                "public_bucket" => public_bucket = Some(value.into_owned()),
                other => return Err(S3OptionsError::UnknownOption(other.to_owned())),
            }
        }
        let region = region.or_else(|| variable("AWS_REGION")).or_else(|| variable("AWS_DEFAULT_REGION"));
        let endpoint = endpoint.or_else(|| variable("AWS_ENDPOINT_URL_S3")).or_else(|| variable("AWS_ENDPOINT_URL"));
        Ok(Self {
            bucket,
            public_bucket,
            region: region.unwrap_or_else(|| "us-east-1".to_owned()),
            endpoint: endpoint.map(parse_endpoint).transpose()?,
            access_key_id: needed("AWS_ACCESS_KEY_ID")?,
            secret_access_key: Secret::from(needed("AWS_SECRET_ACCESS_KEY")?),
            session_token: variable("AWS_SESSION_TOKEN").map(Secret::from),
        })
    }
}

fn parse_endpoint(text: String) -> Result<Url, S3OptionsError> {
    let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or(S3OptionsError::Endpoint(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str, variables: &[(&str, &str)]) -> Result<S3Options, S3OptionsError> {
        S3Options::read(&url.parse().unwrap(), |wanted| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_url_wins_over_the_environment() {
        let variables = [
            ("AWS_ACCESS_KEY_ID", "us"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "eu-north-1"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9000"),
        ];
        let plain = read("s3://bucket", &variables).unwrap();
        assert_eq!((plain.bucket.as_str(), plain.region.as_str()), ("bucket", "eu-north-1"));
        assert_eq!(plain.endpoint.unwrap().as_str(), "http://127.0.0.1:9000/");
        let other = "s3://bucket?region=eu-west-1&endpoint=https://s.example&public_bucket=open";
        let other = read(other, &variables).unwrap();
        assert_eq!((other.region.as_str(), other.public_bucket.as_deref()), ("eu-west-1", Some("open")));
        assert!(!format!("{other:?}").contains("secret\""));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let variables = [("AWS_ACCESS_KEY_ID", "us"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        assert!(matches!(read("s3://b/folder", &variables), Err(S3OptionsError::NoBucket(_))));
        assert!(matches!(read("s3://b?endpoint=x", &variables), Err(S3OptionsError::Endpoint(_))));
        assert!(matches!(read("s3://b?reigon=x", &variables), Err(S3OptionsError::UnknownOption(_))));
        assert!(matches!(read("s3://b", &[]), Err(S3OptionsError::NoCredentials("AWS_ACCESS_KEY_ID"))));
    }
}
