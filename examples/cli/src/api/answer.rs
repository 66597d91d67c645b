//! The answer of a call, printed.

use anyhow::{Result, anyhow};
use futures_util::TryStreamExt as _;
use serde_json::value::RawValue;
use taskcluster::{Body, Taskcluster};
use taskcluster_core::operation::BLOB;
use taskcluster_core::transport::BoxError;

use super::Invocation;

/// The longest answer that is read as a whole although nothing is promised about it.
const LONGEST: usize = 64 << 20;

/// Makes the call and prints what comes: JSON as JSON, the place that a redirect leads to, anything else as it is.
pub(super) async fn print(invocation: &Invocation, tc: &Taskcluster, body: Option<&RawValue>) -> Result<()> {
    let operation = invocation.method.operation;
    if operation.output.is_some_and(|schema| schema != BLOB) {
        let answer = invocation.request::<()>(tc, body).raw().await?;
        return invocation.output()?.json(&answer);
    }
    let answer = invocation.request::<()>(tc, body).open().await?;
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    if let Some(place) = header("location").filter(|_| answer.status().is_redirection()) {
        return invocation.output()?.line(&place);
    }
    if header("content-type").is_some_and(|kind| kind.starts_with("application/json")) {
        let read = answer.into_body().collect(LONGEST).await;
        let json = read.map_err(|error| anyhow!(error).context(format!("{operation}: the answer broke off")))?;
        return invocation.output()?.json(&json);
    }
    copy(invocation, answer.into_body()).await
}

/// Piece by piece as it comes, which may go on for ever.
async fn copy(invocation: &Invocation, body: Body) -> Result<()> {
    let mut output = invocation.output()?;
    let mut pieces = std::pin::pin!(body.into_stream());
    let broken =
        |error: BoxError| anyhow!(error).context(format!("{}: the answer broke off", invocation.method.operation));
    while let Some(piece) = pieces.try_next().await.map_err(broken)? {
        output.bytes(&piece)?;
    }
    Ok(())
}
