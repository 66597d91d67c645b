//! TLS by rustls without a process-wide default.

use std::error::Error;
use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls_platform_verifier::BuilderVerifierExt;

use super::super::{TransportError, TransportErrorKind};

/// Whether the server's certificate is not to be trusted, which another attempt does not change.
pub(super) fn refused(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        // An I/O error names the source of the error inside of it as its own, and so hides that error itself.
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = inside.map(|inside| inside as &(dyn Error + 'static)).or_else(|| error.source());
    }
    false
}

/// The configuration, and why `https` cannot work with it, if it cannot.
pub(super) fn config() -> Result<(ClientConfig, Option<&'static str>), TransportError> {
    let provider =
        CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let refuse = |error: rustls::Error| TransportError::new(TransportErrorKind::Request, error);
    let builder = || ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    if let Ok(platform) = builder().map_err(refuse)?.with_platform_verifier() {
        return Ok((offer(platform.with_no_client_auth()), None));
    }
    // A small container often has no certificates at all, and its services often speak plain HTTP.
    let empty = builder().map_err(refuse)?.with_root_certificates(rustls::RootCertStore::empty());
    Ok((
        empty.with_no_client_auth(),
        Some("this machine has no root certificates; install ca-certificates or set SSL_CERT_FILE"),
    ))
}

/// Say which versions of HTTP are spoken here; reqwest leaves that to who makes the configuration.
fn offer(mut config: ClientConfig) -> ClientConfig {
    if cfg!(feature = "http2") {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_certificate_is_found_behind_the_errors_around_it() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] io::Error);

        let bad = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        assert!(refused(&Outer(io::Error::other(io::Error::other(bad)))));
        assert!(!refused(&Outer(io::Error::other(rustls::Error::HandshakeNotComplete))));
        assert!(!refused(&Outer(io::ErrorKind::ConnectionReset.into())));
    }
}
