//! The address of a deployment.

use std::fmt;
use std::str::FromStr;

use http::uri::{Authority, Scheme};
use url::Url;

/// The root URL of a deployment: scheme, host and optional port, such as `https://tc.example.com`.
///
/// A trailing slash is accepted and dropped. A path is kept: a proxy may well have one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RootUrl {
    /// Without a slash at its end.
    text: String,
    scheme: Scheme,
    authority: Authority,
    /// Where the path begins in `text`.
    path: usize,
    host: String,
    port: u16,
}

/// A text that cannot be a root URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a root URL such as https://tc.example.com: {reason}")]
pub struct InvalidRootUrl {
    text: String,
    reason: String,
}

impl RootUrl {
    /// The URL without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host in lower case, as Hawk signs it; brackets around an IPv6 address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where it is the scheme's own.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What stands before `/api`; usually nothing.
    pub(crate) fn path(&self) -> &str {
        &self.text[self.path..]
    }
}

impl TryFrom<Url> for RootUrl {
    type Error = InvalidRootUrl;

    fn try_from(url: Url) -> Result<Self, InvalidRootUrl> {
        let invalid = |reason: &str| {
            // A password must not get into a message.
            let mut shown = url.clone();
            let _ = shown.set_password(None);
            InvalidRootUrl { text: shown.to_string(), reason: reason.to_owned() }
        };
        let scheme = match url.scheme() {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            _ => return Err(invalid("it must begin with http:// or https://")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("it must not hold a user or a password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("it must end with the host, the port or a path"));
        }
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(invalid("it must have a host"));
        };
        let authority = url[url::Position::BeforeHost..url::Position::AfterPort].parse();
        let authority = authority.map_err(|_| invalid("its host is not one"))?;
        let path = url[..url::Position::BeforePath].len();
        let (host, text) = (host.to_owned(), url.as_str().trim_end_matches('/').to_owned());
        Ok(Self { text, scheme, authority, path, host, port })
    }
}

impl FromStr for RootUrl {
    type Err = InvalidRootUrl;

    fn from_str(text: &str) -> Result<Self, InvalidRootUrl> {
        let url = Url::parse(text.trim());
        url.map_err(|error| InvalidRootUrl { text: text.to_owned(), reason: error.to_string() })?.try_into()
    }
}

impl TryFrom<&Url> for RootUrl {
    type Error = InvalidRootUrl;

    fn try_from(url: &Url) -> Result<Self, InvalidRootUrl> {
        url.clone().try_into()
    }
}

impl TryFrom<&str> for RootUrl {
    type Error = InvalidRootUrl;

    fn try_from(text: &str) -> Result<Self, InvalidRootUrl> {
        text.parse()
    }
}

impl TryFrom<String> for RootUrl {
    type Error = InvalidRootUrl;

    fn try_from(text: String) -> Result<Self, InvalidRootUrl> {
        text.parse()
    }
}

impl TryFrom<&String> for RootUrl {
    type Error = InvalidRootUrl;

    fn try_from(text: &String) -> Result<Self, InvalidRootUrl> {
        text.parse()
    }
}

impl TryFrom<&RootUrl> for RootUrl {
    type Error = InvalidRootUrl;

    fn try_from(url: &RootUrl) -> Result<Self, InvalidRootUrl> {
        Ok(url.clone())
    }
}

impl From<std::convert::Infallible> for InvalidRootUrl {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl fmt::Display for RootUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for RootUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_at_the_end_makes_no_difference() {
        for text in [
            "https://TC.example.com",
            "https://tc.example.com/",
            "https://tc.example.com:443//",
            " https://tc.example.com ",
        ] {
            let url: RootUrl = text.parse().unwrap();
            assert_eq!(
                (url.as_str(), url.host(), url.port(), url.path()),
                ("https://tc.example.com", "tc.example.com", 443, "")
            );
        }
    }

    #[test]
    fn ports_addresses_and_paths_are_kept() {
        let url: RootUrl = "http://[::1]:8080/sub/".parse().unwrap();
        assert_eq!((url.host(), url.port(), url.path()), ("[::1]", 8080, "/sub"));
        assert_eq!((url.to_string(), url.authority().as_str()), ("http://[::1]:8080/sub".to_owned(), "[::1]:8080"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for text in [
            "",
            "tc.example.com",
            "ftp://tc.example.com",
            "https://",
            "https://a?b",
            "https://a#b",
            "https://user:pw-1@a",
        ] {
            let error = text.parse::<RootUrl>().unwrap_err().to_string();
            assert!(error.contains("is not a root URL") && !error.contains("pw-1"), "{error}");
        }
    }
}
