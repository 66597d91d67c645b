//! What an operator can set, in a file, in the environment (`TC_TUNNEL_…`) or by flags; the later wins.

use serde::{Deserialize, Serialize};
use service_kit::frame::Frame;
use service_kit::settings::{Common, Own};
use taskcluster_core::secret::Secret;
use url::Url;

use crate::service::Options;

/// What a tunnel server has to be told beside what every service is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// What the deployment's auth service signs tokens with: its `websocktunnel_secret`.
    pub secret: Option<Secret>,
    /// What it signed with before: tokens of that time are good as well, until they end.
    pub former_secret: Option<Secret>,
    /// The audience that tokens must be for, where they name one; without it any will do.
    pub audience: Option<String>,
    /// Where clients and viewers find this server. Default: `http://` and the address that it listens at.
    pub public_url: Option<String>,
    /// Clients at once.
    pub max_clients: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { secret: None, former_secret: None, audience: None, public_url: None, max_clients: 10_000 }
    }
}

/// What is wrong with the settings.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Nobody could be let in.
    #[error("secret is not set: it is the websocktunnel_secret of the auth service")]
    NoSecret,
    /// The address is none.
    #[error("public_url {0:?} is none: it begins with http:// or https://")]
    PublicUrl(String),
}

impl Own for Config {
    const VARIABLES: &'static str = "TC_TUNNEL";
    const LISTEN: &'static str = "127.0.0.1:8087";
    type Fault = Fault;

    fn check(&self, common: &Common) -> Result<(), Fault> {
        self.secret.as_ref().filter(|secret| !secret.is_empty()).ok_or(Fault::NoSecret)?;
        self.url(common).map(drop)
    }
}

impl Config {
    fn url(&self, common: &Common) -> Result<Url, Fault> {
        let text = self.public_url.clone().unwrap_or_else(|| format!("http://{}", common.listen));
        let url = Url::parse(&text).ok().filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
        url.ok_or(Fault::PublicUrl(text))
    }

    /// What the server is made of.
    ///
    /// # Errors
    /// What [`check`](Own::check) finds.
    pub fn options(&self, common: &Common, frame: &Frame) -> Result<Options, Fault> {
        self.check(common)?;
        let secrets = [&self.secret, &self.former_secret].into_iter().flatten().filter(|secret| !secret.is_empty());
        let mut options = Options::new(secrets.cloned(), self.url(common)?)
            .with_clock(frame.clock.clone())
            .with_shutdown(frame.shutdown.clone())
            .with_max_clients(self.max_clients);
        options.audience.clone_from(&self.audience);
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_would_let_nobody_in_is_refused() {
        let common = Common::default();
        assert_eq!(Config::default().check(&common), Err(Fault::NoSecret));
        let secret = Some(Secret::from("secret"));
        assert_eq!(Config { secret: secret.clone(), ..Config::default() }.check(&common), Ok(()));
        let public_url = Some("ftp://tunnel.example".to_owned());
        assert!(matches!(Config { secret, public_url, ..Config::default() }.check(&common), Err(Fault::PublicUrl(_))));
    }
}
