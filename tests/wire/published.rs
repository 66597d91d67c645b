//! A deployment publishes the references that its clients were made of.

use std::collections::BTreeSet;

use harness::{Backend, Deployment, Options, soon};
use serde_json::Value;
use taskcluster::{Body, Caller};
use taskcluster_api_references::FILES;

/// GET, as a browser does it: without a signature.
pub(crate) async fn get(caller: &Caller, url: &str) -> http::Response<Body> {
    let request = http::Request::builder().uri(url).body(Body::empty()).unwrap();
    soon(caller.transport().send(request)).await.unwrap()
}

async fn document(caller: &Caller, url: &str) -> Value {
    let answer = get(caller, url).await;
    assert_eq!(answer.status(), 200, "{url}");
    serde_json::from_slice(&soon(answer.into_body().collect(10_000_000)).await.unwrap()).unwrap()
}

/// The same with all URLs of this deployment relative to it.
fn relative(value: Value, root_url: &str) -> Value {
    match value {
        Value::String(text) => Value::String(text.strip_prefix(root_url).map(str::to_owned).unwrap_or(text)),
        Value::Array(items) => items.into_iter().map(|item| relative(item, root_url)).collect(),
        Value::Object(properties) => {
            properties.into_iter().map(|(name, value)| (name, relative(value, root_url))).collect()
        }
        other => other,
    }
}

fn on_disk(path: &str) -> Value {
    let (_, text) = FILES.iter().find(|(file, _)| *file == path).unwrap_or_else(|| panic!("no {path}"));
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn what_is_published_is_what_clients_are_made_of() {
    let deployment = Deployment::start(Options::on(Backend::Sqlite)).await.unwrap();
    let (root_url, anonymous) = (deployment.root_url(), deployment.anonymous());
    let manifest = document(anonymous.caller(), &format!("{root_url}/references/manifest.json")).await;
    let published: BTreeSet<&str> =
        manifest["references"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let mut schemas = 0;
    for service in ["auth", "queue"] {
        for file in ["api.json", "exchanges.json"] {
            let path = format!("{service}/v1/{file}");
            let url = format!("{root_url}/references/{path}");
            let listed = published.iter().any(|listed| url.ends_with(listed));
            assert!(listed, "{url} is not among {published:?}");
            let served = relative(document(anonymous.caller(), &url).await, root_url);
            assert_eq!(served, on_disk(&path), "{url}");
        }
        for (path, _) in FILES {
            let Some(name) = path.strip_prefix(&format!("{service}/v1/schemas/")) else { continue };
            let url = format!("{root_url}/schemas/{service}/v1/{name}");
            let served = relative(document(anonymous.caller(), &url).await, root_url);
            assert_eq!(served, on_disk(path), "{url}");
            schemas += 1;
        }
    }
    assert!(schemas > 50, "only {schemas} schemas");
    deployment.stop().await;
}
