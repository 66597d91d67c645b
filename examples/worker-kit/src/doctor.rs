//! `doctor`: tries what a worker will need, and says what is wrong and what to do.

mod deployment;
mod machine;
mod tunnel;

use std::fmt::Display;
use std::process::ExitCode;

use anyhow::Result;

use crate::program::{ConfigOptions, Program, print};
use crate::provisioned;

/// What has been looked at, printed as it is found.
#[derive(Debug, Default)]
pub struct Examination {
    wrong: usize,
}

impl Examination {
    /// Nothing is wrong with `what`; `found` says how it is.
    pub fn good(&mut self, what: &str, found: impl Display) {
        print(&format!("ok     {what}: {found}"));
    }

    /// The worker can do without it, for the price that is said.
    pub fn note(&mut self, what: &str, found: impl Display) {
        print(&format!("note   {what}: {found}"));
    }

    /// The worker cannot work like this; `remedy` says what to do.
    pub fn wrong(&mut self, what: &str, why: impl Display, remedy: &str) {
        self.wrong += 1;
        print(&format!("WRONG  {what}: {why}\n       {remedy}"));
    }
}

/// Examine everything. Ends 0 if nothing is wrong.
pub(crate) async fn run<P: Program>(options: ConfigOptions<P::Config>) -> Result<ExitCode> {
    let mut examination = Examination::default();
    let path = options.path();
    let mut config = match provisioned::described::<P>(&options, provisioned::FOR_A_LOOK).await {
        Ok(config) => config,
        Err(error) => {
            examination.wrong("configuration", format!("{error:#}"), "See `run --help` for what can be set.");
            return Ok(ExitCode::FAILURE);
        }
    };
    match P::check(&config, path).and_then(|()| P::common(&mut config).base(P::NAME)) {
        Ok(base) => {
            examination
                .good("configuration", path.map_or("from the command line".into(), |path| path.display().to_string()));
            let provisioned = P::common(&mut config).is_provisioned();
            if provisioned {
                let found = "a provisioner has started this worker; what its secret says is not examined";
                examination.good("user data", found);
            }
            deployment::examine(&base, provisioned, &mut examination).await;
            machine::examine(&base, &mut examination);
            tunnel::examine(&base, &mut examination).await;
            P::examine(&config, &mut examination).await;
        }
        // Without one there is nothing to try.
        Err(error) => examination.wrong("configuration", format!("{error:#}"), "See `run --help` for what can be set."),
    }
    Ok(if examination.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
