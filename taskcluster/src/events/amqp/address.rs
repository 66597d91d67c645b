//! Where a broker is, and who we are there.

use std::fmt;

use lapin::uri::{AMQPScheme, AMQPUri};
use url::Url;

/// Seconds from one sign of life to the next, unless the URL says otherwise.
const HEARTBEAT: u16 = 30;

/// A text is not the URL of a broker.
///
/// The URL is not repeated: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmqpUrlError {
    /// It is something else.
    #[error("this is not the URL of a broker, such as amqp://user:password@host:5672/vhost")]
    Invalid,
    /// TLS was left out of this program.
    #[error("amqps:// takes the feature `amqps`, without which this program was built")]
    NoTls,
}

/// The address of a broker. `Debug` shows it without the password.
#[derive(Clone)]
pub(super) struct Address(AMQPUri);

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, AmqpUrlError> {
        let url = Url::parse(text).map_err(|_| AmqpUrlError::Invalid)?;
        if !url.has_host() || url.host_str().is_none_or(str::is_empty) {
            return Err(AmqpUrlError::Invalid);
        }
        let mut uri: AMQPUri = text.parse().map_err(|_| AmqpUrlError::Invalid)?;
        if uri.scheme == AMQPScheme::AMQPS && !cfg!(feature = "amqps") {
            return Err(AmqpUrlError::NoTls);
        }
        if uri.vhost.is_empty() {
            "/".clone_into(&mut uri.vhost);
        }
        // An IP address is no domain, for which the parser of the URL would take the host of this machine.
        if let Some(host) = url.host_str() {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host.clone_into(&mut uri.authority.host);
        }
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Ok(Self(uri))
    }

    pub(super) fn uri(&self) -> AMQPUri {
        self.0.clone()
    }

    pub(super) fn user(&self) -> &str {
        &self.0.authority.userinfo.username
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { scheme, authority, vhost, .. } = &self.0;
        let vhost = vhost.strip_prefix('/').unwrap_or(vhost);
        write!(f, "{scheme}://{}@{}:{}/{vhost}", authority.userinfo.username, authority.host, authority.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> Result<String, AmqpUrlError> {
        Address::parse(url).map(|address| format!("{address:?}"))
    }

    #[test]
    fn user_host_and_virtual_host_come_from_the_url() {
        for (url, expected) in [
            ("amqp://rabbit.example", "amqp://guest@rabbit.example:5672/"),
            ("amqp://rabbit.example/", "amqp://guest@rabbit.example:5672/"),
            ("amqp://me:secret@10.1.2.3:5673/%2f", "amqp://me@10.1.2.3:5673/"),
            ("amqp://me:secret@[::1]/ci", "amqp://me@::1:5672/ci"),
            ("amqp://me%40here:secret@h/a%2fb?heartbeat=5", "amqp://me@here@h:5672/a/b"),
        ] {
            assert_eq!(shown(url).as_deref(), Ok(expected), "{url}");
        }
        let heartbeat = |url: &str| Address::parse(url).unwrap().uri().query.heartbeat;
        assert_eq!((heartbeat("amqp://h"), heartbeat("amqp://h?heartbeat=5")), (Some(HEARTBEAT), Some(5)));
    }

    #[test]
    fn what_is_no_url_of_a_broker_is_refused_without_showing_it() {
        for url in ["", "rabbit", "amqp:secret", "amqp://", "http://me:secret@h", "amqp://me:secret@h:port"] {
            let error = Address::parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{url}");
        }
        assert_eq!(shown("amqps://me:secret@h").is_ok(), cfg!(feature = "amqps"));
    }
}
