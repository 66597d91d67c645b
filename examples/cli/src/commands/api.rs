//! `taskcluster api`: any method of any service.

use anyhow::Result;

use super::talk::{deployment, talk};
use crate::api::Invocation;
use crate::exit::Outcome;

/// Makes the call, or what was asked for in its place.
pub(crate) fn api(invocation: &Invocation) -> Result<Outcome> {
    let tc = deployment()?;
    let body = invocation.body()?;
    talk(invocation.carry_out(&tc, body.as_deref()))
}
