//! Settings that are flags as well.

use clap::{Arg, ArgMatches};

use crate::config::Layers;

/// A setting that is a flag as well: `--root-url` sets `root_url`.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    name: &'static str,
    value: &'static str,
    help: &'static str,
    variable: Option<&'static str>,
}

impl Flag {
    /// Where a service keeps its state.
    pub const DATABASE: Self = Self::new(
        "database",
        "URL",
        "Where everything is kept: sqlite:PATH, sqlite::memory: or postgres://USER@HOST/NAME",
    );

    /// A service's own client.
    pub const CLIENT_ID: Self =
        Self::new("client-id", "CLIENT", "The service's own client; its access token is best given as a variable");

    /// The deployment.
    pub const ROOT_URL: Self = Self::new("root-url", "URL", "The root URL of the deployment, as callers know it");

    /// Those of every program.
    const COMMON: [Self; 3] = [
        Self::new("listen", "ADDRESS", "The address to listen at"),
        Self::ROOT_URL,
        Self::new(
            "bus",
            "URL",
            "Where events go: memory: or amqp://USER@HOST/VHOST; a password is best given as a variable",
        ),
    ];

    /// A flag, what to give to it, and what it does.
    #[must_use]
    pub const fn new(name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self { name, value, help, variable: None }
    }

    /// If the flag is not given, it is as if it were with the value of this variable.
    #[must_use]
    pub const fn or_variable(mut self, variable: &'static str) -> Self {
        self.variable = Some(variable);
        self
    }

    /// A program's own flags, and after them those of every program unless it has them in its own way.
    pub(super) fn all(own: &'static [Self]) -> impl Iterator<Item = Self> {
        let missing = Self::COMMON.into_iter().filter(|common| own.iter().all(|own| own.name != common.name));
        own.iter().copied().chain(missing)
    }

    pub(super) fn onto(self, layers: Layers, matches: &ArgMatches) -> Layers {
        layers.optional_flag(&self.name.replace('-', "_"), matches.get_one::<String>(self.name).cloned())
    }
}

impl From<Flag> for Arg {
    fn from(flag: Flag) -> Self {
        let arg = Self::new(flag.name).long(flag.name).value_name(flag.value).help(flag.help);
        match flag.variable {
            Some(variable) => arg.env(variable),
            None => arg,
        }
    }
}
