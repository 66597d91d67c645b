//! HTTPS by rustls. The files are looked at with each connection, so a renewed certificate counts from the next reader on;
//! nothing runs in between.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// For how long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// A certificate with its key, as they are in their files.
pub(in crate::plugins) struct Tls {
    files: Files,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

struct Current {
    /// What the files looked like when they were last read.
    stamp: Stamp,
    acceptor: TlsAcceptor,
}

/// Which files they are and when they were changed; `None` for one that is not there.
type Stamp = [Option<(u64, SystemTime)>; 2];

impl Tls {
    /// Read the certificate chain and the key, both PEM.
    ///
    /// # Errors
    /// One cannot be read, or they do not belong together.
    pub(super) fn open(certificate: &Path, key: &Path) -> io::Result<Self> {
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned() };
        let current = Current { stamp: files.stamp(), acceptor: files.read()? };
        Ok(Self { files, current: Mutex::new(current) })
    }

    /// The handshake with one reader; `None` if it comes to nothing.
    pub(super) async fn greet(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let handshake = self.acceptor().accept(stream);
        match tokio::time::timeout(HANDSHAKE, handshake).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a reader of a live log does not agree to TLS");
                None
            }
            Err(_) => None,
        }
    }

    /// With the certificate as it is now. One that cannot be used, such as half of a renewal, leaves the former in its place
    /// until the files change once more.
    fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().expect("nothing panics holding it");
        let stamp = self.files.stamp();
        if stamp != current.stamp {
            current.stamp = stamp;
            match self.files.read() {
                Ok(acceptor) => current.acceptor = acceptor,
                Err(error) => tracing::warn!(%error, "live logs are served with the former certificate"),
            }
        }
        current.acceptor.clone()
    }
}

impl Files {
    fn stamp(&self) -> Stamp {
        [&self.certificate, &self.key].map(|path| {
            let found = fs::metadata(path).ok()?;
            Some((found.ino(), found.modified().ok()?))
        })
    }

    fn read(&self) -> io::Result<TlsAcceptor> {
        let unusable = |path: &Path, error: &dyn std::error::Error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("cannot use {}: {error}", path.display()))
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(|error| unusable(&self.certificate, &error))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| unusable(&self.key, &error))?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| unusable(&self.certificate, &error))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}
