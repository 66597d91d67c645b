//! What a call would be, without making it.

use anyhow::Result;
use serde_json::json;
use taskcluster::{Needs as _, Params, Request, ScopeExpression};
use taskcluster_core::request::Call as _;
use taskcluster_core::scopes::{Param, RenderError};

use crate::output::Output;

/// Prints method, URL, scopes and body of the call.
pub(super) fn tell(request: Request<()>, mut output: Output) -> Result<()> {
    let (needs, outline) = (needs(&request)?, request.outline());
    let mut told = json!({ "method": outline.operation.method.as_str(), "needs": needs });
    if outline.body.is_some() {
        told["body"] = outline.body_json();
    }
    told["url"] = request.url()?.as_str().into();
    output.json(told.to_string().as_bytes())
}

/// The scopes that the call needs. Of what only the service knows, such as the group of a task, the name stands in angle
/// brackets.
fn needs(request: &Request<()>) -> Result<ScopeExpression, RenderError> {
    let mut known = Params::new();
    loop {
        match request.needs_with(known.clone()) {
            Err(RenderError::Missing(name)) if known.get(&name).is_none() => {
                let stands_for = format!("<{name}>");
                known = known.text(name, stands_for);
            }
            Err(RenderError::WrongKind { name, expected: "list" })
                if matches!(known.get(&name), Some(Param::Text(_))) =>
            {
                let stands_for = format!("<{name}>");
                known = known.list(name, [stands_for]);
            }
            found => return found,
        }
    }
}
