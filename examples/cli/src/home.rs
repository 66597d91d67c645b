//! `/`: a page for whoever opens the root URL to see what is there.

use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse as _};
use axum::routing::get;

use crate::payload_schemas;

/// Nothing but the page itself: no scripts, styles, frames or forms.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Serves the page of a deployment with these services.
pub(crate) fn router(root_url: &str, services: &[&str]) -> Router {
    let page = page(root_url, services);
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Router::new().route("/", get(|| async move { (headers, Html(page)).into_response() }))
}

fn page(root_url: &str, services: &[&str]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let root_url = escaped(root_url);
    let rows: String = services
        .iter()
        .map(|service| {
            let events = match *service {
                "auth" | "queue" | "scheduler" | "provisioner" => {
                    format!("<a href=\"/references/{service}/v1/exchanges.json\">events</a>, ")
                }
                // They publish nothing of their own.
                _ => String::new(),
            };
            format!(
                "<li>{service}: <a href=\"/references/{service}/v1/api.json\">API</a>, \
                 {events}\
                 <a href=\"/api/{service}/v1/ping\">ping</a></li>\n"
            )
        })
        .collect();
    let payloads: String = payload_schemas::PLACES
        .iter()
        .map(|(worker, path)| format!("<li><a href=\"{path}\">payloads of {worker}</a></li>\n"))
        .collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>TaskCluster</title>\n\
         <h1>TaskCluster {version}</h1>\n\
         <p>This is the root URL of a TaskCluster deployment: programs speak to it, there is no web interface. \
         What it can be asked stands in its <a href=\"/references/manifest.json\">references</a>.</p>\n\
         <ul>\n{rows}</ul>\n\
         <p>What its workers understand:</p>\n<ul>\n{payloads}</ul>\n\
         <p>Next, in a shell with the variables that <code>taskcluster up</code> printed, create a task on \
         <code>{root_url}</code> and read what it leaves. Where the deployment serves <code>local/native</code>, this \
         command of its repository does that:</p>\n\
         <pre>cargo run -p taskcluster --features artifacts --example hello</pre>\n\
         </html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_url_stays_text() {
        assert!(page("http://a/<script>", &["auth"]).contains("http://a/&lt;script&gt;"));
    }
}
