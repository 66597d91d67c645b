use std::fmt;
use std::fmt::{Display, Write as _};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::Error;
use crate::operation::Operation;

/// All but the unreserved characters of RFC 3986 §2.3. Whatever parses the URL later has nothing left to normalise, so
/// that the signature stays true.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes what is written through it.
pub(super) struct Encoded<'a>(pub(super) &'a mut String);

impl fmt::Write for Encoded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend(utf8_percent_encode(text, RESERVED));
        Ok(())
    }
}

/// The route of an operation with its arguments put in.
pub(super) fn path(operation: &Operation, args: &[&dyn Display]) -> Result<String, Error> {
    let mut path = String::with_capacity(operation.route.len() + 32 * args.len());
    let mut args = args.iter();
    let mut rest = operation.route;
    while let Some((before, after)) = rest.split_once('<') {
        let (name, after) = after.split_once('>').unwrap_or((after, ""));
        path.push_str(before);
        let arg = args.next().ok_or_else(|| wrong_number(operation))?;
        let start = path.len();
        let _ = write!(Encoded(&mut path), "{arg}");
        if matches!(&path[start..], "." | "..") {
            let arg = &path[start..];
            return Err(Error::config(format!("{operation}: {name} cannot be '{arg}', which no URL can hold")));
        }
        rest = after;
    }
    path.push_str(rest);
    if args.next().is_some() { Err(wrong_number(operation)) } else { Ok(path) }
}

fn wrong_number(operation: &Operation) -> Error {
    Error::config(format!("{operation}: the path {} takes {} arguments", operation.route, operation.args.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Method, Stability};

    static ARTIFACT: Operation = Operation {
        service: "queue",
        version: "v1",
        name: "getArtifact",
        method: Method::Get,
        route: "/task/<taskId>/runs/<runId>/artifacts/<name>",
        args: &["taskId", "runId", "name"],
        query: &[],
        input: None,
        output: None,
        scopes: None,
        idempotent: true,
        stability: Stability::Stable,
    };

    #[test]
    fn arguments_are_encoded_into_one_segment_each() {
        let path = path(&ARTIFACT, &[&"a-b_c~d.e", &0, &"public/é ?#%+&'()*"]).unwrap();
        assert_eq!(path, "/task/a-b_c~d.e/runs/0/artifacts/public%2F%C3%A9%20%3F%23%25%2B%26%27%28%29%2A");
    }

    /// Where a service takes nothing for an argument, as the index does for its topmost namespaces, the slash before it stays.
    #[test]
    fn an_empty_argument_leaves_its_slash() {
        let list = Operation { route: "/namespaces/<namespace>", args: &["namespace"], ..ARTIFACT };
        assert_eq!(path(&list, &[&""]).unwrap(), "/namespaces/");
    }

    #[test]
    fn what_no_path_can_hold_is_refused() {
        for (args, message) in [
            (&[&"a" as &dyn Display, &0, &".."][..], "queue.getArtifact: name cannot be '..', which no URL can hold"),
            (&[&".", &0, &"x"], "queue.getArtifact: taskId cannot be '.', which no URL can hold"),
            (&[&"a", &0], "queue.getArtifact: the path /task/<taskId>/runs/<runId>/artifacts/<name> takes 3 arguments"),
            (
                &[&"a", &0, &"x", &"y"],
                "queue.getArtifact: the path /task/<taskId>/runs/<runId>/artifacts/<name> takes 3 arguments",
            ),
        ] {
            assert_eq!(path(&ARTIFACT, args).unwrap_err().to_string(), message);
        }
    }
}
