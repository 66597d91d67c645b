//! What a running deployment publishes is enough for a typed client, as the example copies it.

use std::collections::BTreeMap;

use harness::{Backend, Deployment, Options, soon};
use taskcluster_api_references::DIR;
use taskcluster_codegen::Generator;

#[path = "../../taskcluster/examples/vendor-references.rs"]
#[allow(dead_code)]
mod vendor_references;

/// What the deployment has.
const SERVICES: [&str; 7] = ["auth", "index", "object", "provisioner", "purge-cache", "queue", "scheduler"];

#[tokio::test]
async fn published_references_make_the_same_client() {
    let deployment = Deployment::start(Options::on(Backend::Sqlite)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let tc = deployment.anonymous().queue().caller().clone().into();
    let count = soon(vendor_references::vendor(&tc, folder.path())).await.unwrap();
    assert!(count > 80, "only {count} documents");

    let published = Generator::new().references(folder.path());
    let fingerprint = published.fingerprint().unwrap();
    let published = published.pinned(fingerprint);
    assert_eq!(published.names().unwrap(), SERVICES);
    let own = Generator::new().references(DIR).services(SERVICES).generate().unwrap();
    let code = |output: taskcluster_codegen::Output| -> BTreeMap<String, String> {
        // Published documents have whole URLs for ids.
        let here = |code: String| code.replace(deployment.root_url(), "");
        output.files.into_iter().map(|file| (file.name, here(file.code))).collect()
    };
    let (published, own) = (code(published.generate().unwrap()), code(own));
    assert_eq!(published.keys().collect::<Vec<_>>(), own.keys().collect::<Vec<_>>());
    // Texts of documentation are compared, too: names and descriptions come along.
    assert!(published == own, "the code differs");
    deployment.stop().await;
}
