//! Shells by TLS: of all three protocols.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use taskcluster_worker::plugins::{Entrance, Interactive, SHELL, ShellPage};
use taskcluster_worker::shell::ShellRequest;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::client::{Client, dial};
use crate::own::visit;
use crate::stage::{Stage, soon};

/// Names the address to the test that is started by another one.
const ADDRESS: &str = "TEST_SHELL_ADDRESS";

async fn stage(dir: &Path) -> (Stage, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (dir.join("certificate.pem"), dir.join("key.pem"));
    std::fs::write(&certificate, cert.pem()).unwrap();
    std::fs::write(&key, signing_key.serialize_pem()).unwrap();
    let interactive =
        Interactive::at(Entrance::at("127.0.0.1:0".parse().unwrap()).with_certificate(certificate, key)).await.unwrap();
    (Stage::with(interactive).await, cert.der().clone())
}

/// Connects a page in a browser that trusts nothing but this certificate.
async fn connect(
    stage: &Stage,
    page: ShellPage,
    trusted: &CertificateDer<'static>,
) -> Client<TlsStream<tokio::net::TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let url = stage.socket_url(page);
    assert_eq!(url.scheme(), "wss");
    let stream = TlsConnector::from(Arc::new(config)).connect("127.0.0.1".try_into().unwrap(), dial(&url).await).await;
    Client::over(stream.unwrap(), &url).await.unwrap()
}

#[tokio::test]
async fn pages_come_by_tls() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stage, trusted) = stage(dir.path()).await;
    let mut client = connect(&stage, ShellPage::DockerWorker, &trusted).await;
    let mut program = stage.program().await;
    assert_eq!(client.message().await, [100]);
    program.prints(b"secret").await;
    assert_eq!(client.message().await, b"\x01secret");
    program.exits(7);
    assert_eq!(client.message().await, [200, 7]);
    assert_eq!(client.end().await.0, 1000);

    let mut client = connect(&stage, ShellPage::GenericWorker, &trusted).await;
    let mut program = stage.program().await;
    client.says(b"\x01typed").await;
    assert_eq!(program.reads(5).await, b"typed");
    let flood = program.floods();
    let neighbour = (connect(&stage, ShellPage::GenericWorker, &trusted).await, stage.program().await);
    let taken = crate::places::settled_beside(neighbour, &flood).await;
    assert!(taken < 500_000, "{taken} bytes are held for a page that does not read");
    assert_eq!(stage.end().await, "completed");
}

/// What a client trusts is the system's matter, and the process's: so it has one of its own.
#[tokio::test]
async fn our_client_comes_by_tls_if_it_trusts_the_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let (mut stage, _) = stage(dir.path()).await;
    let address = stage.leads_to(SHELL);
    assert_eq!(address.scheme(), "https");
    let error = visit(&address, ShellRequest::default()).ends().await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");

    let mut visitor = tokio::process::Command::new(std::env::current_exe().unwrap());
    visitor.args(["--exact", "tls::visitor", "--ignored", "--nocapture"]);
    visitor.env(ADDRESS, address.as_str()).env("SSL_CERT_FILE", dir.path().join("certificate.pem"));
    let visitor = visitor.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut program = stage.program().await;
    program.prints(b"by TLS").await;
    program.exits(7);
    let done = soon("the end of the visitor", visitor.wait_with_output()).await.unwrap();
    let printed = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && printed.contains("by TLS, 7"), "{printed}");
    assert_eq!(stage.end().await, "completed");
}

#[tokio::test]
#[ignore = "another test starts it, in a process of its own"]
async fn visitor() {
    let address = std::env::var(ADDRESS).unwrap().parse().unwrap();
    let (output, code) = visit(&address, ShellRequest::default()).ends().await.unwrap();
    println!("{}, {code}", String::from_utf8(output).unwrap());
}
