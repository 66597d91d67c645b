//! A commit of a local repository, told as the `push` event that a forge would send for it.
//!
//! Templates in `.taskcluster.yml` read these fields, so a template that works on a forge works here unchanged.
//! Web addresses name the repository's public home (its remote `origin`), while `clone_url` and its like name the
//! server that this program keeps on loopback: tasks can fetch commits that were never pushed.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::repository::{Commit, Home, NO_COMMIT, Person, Repository};

/// A commit with everything that a push event says about it.
#[derive(Debug, Clone)]
pub(crate) struct Push {
    pub(crate) home: Home,
    pub(crate) reference: String,
    pub(crate) before: Option<String>,
    pub(crate) after: String,
    pub(crate) default_branch: String,
    pub(crate) commits: Vec<Commit>,
}

impl Push {
    /// Reads the commit `revision`, compared with `base` or else with its first parent.
    pub(crate) fn of(repository: &Repository, revision: &str, base: Option<&str>) -> Result<Self> {
        let after = repository.commit_hash(revision)?;
        let before = match base {
            Some(base) => Some(repository.commit_hash(base)?),
            None => repository.first_parent(&after)?,
        };
        let reference = repository.ref_of(revision, &after)?;
        if let Some(odd) = reference.chars().find(|c| !(' '..='~').contains(c)) {
            bail!("{reference} cannot be part of a scope, because of the character `{odd}`; give it a name in ASCII");
        }
        Ok(Self {
            home: repository.home()?,
            reference,
            commits: repository.commits(before.as_deref(), &after)?,
            default_branch: repository.default_branch()?,
            before,
            after,
        })
    }

    /// Where the commit server serves the repository, below the root URL.
    pub(crate) fn clone_path(&self) -> String {
        format!("/git/{}/{}.git", self.home.owner, self.home.name)
    }

    /// The role of the push: every permission of its tasks comes from it.
    pub(crate) fn role(&self) -> String {
        let Home { host, owner, name } = &self.home;
        let kind = match self.reference.strip_prefix("refs/tags/") {
            Some(tag) => format!("tag:{tag}"),
            None => format!("branch:{}", self.reference.strip_prefix("refs/heads/").unwrap_or(&self.reference)),
        };
        format!("repo:{host}/{owner}/{name}:{kind}")
    }

    /// The role that every push to the repository has a part of, whatever it is pushed to.
    pub(crate) fn roles(&self) -> String {
        let Home { host, owner, name } = &self.home;
        format!("repo:{host}/{owner}/{name}:*")
    }

    /// The event's body.
    pub(crate) fn event(&self, clone_url: &str) -> Value {
        let Home { host, owner, name } = &self.home;
        let full_name = format!("{owner}/{name}");
        let html_url = format!("https://{host}/{full_name}");
        let head = self.commits.last();
        let pusher = head.map_or_else(
            || json!({}),
            |commit| json!({"name": commit.committer.name, "email": commit.committer.email}),
        );
        let login = head.map_or("", |commit| commit.committer.name.as_str());
        let before = self.before.as_deref().unwrap_or(NO_COMMIT);
        json!({
            "ref": self.reference,
            "before": before,
            "after": self.after,
            "base_ref": null,
            "compare": format!("{html_url}/compare/{before}...{}", self.after),
            "created": self.before.is_none(),
            "deleted": false,
            "forced": false,
            "commits": self.commits.iter().map(|commit| commit_json(commit, &html_url)).collect::<Vec<_>>(),
            "head_commit": head.map(|commit| commit_json(commit, &html_url)),
            "pusher": pusher,
            "sender": {"login": login},
            "repository": {
                "name": name,
                "full_name": full_name,
                "owner": {"login": owner, "name": owner},
                "html_url": html_url,
                "url": html_url,
                "clone_url": clone_url,
                "ssh_url": clone_url,
                "git_url": clone_url,
                "default_branch": self.default_branch,
                "private": true,
            },
        })
    }
}

fn commit_json(commit: &Commit, html_url: &str) -> Value {
    let person = |person: &Person| json!({"name": person.name, "email": person.email, "username": person.name});
    json!({
        "id": commit.sha,
        "url": format!("{html_url}/commit/{}", commit.sha),
        "message": commit.message,
        "timestamp": commit.timestamp,
        "author": person(&commit.author),
        "committer": person(&commit.committer),
        "added": commit.added,
        "modified": commit.modified,
        "removed": commit.removed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn a_root_commit_has_nothing_before_it() {
        let fixture = Fixture::new();
        let hash = fixture.commit("first", &[("a", "1")]);
        let push = Push::of(&Repository::discover(fixture.path()).unwrap(), "HEAD", None).unwrap();
        let event = push.event("http://127.0.0.1:1/git/local/x.git");
        assert_eq!(event["before"], NO_COMMIT);
        assert_eq!(event["after"], hash.as_str());
        assert_eq!(event["created"], true);
        assert_eq!(event["head_commit"]["added"], json!(["a"]));
        assert_eq!(event["repository"]["clone_url"], "http://127.0.0.1:1/git/local/x.git");
    }

    #[test]
    fn the_base_decides_which_commits_are_listed() {
        let fixture = Fixture::new();
        let first = fixture.commit("first", &[("a", "1")]);
        fixture.commit("second", &[("a", "2")]);
        fixture.commit("third", &[("a", "3")]);
        let repository = Repository::discover(fixture.path()).unwrap();
        let messages = |push: &Push| push.commits.iter().map(|commit| commit.message.clone()).collect::<Vec<_>>();

        assert_eq!(messages(&Push::of(&repository, "HEAD", None).unwrap()), ["third"]);
        let push = Push::of(&repository, "HEAD", Some("HEAD~2")).unwrap();
        assert_eq!(messages(&push), ["second", "third"]);
        assert_eq!(push.before, Some(first));
        assert_eq!(messages(&Push::of(&repository, "HEAD", Some("HEAD")).unwrap()), ["third"]);
    }

    #[test]
    fn the_role_follows_the_public_home_and_the_ref() {
        let fixture = Fixture::new();
        fixture.git(&["remote", "add", "origin", "https://example.com/team/thing.git"]);
        fixture.commit("first", &[("a", "1")]);
        fixture.git(&["tag", "v1"]);
        let repository = Repository::discover(fixture.path()).unwrap();
        let role = |revision| Push::of(&repository, revision, None).unwrap().role();
        assert_eq!(role("HEAD"), "repo:example.com/team/thing:branch:main");
        assert_eq!(role("v1"), "repo:example.com/team/thing:tag:v1");
        fixture.git(&["branch", "größe"]);
        let refused = Push::of(&repository, "größe", None).unwrap_err().to_string();
        assert!(refused.contains("refs/heads/größe") && refused.contains("`ö`"), "{refused}");
    }
}
