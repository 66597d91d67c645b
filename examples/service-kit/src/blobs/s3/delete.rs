//! Deleting many objects with one request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// As many as one request may name.
pub(super) const BATCH: usize = 1000;

/// The body of a request that deletes these keys of a bucket, answered with the failures only.
pub(super) fn body<'a>(keys: impl IntoIterator<Item = &'a str>) -> String {
    let objects: String = keys.into_iter().map(|key| format!("<Object><Key>{}</Key></Object>", escape(key))).collect();
    format!("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>{objects}</Delete>")
}

/// S3 wants to see that the list arrived whole.
pub(super) fn checksum(body: &str) -> String {
    STANDARD.encode(Sha256::digest(body))
}

/// The keys that an answer says are still there, each with the reason.
pub(super) fn failures(answer: &str) -> Vec<(String, String)> {
    elements(answer, "Error")
        .map(|error| {
            let part = |name| elements(error, name).next().map(unescape).unwrap_or_default();
            (part("Key"), format!("{}: {}", part("Code"), part("Message")))
        })
        .collect()
}

fn elements<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&start)?;
        let (content, behind) = after.split_once(&end)?;
        rest = behind;
        Some(content)
    })
}

/// Characters that XML cannot hold are written as numbers, which S3 reads.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, char| {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            control if control.is_control() => out.push_str(&format!("&#{};", u32::from(control))),
            other => out.push(other),
        }
        out
    })
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_delete_and_reads_what_failed() {
        assert!(body(["a&b", "<c>"]).contains("<Key>a&amp;b</Key></Object><Object><Key>&lt;c&gt;</Key>"));
        let answer = "<DeleteResult><Error><Key>a&amp;b</Key><Code>AccessDenied</Code><Message>no</Message></Error>\
                      <Error><Key>c</Key><Code>InternalError</Code></Error></DeleteResult>";
        let wanted = [("a&b", "AccessDenied: no"), ("c", "InternalError: ")];
        assert_eq!(failures(answer), wanted.map(|(key, why)| (key.to_owned(), why.to_owned())));
        assert_eq!(failures("<DeleteResult/>"), []);
    }
}
