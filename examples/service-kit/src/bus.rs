//! Which bus: told by a URL.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use taskcluster::events::{Bus, MemoryBus};
use url::Url;

/// A bus, as configuration names it: `memory:` ends with the process, `amqp://user:password@host/vhost` is RabbitMQ.
///
/// ```
/// use service_kit::bus::BusUrl;
///
/// let url: BusUrl = "memory:".parse()?;
/// let bus = url.open()?;
/// # Ok::<(), service_kit::bus::BusUrlError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BusUrl {
    /// Within the process: nobody outside listens.
    #[default]
    Memory,
    /// RabbitMQ, under this URL.
    Amqp(Url),
}

/// A text that names no bus, or none that this program has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BusUrlError {
    /// Another scheme, or none. What was said is not repeated: it may hold a password.
    #[error("a bus is named by memory: or amqp://user:password@host/vhost")]
    Unknown,
    /// This program was built without it.
    #[error("this program was built without RabbitMQ; `cargo build --features amqp` has it")]
    NoAmqp,
    /// The SDK does not take it.
    #[error("{0}")]
    Refused(String),
}

impl BusUrl {
    /// The bus. RabbitMQ is connected when it is first used: services start while it is away.
    ///
    /// # Errors
    /// When this program does not have it.
    pub fn open(&self) -> Result<Arc<dyn Bus>, BusUrlError> {
        self.open_with(None)
    }

    /// The bus, for one who listens and must not miss anything: RabbitMQ keeps messages for it in the durable queue of this
    /// name, also while it is away. The bus of the process ends with it, and so do its messages.
    ///
    /// # Errors
    /// When this program does not have it.
    pub fn open_queue(&self, name: &str) -> Result<Arc<dyn Bus>, BusUrlError> {
        self.open_with(Some(name))
    }

    #[cfg_attr(not(feature = "amqp"), allow(unused_variables, reason = "only RabbitMQ has queues"))]
    fn open_with(&self, queue: Option<&str>) -> Result<Arc<dyn Bus>, BusUrlError> {
        match self {
            Self::Memory => Ok(Arc::new(MemoryBus::new())),
            #[cfg(feature = "amqp")]
            Self::Amqp(url) => {
                let refused = |error: taskcluster::events::AmqpUrlError| BusUrlError::Refused(error.to_string());
                let bus = taskcluster::events::AmqpBus::new(url.as_str()).map_err(refused)?;
                Ok(match queue {
                    Some(queue) => Arc::new(bus.with_queue(queue)),
                    None => Arc::new(bus),
                })
            }
            #[cfg(not(feature = "amqp"))]
            Self::Amqp(_) => Err(BusUrlError::NoAmqp),
        }
    }
}

impl FromStr for BusUrl {
    type Err = BusUrlError;

    fn from_str(text: &str) -> Result<Self, BusUrlError> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        match Url::parse(text) {
            Ok(url) if ["amqp", "amqps"].contains(&url.scheme()) && url.has_host() => Ok(Self::Amqp(url)),
            _ => Err(BusUrlError::Unknown),
        }
    }
}

impl fmt::Display for BusUrl {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Amqp(url) => {
                let mut url = url.clone();
                if url.password().is_some() && url.set_password(Some("***")).is_err() {
                    return f.write_str("amqp:(hidden)");
                }
                fmt::Display::fmt(&url, f)
            }
        }
    }
}

impl fmt::Debug for BusUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BusUrl({self})")
    }
}

impl serde::Serialize for BusUrl {
    /// Without the password.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for BusUrl {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_choose_the_bus() {
        assert_eq!("memory:".parse(), Ok(BusUrl::Memory));
        let amqp: BusUrl = "amqp://tc:hunter2@rabbit/ci".parse().unwrap();
        assert_eq!(amqp.to_string(), "amqp://tc:***@rabbit/ci");
        assert!(!format!("{amqp:?}").contains("hunter2"));
        for text in ["", "memory", "redis://hunter2", "amqp:hunter2"] {
            assert_eq!(text.parse::<BusUrl>(), Err(BusUrlError::Unknown), "{text}");
        }
    }

    #[tokio::test]
    async fn without_rabbitmq_a_program_says_how_to_have_it() {
        assert!(BusUrl::Memory.open().is_ok());
        let opened = "amqp://127.0.0.1:1".parse::<BusUrl>().unwrap().open();
        assert_eq!(opened.is_ok(), cfg!(feature = "amqp"));
    }
}
