use bytes::Bytes;
use futures_util::TryFutureExt;
use http::header::{HOST, HeaderValue};
use http::{Request, Response};
use tower::{Service, ServiceExt, service_fn};

use super::{Body, BoxError, Transport, TransportError, TransportErrorKind};

/// A transport straight into a service of this process, such as an axum `Router`: no socket, no serialised HTTP, the
/// same answers.
///
/// The service sees the absolute URI and a `host` header, as it would behind a server. An error of the service itself
/// (a router has none) is a broken connection.
///
/// ```
/// use std::convert::Infallible;
/// use http::{Request, Response};
/// use taskcluster_core::Caller;
/// use taskcluster_core::transport::{Body, in_process};
///
/// # fn main() -> Result<(), taskcluster_core::Error> {
/// // An `axum::Router` is such a service.
/// let service = tower::service_fn(|request: Request<Body>| async move {
///     Ok::<_, Infallible>(Response::new(Body::from(format!("{{\"path\": {:?}}}", request.uri().path()))))
/// });
/// let caller = Caller::builder("https://tc.example.com").transport(in_process(service)).build()?;
/// # Ok(())
/// # }
/// ```
pub fn in_process<S, B>(service: S) -> Transport
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Transport::new(service_fn(move |mut request: Request<Body>| {
        if !request.headers().contains_key(HOST)
            && let Some(host) = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok())
        {
            request.headers_mut().insert(HOST, host);
        }
        service
            .clone()
            .oneshot(request)
            .map_ok(|answer| answer.map(Body::new))
            .map_err(|error| TransportError::new(TransportErrorKind::Interrupted, error))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain;
    use std::convert::Infallible;

    #[tokio::test]
    async fn the_service_sees_uri_host_and_body_and_answers() {
        let echo = service_fn(|request: Request<Body>| async move {
            let (parts, body) = request.into_parts();
            let body = body.collect(100).await.unwrap();
            let text = format!("{} {:?} {}", parts.uri, parts.headers[HOST], String::from_utf8_lossy(&body));
            Ok::<_, Infallible>(
                Response::builder().status(303).body(http_body_util::Full::new(Bytes::from(text))).unwrap(),
            )
        });
        let request = Request::post("http://tc.example.com:8080/api?x=1").body(Body::from("hello")).unwrap();
        let answer = in_process(echo).send(request).await.unwrap();
        assert_eq!(answer.status(), 303);
        let body = answer.into_body().collect(1000).await.unwrap();
        assert_eq!(body, "http://tc.example.com:8080/api?x=1 \"tc.example.com:8080\" hello");
    }

    #[tokio::test]
    async fn an_error_of_the_service_is_a_broken_connection() {
        let broken = service_fn(|_: Request<Body>| async { Err::<Response<Body>, _>("gone") });
        let error = in_process(broken).send(Request::new(Body::empty())).await.unwrap_err();
        assert_eq!(
            (error.kind(), chain(&error).to_string()),
            (TransportErrorKind::Interrupted, "the connection broke: gone".to_owned())
        );
    }
}
