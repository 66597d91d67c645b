//! User data of an EC2 instance, by version 2 of its metadata service:
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::{Method, Request, StatusCode};
use taskcluster_core::transport::http::HttpTransport;
use taskcluster_core::transport::{Body, Transport};
use taskcluster_worker::notices::Cloud;
use tokio::time::{Instant, sleep, timeout};

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// How long to wait before it is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// An instance has at most 16 KiB of user data.
const LONGEST: usize = 64 * 1024;

/// Ask until there is an answer, for at most `patience`.
pub(super) async fn user_data(metadata: Option<&str>, patience: Duration) -> Result<String> {
    let metadata = metadata.unwrap_or(Cloud::Ec2.metadata()).trim_end_matches('/');
    let transport = HttpTransport::new()?.into_transport();
    let end = Instant::now() + patience;
    loop {
        let error = match look(&transport, metadata).await {
            Ok(Some(text)) => return Ok(text),
            Ok(None) => bail!("this instance has no user data"),
            Err(error) => error,
        };
        if Instant::now() + AGAIN > end {
            return Err(error).with_context(|| format!("cannot get the user data of this instance from {metadata}"));
        }
        tracing::warn!(error = %format!("{error:#}"), "cannot get the user data of this instance; asked again");
        sleep(AGAIN).await;
    }
}

/// The user data, if there are any.
async fn look(transport: &Transport, metadata: &str) -> Result<Option<String>> {
    let session = ("x-aws-ec2-metadata-token-ttl-seconds", "60");
    let (status, token) = ask(transport, Method::PUT, &format!("{metadata}/latest/api/token"), session).await?;
    if status != StatusCode::OK {
        bail!("the metadata service begins no session: it answers {status}");
    }
    let session = ("x-aws-ec2-metadata-token", &*token);
    match ask(transport, Method::GET, &format!("{metadata}/latest/user-data"), session).await? {
        (StatusCode::OK, text) => Ok(Some(text)),
        (StatusCode::NOT_FOUND, _) => Ok(None),
        (status, _) => bail!("the metadata service answers {status}"),
    }
}

async fn ask(transport: &Transport, method: Method, url: &str, header: (&str, &str)) -> Result<(StatusCode, String)> {
    let request = Request::builder().method(method).uri(url).header(header.0, header.1).body(Body::empty())?;
    let asking = async {
        let (parts, body) = transport.send(request).await?.into_parts();
        let text = body.collect(LONGEST).await.map_err(anyhow::Error::from_boxed)?;
        Ok((parts.status, String::from_utf8_lossy(&text).into_owned()))
    };
    timeout(ANSWER, asking).await.context("there was no answer in time")?
}
