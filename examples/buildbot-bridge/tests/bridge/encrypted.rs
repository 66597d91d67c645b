//! A master behind HTTPS, as most are: its REST interface and its events.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use crate::bench::Bench;

/// What stands before a master and speaks TLS for it.
struct Front {
    url: String,
    certificate: PathBuf,
    /// The first line of what each connection asks for.
    asked: Arc<Mutex<Vec<String>>>,
    _open: AbortOnDropHandle<()>,
}

impl Front {
    async fn before(master: &str, dir: &Path) -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = dir.join("certificate.pem");
        std::fs::write(&certificate, cert.pem()).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        let (acceptor, asked) = (TlsAcceptor::from(Arc::new(config)), Arc::new(Mutex::new(Vec::new())));
        let master = master.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let heard = asked.clone();
        let open = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let visit = visit(acceptor.clone(), stream, master.clone(), heard.clone());
                tokio::spawn(async move { drop(visit.await) });
            }
        });
        Self { url, certificate, asked, _open: AbortOnDropHandle::new(open) }
    }

    fn asked_for(&self, start: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|line| line.starts_with(start))
    }
}

async fn visit(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    master: String,
    asked: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut first = vec![0; 4096];
    let length = stream.read(&mut first).await?;
    let line = String::from_utf8_lossy(&first[..length]).lines().next().unwrap_or_default().to_owned();
    asked.lock().unwrap().push(line);
    let mut behind = TcpStream::connect(master).await?;
    behind.write_all(&first[..length]).await?;
    copy_bidirectional(&mut stream, &mut behind).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_are_ordered_and_heard_by_tls() {
    let Some(bench) = Bench::new().await else { return };
    let front = Front::before(&bench.master.url(), bench.dir.path()).await;
    let _bridge = bench.bridge_by(&front.url, &front.certificate);
    let task_id = bench.script(&bench.waiting()).await;
    bench.printed(&task_id, 0, "\nREADY\n").await;
    bench.until(|| async { front.asked_for("GET /ws ").then_some(()) }).await;
    bench.let_go();
    assert_eq!(bench.resolved(&task_id).await, ["completed"]);
    assert!(front.asked_for("GET /api/v2/") || front.asked_for("GET /auth/login"), "{:?}", front.asked);
    assert!(!bench.said("cannot hear Buildbot") && !bench.said("Buildbot is no longer heard"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_whose_certificate_is_not_trusted_is_told_nothing() {
    let Some(bench) = Bench::new().await else { return };
    let front = Front::before(&bench.master.url(), bench.dir.path()).await;
    // Another certificate of the same name is all that is trusted.
    let other = bench.dir.path().join("other.pem");
    std::fs::write(&other, generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem()).unwrap();
    let _bridge = bench.bridge_by(&front.url, &other);
    let task_id = bench.script("true").await;
    let given_back = || async {
        let run = bench.tc.queue().status(&task_id).await.unwrap().status.runs.swap_remove(0);
        run.reason_resolved.map(|reason| reason.as_str().to_owned())
    };
    assert_eq!(bench.until(given_back).await, "worker-shutdown");
    assert!(front.asked.lock().unwrap().is_empty(), "{:?}", front.asked);
}
