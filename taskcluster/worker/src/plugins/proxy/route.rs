//! What a path of the proxy means: ours, and those that tasks have been written for since there was a proxy.

use taskcluster_core::root_url::RootUrl;

/// What a task asks the proxy for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A call of the deployment: path and query below its root URL, encoded as they came.
    Call(String),
    /// A signature below the URL that is the body, for whoever has no credentials.
    Sign,
}

/// What is told to whoever asks for something else.
pub(super) const HELP: &str = "the proxy serves <TASKCLUSTER_PROXY_URL>/api/<service>/<version>/..., and /bewit";

/// Of other hosts, which the task's credentials are not for: a signed request shows who makes it and what it may.
const ELSEWHERE: &str = "the proxy signs for its own deployment only";

/// Tasks of long ago could put other credentials into the proxy here.
const CREDENTIALS: &str = "the proxy's credentials are not the task's to change";

impl Route {
    /// | path | what is asked for |
    /// |---|---|
    /// | `api/<service>/<version>/…` | a call of the deployment at `root` |
    /// | `<service>/<version>/…` | the same, as it was written before there were root URLs |
    /// | `<host>/api/<service>/<version>/…` | the same, if that is the deployment's host |
    /// | `bewit` | a signature |
    ///
    /// # Errors
    /// What to tell the task.
    pub(super) fn parse(rest: &str, root: &RootUrl) -> Result<Self, &'static str> {
        // Whoever resolves dots further on must not come out elsewhere than was signed for.
        if rest.split(['/', '?']).any(|part| part == "." || part == "..") {
            return Err(HELP);
        }
        let (first, others) = rest.split_once(['/', '?']).unwrap_or((rest, ""));
        match first {
            "bewit" => Ok(Self::Sign),
            "credentials" => Err(CREDENTIALS),
            "api" => called(rest),
            host if host.contains('.') || host.contains(':') => {
                if is_host_of(host, root) {
                    called(others)
                } else {
                    Err(ELSEWHERE)
                }
            }
            _ if has_version(others) => called(&format!("api/{rest}")),
            _ => Err(HELP),
        }
    }
}

/// `api/<service>/<version>/…`
fn called(rest: &str) -> Result<Route, &'static str> {
    let mut segments = rest.split(['/', '?']);
    let is_api = segments.next() == Some("api");
    let is_whole = segments.take(2).filter(|part| !part.is_empty()).count() == 2;
    if is_api && is_whole { Ok(Route::Call(format!("/{rest}"))) } else { Err(HELP) }
}

/// Whether it begins with a version: `v1`.
fn has_version(others: &str) -> bool {
    let version = others.split(['/', '?']).next().and_then(|part| part.strip_prefix('v'));
    version.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_host_of(host: &str, root: &RootUrl) -> bool {
    let with_port = format!("{}:{}", root.host(), root.port());
    host.eq_ignore_ascii_case(root.host()) || host.eq_ignore_ascii_case(&with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rest: &str) -> Result<Route, &'static str> {
        Route::parse(rest, &"https://tc.example.com".parse().unwrap())
    }

    #[test]
    fn a_call_is_the_same_however_it_is_written() {
        let call = Route::Call("/api/queue/v1/task/a%2Fb?c=d%20e".to_owned());
        for rest in [
            "api/queue/v1/task/a%2Fb?c=d%20e",
            "queue/v1/task/a%2Fb?c=d%20e",
            "tc.example.com/api/queue/v1/task/a%2Fb?c=d%20e",
            "TC.example.com:443/api/queue/v1/task/a%2Fb?c=d%20e",
        ] {
            assert_eq!(parse(rest), Ok(call.clone()), "{rest}");
        }
        assert_eq!(parse("api/queue/v1"), Ok(Route::Call("/api/queue/v1".to_owned())));
    }

    #[test]
    fn what_is_no_call_is_refused() {
        for rest in [
            "",
            "api",
            "api/",
            "api/queue",
            "api//v1/x",
            "other/path",
            "queue/vx/ping",
            "queue/v/ping",
            "api/a/../../x",
            "queue/v1/./x",
            "tc.example.com/other",
            "tc.example.com/queue/v1/ping",
            "v1",
        ] {
            assert_eq!(parse(rest), Err(HELP), "{rest}");
        }
    }

    #[test]
    fn other_hosts_get_no_signature() {
        for rest in ["evil.example/api/queue/v1/x", "tc.example.com:8080/api/queue/v1/x", "localhost:80/api/a/v1/x"] {
            assert_eq!(parse(rest), Err(ELSEWHERE), "{rest}");
        }
    }

    #[test]
    fn credentials_cannot_be_changed() {
        for rest in ["credentials", "credentials/", "credentials?x", "credentials/v1/x"] {
            assert_eq!(parse(rest), Err(CREDENTIALS), "{rest}");
        }
    }

    #[test]
    fn a_signature_is_asked_for_by_name() {
        for rest in ["bewit", "bewit/", "bewit?x"] {
            assert_eq!(parse(rest), Ok(Route::Sign), "{rest}");
        }
        assert_eq!(parse("bewits"), Err(HELP));
    }
}
