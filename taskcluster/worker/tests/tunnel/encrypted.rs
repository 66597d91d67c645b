//! A tunnel server that is reached by HTTPS, as all are that are reached over the world's networks.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use taskcluster_core::time::hours;
use taskcluster_worker::tunnel::{NoConnection, Tunnel};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::server::{Numbered, Raw, Server, data, soon};

/// Names the server to the test that is started by another one.
const SERVER: &str = "TEST_TUNNEL_SERVER";

/// What speaks TLS for a server, with a certificate for this name that is left in the file.
fn acceptor(name: &str, certificate: &Path) -> TlsAcceptor {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
    std::fs::write(certificate, cert.pem()).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn tunnel(server: &str) -> Tunnel {
    let (asked, _) = mpsc::unbounded_channel();
    let tokens = Numbered { asked, life: hours(1) };
    Tunnel::new(server.parse().unwrap(), "group.worker.log", tokens).unwrap()
}

/// What a client trusts is the system's matter, and the process's: so it has one of its own.
fn client(server: &str, certificate: &Path) -> tokio::process::Child {
    let mut client = tokio::process::Command::new(std::env::current_exe().unwrap());
    client.args(["--exact", "encrypted::client_in_a_process_of_its_own", "--ignored", "--nocapture"]);
    client.env(SERVER, server).env("SSL_CERT_FILE", certificate);
    client.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

#[tokio::test]
async fn streams_go_by_tls() {
    for scheme in ["https", "wss"] {
        let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
        let certificate = dir.path().join("certificate.pem");
        let acceptor = acceptor("localhost", &certificate);
        let url = format!("{scheme}://localhost:{}/at", server.address.port());
        let client = client(&url, &certificate);
        let (stream, _) = soon(server.listener.accept()).await.unwrap();
        let mut raw = Raw::accept(soon(acceptor.accept(stream)).await.unwrap(), "https://tunnel.example/x").await;
        raw.say([1, 0, 0, 0, 0]).await;
        assert_eq!(raw.hear().await[..5], [2, 0, 0, 0, 0]);
        raw.say(data(0, b"hello")).await;
        assert_eq!(raw.hear().await, data(0, b"HELLO"));
        assert_eq!(raw.hear().await, [3, 0, 0, 0, 0]);
        raw.say([3, 0, 0, 0, 0]).await;
        let done = soon(client.wait_with_output()).await.unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    }
}

#[tokio::test]
async fn nothing_is_said_to_a_server_whose_certificate_is_not_trusted_or_of_another() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let certificate = dir.path().join("certificate.pem");
    // Trusted by nobody here; trusted, but another server's.
    let url = format!("https://localhost:{}/at", server.address.port());
    let stranger = acceptor("localhost", &certificate);
    let refused = async {
        let (stream, _) = soon(server.listener.accept()).await.unwrap();
        assert!(soon(stranger.accept(stream)).await.is_err());
    };
    let (probed, ()) = tokio::join!(soon(tunnel(&url).probe()), refused);
    assert!(matches!(&probed, Err(NoConnection::Unreachable(why)) if why.contains("certificate")), "{probed:?}");

    let other = acceptor("other.example", &certificate);
    let _client = client(&url, &certificate);
    let (stream, _) = soon(server.listener.accept()).await.unwrap();
    assert!(soon(other.accept(stream)).await.is_err());
}

#[tokio::test]
#[ignore = "another test starts it, in a process of its own"]
async fn client_in_a_process_of_its_own() {
    let mut listener = tunnel(&std::env::var(SERVER).unwrap()).listen();
    let mut stream = soon(listener.accept()).await;
    let mut said = [0; 5];
    soon(stream.read_exact(&mut said)).await.unwrap();
    stream.write_all(&said.to_ascii_uppercase()).await.unwrap();
    stream.shutdown().await.unwrap();
    // The other side closes once it has heard all.
    soon(stream.read_to_end(&mut Vec::new())).await.ok();
}
