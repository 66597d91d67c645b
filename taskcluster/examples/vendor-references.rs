//! Copies a deployment's references into a folder, for a typed client made of them in your own build script.
//!
//! ```sh
//! cargo run -p taskcluster --example vendor-references -- https://tc.example.com references
//! cargo run -p taskcluster-codegen -- check references
//! ```
//!
//! The second prints the fingerprint to pin in `build.rs`: see `examples/own-deployment`.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use taskcluster::{Body, Report, RootUrl, Taskcluster};

#[tokio::main]
async fn main() -> Result<(), Report> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [root_url, folder] = arguments.as_slice() else {
        eprintln!("usage: vendor-references ROOT_URL FOLDER");
        std::process::exit(2);
    };
    let tc = Taskcluster::builder(root_url.parse::<RootUrl>()?).build()?;
    let count = vendor(&tc, Path::new(folder)).await?;
    eprintln!("{count} documents");
    Ok(())
}

/// Everything that the deployment's manifest names, and the schemas that these need.
pub(crate) async fn vendor(tc: &Taskcluster, folder: &Path) -> Result<usize, Report> {
    let root = tc.root_url().as_str();
    let manifest = fetch(tc, "/references/manifest.json").await?;
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    for url in manifest["references"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        wanted.insert(url.strip_prefix(root).unwrap_or(url).to_owned());
    }
    let mut seen = BTreeSet::new();
    while let Some(path) = wanted.pop_first() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let document = fetch(tc, &path).await?;
        wanted.extend(schemas_of(&path, &document, root));
        let file = folder.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(file.parent().unwrap_or(folder))?;
        std::fs::write(file, serde_json::to_string_pretty(&document)? + "\n")?;
    }
    Ok(seen.len())
}

async fn fetch(tc: &Taskcluster, path: &str) -> Result<Value, Report> {
    let request = http::Request::get(format!("{}{path}", tc.root_url())).body(Body::empty())?;
    let answer = tc.caller().transport().send(request).await?;
    if !answer.status().is_success() {
        return Err(std::io::Error::other(format!("{path}: {}", answer.status())).into());
    }
    let body = answer.into_body().collect(16 << 20).await.map_err(std::io::Error::other)?;
    Ok(serde_json::from_slice(&body)?)
}

/// The paths of the schemas that a document refers to: `input` and `output` of methods, `schema` of messages, and `$ref`.
fn schemas_of(path: &str, document: &Value, root: &str) -> Vec<String> {
    let service = document["serviceName"].as_str();
    let mut found = Vec::new();
    let mut left = vec![document];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(object) => {
                for name in ["input", "output", "schema", "$ref"] {
                    let Some(target) = object.get(name).and_then(Value::as_str) else { continue };
                    let target = target.split('#').next().unwrap_or_default();
                    let target = target.strip_prefix(root).unwrap_or(target);
                    match (name, service) {
                        _ if target.is_empty() || !target.ends_with(".json") => {}
                        _ if target.starts_with('/') => found.push(target.to_owned()),
                        ("$ref", _) => found.push(beside(path, target)),
                        (_, Some(service)) => found.push(format!("/schemas/{service}/{target}")),
                        _ => {}
                    }
                }
                left.extend(object.values());
            }
            Value::Array(list) => left.extend(list),
            _ => {}
        }
    }
    found
}

/// A path as seen from another one.
fn beside(path: &str, target: &str) -> String {
    let mut folders: Vec<&str> = path.split('/').collect();
    folders.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(folders.pop()),
            "." => {}
            part => folders.push(part),
        }
    }
    folders.join("/")
}
