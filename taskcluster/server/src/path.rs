//! From the path of a request to an operation and its arguments.
//!
//! A router of our own rather than axum's, for three habits of TaskCluster's paths: a parameter may hold encoded
//! slashes, some parameters swallow several segments (also in the middle of a path), and a trailing slash means nothing.

use percent_encoding::percent_decode_str;
use taskcluster_core::operation::Operation;

use crate::arguments;

/// One route, taken apart.
#[derive(Debug)]
pub(crate) struct PathTemplate {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, Copy)]
enum Segment {
    Fixed(&'static str),
    Argument,
    /// One segment or none.
    Optional,
    /// Any number of segments, none included.
    Wildcard,
}

impl PathTemplate {
    pub(crate) fn of(operation: &Operation) -> Self {
        let route: &'static str = operation.route;
        let segments = route.split('/').filter(|segment| !segment.is_empty()).map(|segment| {
            match segment.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
                Some(argument) if arguments::is_wildcard(operation.name, argument) => Segment::Wildcard,
                Some(argument) if arguments::may_be_empty(operation.name, argument) => Segment::Optional,
                Some(_) => Segment::Argument,
                None => Segment::Fixed(segment),
            }
        });
        Self { segments: segments.collect() }
    }

    /// Routes that say more come first.
    pub(crate) fn rank(&self) -> impl Ord + use<> {
        let count = |wanted: fn(&Segment) -> bool| self.segments.iter().filter(|segment| wanted(segment)).count();
        let wildcards = count(|segment| matches!(segment, Segment::Wildcard));
        let fixed = count(|segment| matches!(segment, Segment::Fixed(_)));
        (wildcards, std::cmp::Reverse(fixed))
    }

    /// The arguments of a path in the order of the route, still encoded, or nothing if it is another route's path.
    pub(crate) fn matches<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let mut arguments = Vec::new();
        walk(&self.segments, Some(path.strip_prefix('/').unwrap_or(path)), &mut arguments).then_some(arguments)
    }
}

/// Decodes an argument; bytes that are no UTF-8 never fit.
pub(crate) fn decode(raw: &str) -> Option<String> {
    percent_decode_str(raw).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// `rest` is what follows the last slash that was consumed; nothing when the path has ended.
fn walk<'p>(segments: &[Segment], rest: Option<&'p str>, arguments: &mut Vec<&'p str>) -> bool {
    let Some((segment, following)) = segments.split_first() else {
        return rest.is_none_or(str::is_empty);
    };
    let (head, tail) = match rest {
        Some(rest) => match rest.split_once('/') {
            Some((head, tail)) => (head, Some(tail)),
            None => (rest, None),
        },
        None => ("", None),
    };
    match segment {
        Segment::Fixed(text) => rest.is_some() && head == *text && walk(following, tail, arguments),
        Segment::Argument if head.is_empty() => false,
        Segment::Argument | Segment::Optional => {
            arguments.push(head);
            walk(following, tail, arguments) || drop_last(arguments)
        }
        Segment::Wildcard => walk_wildcard(following, rest, arguments),
    }
}

fn walk_wildcard<'p>(following: &[Segment], rest: Option<&'p str>, arguments: &mut Vec<&'p str>) -> bool {
    let Some(rest) = rest else {
        arguments.push("");
        return walk(following, None, arguments) || drop_last(arguments);
    };
    if following.is_empty() {
        arguments.push(rest);
        return true;
    }
    // The longest first: what follows is found from the end.
    for (at, _) in rest.match_indices('/').collect::<Vec<_>>().into_iter().rev() {
        arguments.push(&rest[..at]);
        if walk(following, Some(&rest[at + 1..]), arguments) {
            return true;
        }
        arguments.pop();
    }
    false
}

fn drop_last(arguments: &mut Vec<&str>) -> bool {
    arguments.pop();
    false
}

#[cfg(test)]
mod tests {
    use taskcluster_core::operation::{Method, Stability};

    use super::*;

    /// What a router of these routes makes of a path: the operation and its decoded arguments.
    fn route(path: &str) -> Option<(&'static str, Vec<String>)> {
        const ROUTES: [(&str, &str); 10] = [
            ("listTaskQueues", "/task-queues"),
            ("getTaskQueue", "/task-queues/<taskQueueId>"),
            ("listPendingTasks", "/task-queues/<taskQueueId>/pending"),
            ("taskQueueCounts", "/task-queues/<taskQueueId>/counts"),
            ("claimWork", "/claim-work/<taskQueueId>"),
            ("listLatestArtifacts", "/task/<taskId>/artifacts"),
            ("getLatestArtifact", "/task/<taskId>/artifacts/<name>"),
            ("listClients", "/clients/"),
            ("client", "/clients/<clientId>"),
            ("listNamespaces", "/namespaces/<namespace>"),
        ];
        let mut templates: Vec<_> =
            ROUTES.iter().map(|(name, route)| (*name, PathTemplate::of(&operation(name, route)))).collect();
        templates.sort_by_key(|(_, template)| template.rank());
        templates.iter().find_map(|(name, template)| {
            let arguments = template.matches(path)?;
            Some((*name, arguments.into_iter().map(|argument| decode(argument).unwrap()).collect()))
        })
    }

    fn operation(name: &'static str, route: &'static str) -> Operation {
        Operation {
            service: "test",
            version: "v1",
            name,
            method: Method::Get,
            route,
            args: &[],
            query: &[],
            input: None,
            output: None,
            scopes: None,
            idempotent: true,
            stability: Stability::Stable,
        }
    }

    #[test]
    fn slashes_come_raw_or_encoded() {
        for (path, name, argument) in [
            ("/claim-work/p/w", "claimWork", "p/w"),
            ("/claim-work/p%2Fw", "claimWork", "p/w"),
            ("/claim-work/", "claimWork", ""),
            ("/claim-work", "claimWork", ""),
            ("/task-queues/p%2Fw", "getTaskQueue", "p/w"),
            ("/task-queues/p%2Fw/", "getTaskQueue", "p/w"),
            ("/task-queues/p%2Fw/pending", "listPendingTasks", "p/w"),
            ("/task-queues/p/w/pending", "listPendingTasks", "p/w"),
            ("/task-queues/p/pending/counts", "taskQueueCounts", "p/pending"),
            ("/clients/a%2Fb%7Cc", "client", "a/b|c"),
        ] {
            assert_eq!(route(path), Some((name, vec![argument.to_owned()])), "{path}");
        }
        let artifact = Some(("getLatestArtifact", vec!["x".to_owned(), "public/a b//c".to_owned()]));
        assert_eq!(route("/task/x/artifacts/public%2Fa%20b/%2Fc"), artifact);
        assert_eq!(route("/task/x/artifacts/public/a%20b//c"), artifact);
    }

    #[test]
    fn the_topmost_namespace_has_no_name() {
        for (path, namespace) in
            [("/namespaces", ""), ("/namespaces/", ""), ("/namespaces/a.b", "a.b"), ("/namespaces/a.b/", "a.b")]
        {
            assert_eq!(route(path), Some(("listNamespaces", vec![namespace.to_owned()])), "{path}");
        }
        assert_eq!(route("/namespaces/a/b"), None);
    }

    #[test]
    fn a_slash_at_the_end_means_nothing() {
        for path in ["/task-queues", "/task-queues/"] {
            assert_eq!(route(path), Some(("listTaskQueues", Vec::new())), "{path}");
        }
        for path in ["/clients", "/clients/"] {
            assert_eq!(route(path), Some(("listClients", Vec::new())), "{path}");
        }
        for path in ["/task/x/artifacts", "/task/x/artifacts/"] {
            assert_eq!(route(path), Some(("listLatestArtifacts", vec!["x".to_owned()])), "{path}");
        }
    }

    #[test]
    fn other_paths_are_nobodys() {
        for path in
            ["", "/", "/Clients", "/clients/a/b", "//clients", "/task//artifacts", "/task-queues/p/w", "/nothing"]
        {
            assert_eq!(route(path), None, "{path}");
        }
    }
}
