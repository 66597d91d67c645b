//! What a task says: the payload of TaskCluster's first Buildbot bridge.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

/// A build.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct BuildPayload {
    /// The builder, by name.
    #[schemars(length(min = 1))]
    pub(crate) buildername: String,
    /// Properties of the build.
    pub(crate) properties: Map<String, Value>,
    /// What is built.
    pub(crate) sourcestamp: Option<Sourcestamp>,
}

/// A state of a repository.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Sourcestamp {
    /// The branch. Of a URL, the path counts.
    #[schemars(length(min = 3))]
    branch: String,
    /// The revision. Default: the newest.
    revision: Option<String>,
    /// The repository.
    repository: Option<String>,
    /// The project.
    project: Option<String>,
}

impl Sourcestamp {
    /// As the parameters of an order.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Value)> + use<> {
        let branch = match Url::parse(&self.branch) {
            Ok(url) if url.has_host() => url.path().trim_matches('/').to_owned(),
            Ok(_) | Err(_) => self.branch.clone(),
        };
        let given = [
            ("branch", Some(branch)),
            ("revision", self.revision.clone()),
            ("repository", self.repository.clone()),
            ("project", self.project.clone()),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn of_a_branch_that_is_a_url_the_path_counts() {
        for (given, branch) in [
            ("https://hg.example.org/projects/larch/", "projects/larch"),
            ("projects/larch", "projects/larch"),
            ("release:1.0", "release:1.0"),
        ] {
            let stamp: Sourcestamp = serde_json::from_value(json!({"branch": given, "revision": "abc"})).unwrap();
            let parameters: Vec<_> = stamp.parameters().collect();
            assert_eq!(parameters, [("branch".into(), json!(branch)), ("revision".into(), json!("abc"))]);
        }
    }
}
