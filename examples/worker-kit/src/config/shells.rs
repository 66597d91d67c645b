//! The keys of workers whose engines open shells in tasks.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result, bail};
use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::Base;

/// Where shells in tasks are served.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema, Args)]
#[serde(default)]
#[non_exhaustive]
pub struct ShellConfig {
    /// Address and port at which shells in tasks are served, by TLS if live logs are [default: 127.0.0.1:0].
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell_address: Option<SocketAddr>,
    /// Where visitors find the shells, if not at that address.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell_url: Option<String>,
}

impl ShellConfig {
    /// The address, and where visitors find the shells if not there.
    ///
    /// # Errors
    /// The URL is none, or of no use since visitors come in through a tunnel.
    pub fn place(&self, base: &Base) -> Result<(SocketAddr, Option<Url>)> {
        if base.tunnel.is_some() && self.shell_url.is_some() {
            bail!("shell_url is of no use with tunnel_url: visitors come in through the tunnel");
        }
        let address = self.shell_address.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let url =
            self.shell_url.as_deref().map(|url| Url::parse(url).with_context(|| format!("shell_url {url:?} is none")));
        Ok((address, url.transpose()?))
    }
}
