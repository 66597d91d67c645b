//! What an operator can set, in a file, in the environment (`TC_EVENTS_…`) or by flags; the later wins.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use service_kit::settings::{Common, Own};

use crate::Settings;

/// What a process that is nothing but an events service has to be told beside what every service is; its bus is the one to
/// which the services publish, `memory:` hears nothing but this process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// The exchanges that are passed on, if not those of auth and queue.
    pub exchanges: Option<Vec<String>>,
    /// How many may listen at once.
    pub listeners: usize,
    /// How many streams one client may have, or one address without credentials.
    pub listeners_each: usize,
    /// How many messages are kept for those who come back.
    pub kept_messages: usize,
    /// How many bytes they may take in memory, roughly.
    pub kept_bytes: usize,
    /// How long a stream is silent before there is a ping.
    pub ping_seconds: u64,
    /// How long a stream lasts before the listener has to show anew what it may hear.
    pub longest_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            exchanges: None,
            listeners: settings.listeners,
            listeners_each: settings.listeners_each,
            kept_messages: settings.kept_messages,
            kept_bytes: settings.kept_bytes,
            ping_seconds: settings.ping.as_secs(),
            longest_seconds: settings.longest.as_secs(),
        }
    }
}

/// What is wrong with a configuration whose every value is fine by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigFault {
    /// Listeners would think that nobody is there.
    #[error("ping_seconds must be from 1 to 30: listeners that hear nothing for a minute connect again")]
    Ping,
    /// Streams that end at once.
    #[error("longest_seconds must be at least 60")]
    Longest,
}

impl Own for Config {
    const VARIABLES: &'static str = "TC_EVENTS";
    const LISTEN: &'static str = "127.0.0.1:8083";
    type Fault = ConfigFault;

    fn check(&self, _: &Common) -> Result<(), ConfigFault> {
        if !(1..=30).contains(&self.ping_seconds) {
            return Err(ConfigFault::Ping);
        }
        if self.longest_seconds < 60 {
            return Err(ConfigFault::Longest);
        }
        Ok(())
    }
}

impl Config {
    /// How the service shall behave.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            listeners: self.listeners,
            listeners_each: self.listeners_each,
            kept_messages: self.kept_messages,
            kept_bytes: self.kept_bytes,
            ping: Duration::from_secs(self.ping_seconds),
            longest: Duration::from_secs(self.longest_seconds),
            ..Settings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service_kit::config::Layers;
    use service_kit::settings::Settings;

    #[test]
    fn flags_and_variables_reach_the_settings() {
        let layers = Layers::new()
            .text("kept_messages = 10")
            .variables(Config::VARIABLES, [("TC_EVENTS_PING_SECONDS", "20"), ("TC_EVENTS_EXCHANGES", "['a']")]);
        let settings: Settings<Config> = layers.load().unwrap();
        settings.check().unwrap();
        let config = settings.own;
        assert_eq!((config.settings().kept_messages, config.settings().ping), (10, Duration::from_secs(20)));
        assert_eq!(config.exchanges.as_deref(), Some(&["a".to_owned()][..]));
    }

    #[test]
    fn silence_that_listeners_would_not_bear_is_refused() {
        let config = Config { ping_seconds: 45, ..Config::default() };
        assert!(matches!(config.check(&Common::default()), Err(ConfigFault::Ping)));
    }
}
