//! TLS by rustls without a process-wide default.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls_platform_verifier::BuilderVerifierExt;

use super::super::{TransportError, TransportErrorKind};

/// The configuration, and why `https` cannot work with it, if it cannot.
pub(super) fn config() -> Result<(ClientConfig, Option<&'static str>), TransportError> {
    let provider =
        CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let refuse = |error: rustls::Error| TransportError::new(TransportErrorKind::Request, error);
    let builder = || ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    if let Ok(platform) = builder().map_err(refuse)?.with_platform_verifier() {
        return Ok((platform.with_no_client_auth(), None));
    }
    // A small container often has no certificates at all, and its services often speak plain HTTP.
    let empty = builder().map_err(refuse)?.with_root_certificates(rustls::RootCertStore::empty());
    Ok((
        empty.with_no_client_auth(),
        Some("this machine has no root certificates; install ca-certificates or set SSL_CERT_FILE"),
    ))
}
