//! One use of a method, as it was typed.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::error::{Error, ErrorKind};
use clap::{ArgMatches, Args, Command, FromArgMatches};
use serde_json::value::RawValue;
use taskcluster::{Request, Taskcluster};

use super::command::{ALL, BODY, COMPACT, DRY_RUN, NO_CHECK, OUTPUT, SIGNED_URL};
use super::{Method, all, answer, body, command, dry_run};
use crate::output::Output;

/// One use of a method, as it was typed.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(super) method: &'static Method,
    /// The arguments of the path, in its order.
    pub(super) arguments: Vec<String>,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<String>,
    pub(super) no_check: bool,
    pub(super) compact: bool,
    all: bool,
    signed_url: Option<Duration>,
    dry_run: bool,
    output: Option<PathBuf>,
}

impl Invocation {
    /// The body, where the method has one.
    pub(crate) fn body(&self) -> Result<Option<Box<RawValue>>> {
        self.method.operation.input.map(|schema| body::read(self, schema)).transpose()
    }

    /// Makes the call, or what was asked for in its place.
    pub(crate) async fn carry_out(&self, tc: &Taskcluster, body: Option<&RawValue>) -> Result<()> {
        if self.dry_run {
            return dry_run::tell(self.request(tc, body), self.output()?);
        }
        if let Some(valid) = self.signed_url {
            let url = self.request::<()>(tc, body).signed_for(valid)?;
            return self.output()?.line(url.as_str());
        }
        match self.method.items.filter(|_| self.all) {
            Some(items) => all::print(self, tc, body, items).await,
            None => answer::print(self, tc, body).await,
        }
    }

    /// The call, ready to be sent.
    pub(super) fn request<O>(&self, tc: &Taskcluster, body: Option<&RawValue>) -> Request<O> {
        let request = Request::new(tc.caller(), self.method.operation, &self.path());
        let request = self.query.iter().fold(request, |request, (name, value)| request.query(name, value));
        match body {
            Some(body) => request.with_body(body),
            None => request,
        }
    }

    /// The arguments of the path.
    pub(super) fn path(&self) -> Vec<&dyn std::fmt::Display> {
        self.arguments.iter().map(|argument| argument as &dyn std::fmt::Display).collect()
    }

    /// Where the answer goes. A file is made when there is one, not before.
    pub(super) fn output(&self) -> Result<Output> {
        Output::open(self.output.as_deref(), self.compact)
    }

    fn of(method: &'static Method, matches: &ArgMatches) -> Self {
        let text = |name: &str| matches.try_get_one::<String>(name).ok().flatten().cloned();
        let is_set = |name: &str| matches.try_get_one::<bool>(name).ok().flatten().is_some_and(|set| *set);
        Self {
            method,
            arguments: method.arguments.iter().filter_map(|argument| text(argument.name)).collect(),
            query: method.query.iter().filter_map(|known| Some((known.name, text(known.name)?))).collect(),
            body: text(BODY),
            no_check: is_set(NO_CHECK),
            compact: is_set(COMPACT),
            all: is_set(ALL),
            signed_url: matches.try_get_one::<Duration>(SIGNED_URL).ok().flatten().copied(),
            dry_run: is_set(DRY_RUN),
            output: matches.try_get_one::<PathBuf>(OUTPUT).ok().flatten().cloned(),
        }
    }
}

impl FromArgMatches for Invocation {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let (service, matches) = matches.subcommand().ok_or_else(nothing)?;
        let (name, matches) = matches.subcommand().ok_or_else(nothing)?;
        let methods = super::service(service).ok_or_else(nothing)?.methods;
        let method = methods.iter().find(|method| method.operation.name == name).ok_or_else(nothing)?;
        Ok(Self::of(method, matches))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// clap asks for what is missing before it comes to that.
fn nothing() -> Error {
    Error::new(ErrorKind::MissingSubcommand)
}

impl Args for Invocation {
    fn augment_args(command: Command) -> Command {
        command::with_services(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        command::with_services(command)
    }
}
