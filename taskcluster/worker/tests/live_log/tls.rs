//! Live logs by HTTPS.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use taskcluster_worker::plugins::{BackingLog, Entrance, LiveLog};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::stage::{Reader, Stage};

/// Puts a file in the place of another, as those who renew certificates do.
fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// Makes a certificate of its own and its key.
fn issue(dir: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["worker.example".to_owned()]).unwrap();
    put(&dir.join("certificate.pem"), &cert.pem());
    put(&dir.join("key.pem"), &signing_key.serialize_pem());
    cert.der().clone()
}

async fn bind(dir: &Path) -> std::io::Result<LiveLog> {
    let (certificate, key) = (dir.join("certificate.pem"), dir.join("key.pem"));
    LiveLog::at(Entrance::at("127.0.0.1:0".parse().unwrap()).with_certificate(certificate, key)).await
}

/// Connects as somebody who trusts nothing but this certificate.
async fn connect(stage: &Stage, trusted: &CertificateDer<'static>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address = (stage.url.host_str().unwrap(), stage.url.port().unwrap());
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect("worker.example".try_into().unwrap(), stream).await
}

async fn read(stage: &Stage, trusted: &CertificateDer<'static>) -> Reader<TlsStream<TcpStream>> {
    let stream = connect(stage, trusted).await.unwrap();
    let mut reader = Reader::ask(stream, "GET", stage.url.path(), "").await;
    assert!(reader.head().await.starts_with("http/1.0 200"));
    reader
}

#[tokio::test]
async fn a_renewed_certificate_counts_from_the_next_reader_on() {
    let dir = tempfile::tempdir().unwrap();
    let first = issue(dir.path());
    let mut stage = Stage::with(bind(dir.path()).await.unwrap(), BackingLog::default()).await;
    assert_eq!(stage.url.scheme(), "https");
    let mut reader = read(&stage, &first).await;

    let second = issue(dir.path());
    let mut renewed = read(&stage, &second).await;
    assert!(connect(&stage, &first).await.is_err());

    // Half of a renewal is none.
    put(&dir.path().join("key.pem"), "soon to be a key");
    read(&stage, &second).await;
    let third = issue(dir.path());
    read(&stage, &third).await;

    // Whoever was there stays.
    stage.log.write(b"to all\n");
    reader.through(b"to all\n").await;
    renewed.through(b"to all\n").await;
    stage.end().await;
    assert!(String::from_utf8(reader.rest().await).unwrap().contains("Task Ends"));
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let error = bind(dir.path()).await.unwrap_err().to_string();
    assert!(error.contains("certificate.pem"), "{error}");
    issue(dir.path());
    let other = std::fs::read_to_string(dir.path().join("certificate.pem")).unwrap();
    issue(dir.path());
    put(&dir.path().join("certificate.pem"), &other);
    let error = bind(dir.path()).await.unwrap_err().to_string();
    assert!(error.contains("certificate.pem"), "{error}");
}
