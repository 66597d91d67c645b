//! JSON as it came, on one line or indented: neither the order of properties nor the digits of numbers change.

use serde::de::IgnoredAny;

const INDENT: &str = "  ";

/// The document without needless spaces, or indented; what is no JSON stays as it is.
pub(crate) fn formatted(document: &[u8], pretty: bool) -> Vec<u8> {
    if serde_json::from_slice::<IgnoredAny>(document).is_err() {
        return document.to_vec();
    }
    let mut formatter = Formatter { out: Vec::with_capacity(document.len()), depth: 0, pretty };
    let mut rest = document;
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'"' => {
                let length = string(rest);
                formatter.out.push(b'"');
                formatter.out.extend_from_slice(&rest[..length]);
                rest = &rest[length..];
            }
            b' ' | b'\n' | b'\r' | b'\t' => {}
            b'{' | b'[' => formatter.open(*byte, rest),
            b'}' | b']' => formatter.close(*byte),
            b',' => {
                formatter.out.push(b',');
                formatter.line();
            }
            b':' => formatter.out.extend_from_slice(if pretty { b": " } else { b":" }),
            other => formatter.out.push(*other),
        }
    }
    formatter.out
}

/// The length of what follows the quote that begins a string, with the one that ends it.
fn string(rest: &[u8]) -> usize {
    let mut escaped = false;
    let end = rest.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(rest.len(), |end| end + 1)
}

struct Formatter {
    out: Vec<u8>,
    depth: usize,
    pretty: bool,
}

impl Formatter {
    fn open(&mut self, bracket: u8, rest: &[u8]) {
        self.out.push(bracket);
        self.depth += 1;
        let next = rest.iter().find(|byte| !byte.is_ascii_whitespace());
        // What is empty stays on its line.
        if !matches!(next, Some(b'}' | b']')) {
            self.line();
        }
    }

    fn close(&mut self, bracket: u8) {
        self.depth -= 1;
        if !matches!(self.out.last(), Some(b'{' | b'[')) {
            self.line();
        }
        self.out.push(bracket);
    }

    fn line(&mut self) {
        if self.pretty {
            self.out.push(b'\n');
            self.out.extend_from_slice(INDENT.repeat(self.depth).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(document: &str, pretty: bool) -> String {
        String::from_utf8(formatted(document.as_bytes(), pretty)).unwrap()
    }

    #[test]
    fn order_and_digits_stay() {
        let document = r#"{"z":[1.50,1e3,{"a\"}\\":"x, [y]: "}],"a":{},"b":[ ],"c":null}"#;
        let pretty = "{\n  \"z\": [\n    1.50,\n    1e3,\n    {\n      \"a\\\"}\\\\\": \"x, [y]: \"\n    }\n  ],\n  \
                      \"a\": {},\n  \"b\": [],\n  \"c\": null\n}";
        assert_eq!(text(document, true), pretty);
        assert_eq!(text(pretty, false), document.replace("[ ]", "[]"));
        assert_eq!(text(pretty, true), pretty);
        for scalar in ["7", "\"a b\"", "true"] {
            assert_eq!((text(scalar, true), text(scalar, false)), (scalar.into(), scalar.into()));
        }
    }

    #[test]
    fn what_is_no_json_stays() {
        for odd in ["", "{", "not json", "{} {}"] {
            assert_eq!((text(odd, true), text(odd, false)), (odd.into(), odd.into()));
        }
    }
}
