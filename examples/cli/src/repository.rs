//! What the program asks of `git`: which commit is meant, what it changed, and a file of it.
//!
//! Everything is read from the commit, never from the working tree, so that a run says something about what can be
//! pushed. The commands are short and run before anything else begins, so they are ordinary blocking processes.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Error, Result, anyhow, bail};

/// What stands for "no commit" in a push event.
pub(crate) const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// How many commits a push event lists at most.
const LISTED_COMMITS: &str = "20";

/// What a commit is pushed to that is on no branch.
const DETACHED: &str = "refs/heads/detached";

/// A git repository on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    /// The working tree, or the git directory of a bare repository.
    root: PathBuf,
    bare: bool,
}

/// One commit with what it changed against its first parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) sha: String,
    pub(crate) author: Person,
    pub(crate) committer: Person,
    /// The author's time with its offset (RFC 3339).
    pub(crate) timestamp: String,
    pub(crate) message: String,
    pub(crate) added: Vec<String>,
    pub(crate) modified: Vec<String>,
    pub(crate) removed: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) email: String,
}

/// Where the repository lives for the rest of the world, as far as its remote `origin` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) host: String,
    pub(crate) owner: String,
    pub(crate) name: String,
}

impl Repository {
    /// The repository that `path` is in.
    pub(crate) fn discover(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            bail!("{} is not a folder", path.display());
        }
        let here = Self { root: path.to_owned(), bare: false };
        let question = ["rev-parse", "--is-bare-repository"];
        // A git that does not start says nothing about the folder.
        let output = here.output(&question)?;
        let bare = answer(&question, &output).map_err(|error| not_usable(path, error))?;
        let bare = bare.trim() == "true";
        let root = here.git(["rev-parse", if bare { "--absolute-git-dir" } else { "--show-toplevel" }])?;
        let root = PathBuf::from(root.trim_end_matches('\n'));
        Ok(Self { root: root.canonicalize().context("cannot find the repository's folder")?, bare })
    }

    /// The folder that stands for the repository: its working tree, or the git directory where it is bare.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The full hash of the commit that `revision` names.
    pub(crate) fn commit_hash(&self, revision: &str) -> Result<String> {
        let spec = format!("{revision}^{{commit}}");
        if let Some(hash) = self.try_git(["rev-parse", "--verify", "--quiet", "--end-of-options", &spec])? {
            // `--end-of-options` is echoed by some versions of git.
            return Ok(hash.lines().last().unwrap_or_default().to_owned());
        }
        if revision == "HEAD" {
            bail!("the repository has no commit yet")
        } else {
            bail!("there is no commit `{revision}`")
        }
    }

    /// The first parent, where the commit has one that is present (a shallow clone may lack it).
    pub(crate) fn first_parent(&self, hash: &str) -> Result<Option<String>> {
        Ok(self
            .try_git(["rev-parse", "--verify", "--quiet", &format!("{hash}^1^{{commit}}")])?
            .map(|out| out.trim().to_owned()))
    }

    /// The full name of the branch or tag that `revision` names, or else of a branch that has the commit, rather the
    /// default branch than another. A commit that no branch has is on none that a template could mean by its name.
    pub(crate) fn ref_of(&self, revision: &str, hash: &str) -> Result<String> {
        let named = match revision {
            "HEAD" => self.try_git(["symbolic-ref", "--quiet", "HEAD"])?,
            other => self.try_git(["rev-parse", "--verify", "--quiet", "--symbolic-full-name", other])?,
        };
        let named = named.map(|name| name.trim().to_owned());
        if let Some(name) = named.filter(|name| name.starts_with("refs/heads/") || name.starts_with("refs/tags/")) {
            return Ok(name);
        }
        let containing = self.git(["for-each-ref", "--contains", hash, "--format=%(refname)", "refs/heads"])?;
        let default = format!("refs/heads/{}", self.default_branch()?);
        Ok(match containing.lines().next() {
            None => DETACHED.to_owned(),
            Some(_) if containing.lines().any(|name| name == default) => default,
            Some(first) => first.to_owned(),
        })
    }

    /// The branch that a clone of `origin` begins with. Where that is not known, the one that new repositories begin with here, or
    /// by custom, if there is such a branch; else the one that is checked out, which may well be another each time.
    pub(crate) fn default_branch(&self) -> Result<String> {
        if let Some(branch) = self.branch_of("refs/remotes/origin/HEAD", "refs/remotes/origin/")? {
            return Ok(branch);
        }
        let begun_with = self.try_git(["config", "--get", "init.defaultBranch"])?;
        let usual = begun_with.as_deref().map(str::trim).into_iter().chain(["main", "master"]);
        for branch in usual {
            if self.try_git(["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")])?.is_some() {
                return Ok(branch.to_owned());
            }
        }
        Ok(self.branch_of("HEAD", "refs/heads/")?.unwrap_or_else(|| "main".to_owned()))
    }

    /// The branch that a symbolic name stands for at present.
    fn branch_of(&self, name: &str, prefix: &str) -> Result<Option<String>> {
        let target = self.try_git(["symbolic-ref", "--quiet", name])?;
        Ok(target.map(|target| target.trim().strip_prefix(prefix).unwrap_or(target.trim()).to_owned()))
    }

    /// Where `origin` lives; a repository without one is `localhost/local/<folder>`.
    pub(crate) fn home(&self) -> Result<Home> {
        let remote = self.try_git(["config", "--get", "remote.origin.url"])?;
        Ok(remote.and_then(|url| Home::of_remote(url.trim())).unwrap_or_else(|| Home::of_folder(&self.root)))
    }

    /// Whether tracked files differ from the checked-out commit.
    pub(crate) fn has_uncommitted_changes(&self) -> Result<bool> {
        Ok(!self.bare && !self.git(["status", "--porcelain", "--untracked-files=no"])?.is_empty())
    }

    /// A file as it is in a commit, or `None` where the commit lacks it.
    pub(crate) fn file(&self, hash: &str, path: &str) -> Result<Option<String>> {
        let entry = self.git(["ls-tree", "--full-tree", hash, "--", path])?;
        match entry.split(' ').next().unwrap_or_default() {
            "" => return Ok(None),
            "100644" | "100755" => {}
            _ => bail!("{path} is a folder or a link in commit {}, and no file", &hash[..12.min(hash.len())]),
        }
        self.git(["cat-file", "blob", &format!("{hash}:{path}")]).map(Some)
    }

    /// The commits after `base` up to `hash`, oldest first, at most twenty; only `hash` itself without a base.
    pub(crate) fn commits(&self, base: Option<&str>, hash: &str) -> Result<Vec<Commit>> {
        let range = base.map_or_else(|| hash.to_owned(), |base| format!("{base}..{hash}"));
        let count = if base.is_some() { LISTED_COMMITS } else { "1" };
        let format = format!("--format={RECORD}%H{FIELD}%an{FIELD}%ae{FIELD}%cn{FIELD}%ce{FIELD}%aI{FIELD}%B{FIELD}");
        let log = self.git([
            "-c",
            "core.quotePath=false",
            "log",
            "--reverse",
            "-n",
            count,
            "--name-status",
            "--no-renames",
            "-m",
            "--first-parent",
            // Whatever the user likes to see otherwise.
            "--encoding=UTF-8",
            "--no-color",
            "--no-show-signature",
            "--no-ext-diff",
            &format,
            &range,
            "--",
        ])?;
        let mut commits = log.split(RECORD).skip(1).map(Commit::parse).collect::<Option<Vec<_>>>();
        if let Some([]) = commits.as_deref() {
            // Nothing lies between: the base is the commit itself, or comes after it.
            commits = Some(self.commits(None, hash)?);
        }
        commits.context("cannot read the answer of git log")
    }

    fn git<const N: usize>(&self, args: [&str; N]) -> Result<String> {
        answer(&args, &self.output(&args)?)
    }

    /// As `git`, where "no" is an answer.
    fn try_git<const N: usize>(&self, args: [&str; N]) -> Result<Option<String>> {
        let output = self.output(&args)?;
        Ok(output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
            .filter(|out| !out.is_empty()))
    }

    fn output(&self, args: &[&str]) -> Result<Output> {
        match command(&self.root).args(args).stdin(Stdio::null()).output() {
            Ok(output) => Ok(output),
            Err(error) if error.kind() == ErrorKind::NotFound => bail!("git is not installed, or not in the PATH"),
            Err(error) => Err(error).context("cannot start git"),
        }
    }
}

/// What git printed, or its complaint.
fn answer(args: &[&str], output: &Output) -> Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let complaint = complaint.lines().next().unwrap_or("it failed").trim_start_matches("fatal: ");
    bail!("git {}: {complaint}", args.iter().find(|arg| !arg.starts_with('-') && !arg.contains('=')).unwrap_or(&""))
}

/// Why git does not speak of the repository at `path`.
fn not_usable(path: &Path, error: Error) -> Error {
    let complaint = error.to_string();
    match complaint.split_once("dubious ownership in repository at ") {
        Some((_, root)) => anyhow!(
            "{} belongs to another user; if you trust that one: git config --global --add safe.directory {root}",
            path.display()
        ),
        None => error.context(format!("{} is not in a git repository", path.display())),
    }
}

const RECORD: char = '\u{1e}';
const FIELD: char = '\u{1f}';

impl Commit {
    fn parse(record: &str) -> Option<Self> {
        let mut fields = record.splitn(8, FIELD).map(str::to_owned);
        let mut next = || fields.next();
        let mut commit = Self {
            sha: next()?,
            author: Person { name: next()?, email: next()? },
            committer: Person { name: next()?, email: next()? },
            timestamp: next()?,
            message: next()?.trim_end().to_owned(),
            added: Vec::new(),
            modified: Vec::new(),
            removed: Vec::new(),
        };
        for line in next()?.lines() {
            match line.split_once('\t') {
                Some(("A", path)) => commit.added.push(path.to_owned()),
                Some(("D", path)) => commit.removed.push(path.to_owned()),
                Some((_, path)) => commit.modified.push(path.to_owned()),
                None => {}
            }
        }
        Some(commit)
    }
}

impl Home {
    /// Reads `https://host/owner/name.git`, `ssh://git@host/owner/name` and `git@host:owner/name`.
    fn of_remote(url: &str) -> Option<Self> {
        let (host, path) = match url.split_once("://") {
            Some(("file", _)) => return None,
            Some((_, rest)) => rest.split_once('/')?,
            None => url.split_once(':')?,
        };
        let host = host.rsplit('@').next()?;
        let path = path.trim_matches('/');
        let (owner, name) = path.strip_suffix(".git").unwrap_or(path).rsplit_once('/')?;
        let owner = owner.rsplit('/').next()?;
        [host, owner, name].iter().all(|part| !part.is_empty()).then(|| Self {
            host: plain(host.split(':').next().unwrap_or(host)),
            owner: plain(owner),
            name: plain(name),
        })
    }

    fn of_folder(root: &Path) -> Self {
        let folder = root.file_name().and_then(OsStr::to_str).unwrap_or("repository");
        let folder = folder.strip_suffix(".git").unwrap_or(folder);
        let name = plain(folder);
        let name = if name.trim_matches('.').is_empty() { "repository".to_owned() } else { name };
        Self { host: "localhost".to_owned(), owner: "local".to_owned(), name }
    }
}

/// A name as part of URLs and of scopes.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
}

/// A `git` that works in `root` and listens to nothing that a hook or a calling git left in the environment.
pub(crate) fn command(root: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(root);
    for name in
        ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE"]
    {
        command.env_remove(name);
    }
    command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0");
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn a_remote_tells_host_owner_and_name() {
        let home = |url| Home::of_remote(url).map(|home| format!("{}/{}/{}", home.host, home.owner, home.name));
        for url in [
            "https://example.com/team/thing.git",
            "git@example.com:team/thing.git",
            "ssh://git@example.com:22/team/thing/",
        ] {
            assert_eq!(home(url).as_deref(), Some("example.com/team/thing"), "{url}");
        }
        for url in ["/srv/git/thing.git", "file:///srv/git/thing.git", "../thing", "https://example.com/"] {
            assert_eq!(home(url), None, "{url}");
        }
        assert_eq!(home("git@example.com:our team/thing*.git").as_deref(), Some("example.com/our-team/thing-"));
        assert_eq!(Home::of_folder(Path::new("/x/my thing.git")).name, "my-thing");
    }

    #[test]
    fn a_commit_tells_what_it_changed() {
        let fixture = Fixture::new();
        for (key, value) in
            [("color.ui", "always"), ("i18n.logOutputEncoding", "ISO-8859-1"), ("log.showSignature", "true")]
        {
            fixture.git(&["config", key, value]);
        }
        fixture.commit("first", &[("keep", "1"), ("gone", "1"), ("naïve file", "1")]);
        fixture.remove("gone");
        fixture.commit("second, naïve\n\nwith a body", &[("keep", "2"), ("new", "1")]);
        let repository = Repository::discover(fixture.path()).unwrap();
        let head = repository.commit_hash("HEAD").unwrap();
        let base = repository.first_parent(&head).unwrap().unwrap();

        let commits = repository.commits(Some(&base), &head).unwrap();
        assert_eq!(commits.len(), 1);
        let commit = &commits[0];
        assert_eq!(commit.message, "second, naïve\n\nwith a body");
        assert_eq!(commit.author, Person { name: "Ada".into(), email: "ada@example.com".into() });
        assert_eq!(
            (&commit.added, &commit.modified, &commit.removed),
            (&vec!["new".into()], &vec!["keep".into()], &vec!["gone".into()])
        );

        assert_eq!(repository.first_parent(&base).unwrap(), None);
        let root = repository.commits(None, &base).unwrap();
        assert_eq!(root[0].added, ["gone", "keep", "naïve file"]);
        assert_eq!(repository.file(&head, "keep").unwrap().as_deref(), Some("2"));
        assert_eq!(repository.file(&head, "gone").unwrap(), None);

        fixture.commit("third", &[("folder/file", "1")]);
        let head = repository.commit_hash("HEAD").unwrap();
        assert!(repository.file(&head, "folder").unwrap_err().to_string().starts_with("folder is a folder or a link"));
    }

    #[test]
    fn the_ref_is_the_branch_or_tag_that_was_named() {
        let fixture = Fixture::new();
        fixture.commit("first", &[("a", "1")]);
        fixture.git(&["tag", "v1"]);
        fixture.commit("second", &[("a", "2")]);
        let repository = Repository::discover(fixture.path()).unwrap();
        let name = |revision: &str| repository.ref_of(revision, &repository.commit_hash(revision).unwrap()).unwrap();
        assert_eq!(name("HEAD"), "refs/heads/main");
        assert_eq!(name("main"), "refs/heads/main");
        assert_eq!(name("v1"), "refs/tags/v1");
        assert_eq!(name("HEAD~1"), "refs/heads/main");
        fixture.git(&["branch", "a-branch-before"]);
        fixture.git(&["checkout", "-q", "--detach"]);
        assert_eq!(name("HEAD"), "refs/heads/main");
        assert_eq!(name("a-branch-before"), "refs/heads/a-branch-before");
        fixture.commit("of nobody", &[("a", "3")]);
        assert_eq!(name("HEAD"), DETACHED);
        assert!(repository.commit_hash("nowhere").unwrap_err().to_string().contains("`nowhere`"));
    }

    #[test]
    fn the_default_branch_stays_the_same_whatever_is_checked_out() {
        let fixture = Fixture::new();
        fixture.commit("first", &[("a", "1")]);
        fixture.git(&["checkout", "-q", "-b", "a-feature"]);
        let repository = Repository::discover(fixture.path()).unwrap();
        assert_eq!(repository.default_branch().unwrap(), "main");
        fixture.git(&["config", "init.defaultBranch", "trunk"]);
        assert_eq!(repository.default_branch().unwrap(), "main", "there is no such branch");
        fixture.git(&["branch", "trunk"]);
        assert_eq!(repository.default_branch().unwrap(), "trunk");
        fixture.git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/stable"]);
        assert_eq!(repository.default_branch().unwrap(), "stable");
    }

    #[test]
    fn a_folder_below_finds_the_repository_and_a_bare_one_serves_too() {
        let fixture = Fixture::new();
        fixture.commit("first", &[("below/a", "1")]);
        let repository = Repository::discover(&fixture.path().join("below")).unwrap();
        assert_eq!(repository.root(), fixture.path().canonicalize().unwrap());

        let bare = fixture.path().join("bare.git");
        fixture.git(&["clone", "-q", "--bare", ".", "bare.git"]);
        let repository = Repository::discover(&bare).unwrap();
        assert_eq!(repository.root(), bare.canonicalize().unwrap());
        assert!(!repository.has_uncommitted_changes().unwrap());
    }
}
