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
    /// Any number of segments, none included.
    Wildcard,
}

impl PathTemplate {
    pub(crate) fn of(operation: &Operation) -> Self {
        let route: &'static str = operation.route;
        let segments = route.split('/').filter(|segment| !segment.is_empty()).map(|segment| {
            match segment.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
                Some(argument) if arguments::is_wildcard(operation.name, argument) => Segment::Wildcard,
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
        Segment::Argument => {
            if head.is_empty() {
                return false;
            }
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
