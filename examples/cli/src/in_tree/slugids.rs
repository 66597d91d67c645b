//! `as_slugid(label)` for an implementation of JSON-e that takes no functions of its caller.
//!
//! Before rendering, `as_slugid(EXPR)` inside of expressions becomes `("<" + (EXPR) + ">")`, where `<` and `>` stand
//! for two private characters; after rendering, each label between the two becomes its slugid. So labels may be
//! computed, ids may be part of longer strings and of keys, and equal labels give equal ids. What a template cannot
//! do is look into an id while it renders, which is no loss for a random value.

use std::collections::HashMap;

use serde_json::{Map, Value};
use taskcluster_core::ids::TaskId;

const OPEN: char = '\u{f5a1}';
const CLOSE: char = '\u{f5a2}';
const NAME: &str = "as_slugid";

/// Operators whose value is one expression rather than a template.
const EXPRESSIONS: [&str; 2] = ["$eval", "$if"];
/// Operators whose value is an object with expressions as keys.
const KEYED: [&str; 2] = ["$switch", "$match"];

/// Rewrites every call of `as_slugid` in the template.
pub(super) fn hide(template: &Value) -> Value {
    match template {
        Value::String(text) => Value::String(in_interpolations(text)),
        Value::Array(items) => Value::Array(items.iter().map(hide).collect()),
        Value::Object(fields) => Value::Object(fields.iter().map(|(key, value)| hide_field(key, value)).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    }
}

fn hide_field(key: &str, value: &Value) -> (String, Value) {
    let hidden = match value {
        Value::String(text) if EXPRESSIONS.contains(&key) || key.starts_with("by(") => {
            Value::String(in_expression(text))
        }
        Value::Object(cases) if KEYED.contains(&key) => {
            Value::Object(cases.iter().map(|(case, value)| (in_expression(case), hide(value))).collect())
        }
        _ => hide(value),
    };
    (in_interpolations(key), hidden)
}

/// Shows an expression as its author wrote it.
pub(super) fn unhide(expression: &str) -> String {
    let (open, close) = (format!("(\"{OPEN}\" + ("), format!(") + \"{CLOSE}\")"));
    // Complaints of the parser quote it.
    let quoted = |text: &str| format!("{text:?}").trim_matches('"').to_owned();
    let call = format!("{NAME}(");
    let shown = expression.replace(&quoted(&open), &call).replace(&quoted(&close), ")");
    shown.replace(&open, &call).replace(&close, ")")
}

/// Ids by label, drawn when a label is first met.
#[derive(Debug, Default)]
pub(super) struct Slugids {
    ids: HashMap<String, TaskId>,
}

impl Slugids {
    /// Puts ids where the rendered document has labels.
    pub(super) fn fill(&mut self, rendered: Value) -> Value {
        match rendered {
            Value::String(text) => Value::String(self.fill_text(text)),
            Value::Array(items) => Value::Array(items.into_iter().map(|item| self.fill(item)).collect()),
            Value::Object(fields) => Value::Object(self.fill_fields(fields)),
            other => other,
        }
    }

    fn fill_fields(&mut self, fields: Map<String, Value>) -> Map<String, Value> {
        fields.into_iter().map(|(key, value)| (self.fill_text(key), self.fill(value))).collect()
    }

    fn fill_text(&mut self, mut text: String) -> String {
        // The first close ends the innermost label: a label may itself contain an id.
        while let Some(close) = text.find(CLOSE) {
            let Some(open) = text[..close].rfind(OPEN) else { break };
            let label = text[open + OPEN.len_utf8()..close].to_owned();
            let id = self.ids.entry(label).or_insert_with(TaskId::new).to_string();
            text.replace_range(open..close + CLOSE.len_utf8(), &id);
        }
        text
    }
}

/// Rewrites the `${…}` parts of a string; `$${` is an escape.
fn in_interpolations(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        if rest.starts_with("$${") {
            out.push_str("$${");
            rest = &rest[3..];
        } else if let Some(expression) = rest.strip_prefix("${") {
            let end = closing(expression, '{', '}').unwrap_or(expression.len());
            out.push_str("${");
            out.push_str(&in_expression(&expression[..end]));
            rest = &expression[end..];
        } else {
            out.push('$');
            rest = &rest[1..];
        }
    }
    out + rest
}

fn in_expression(expression: &str) -> String {
    let mut out = String::new();
    let mut rest = expression;
    while let Some(at) = find_call(rest) {
        let after_name = rest[at + NAME.len()..].trim_start();
        let argument = &after_name[1..];
        let Some(end) = closing(argument, '(', ')') else { break };
        out.push_str(&rest[..at]);
        out.push_str(&format!("(\"{OPEN}\" + ({}) + \"{CLOSE}\")", in_expression(&argument[..end])));
        rest = &argument[end + 1..];
    }
    out + rest
}

/// Where the next `as_slugid (` stands that is neither in a string nor the end of a longer name.
fn find_call(expression: &str) -> Option<usize> {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in expression.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None => {
                let starts = !(before.is_ascii_alphanumeric() || before == '_' || before == '.');
                let call = expression[at..].strip_prefix(NAME).is_some_and(|rest| rest.trim_start().starts_with('('));
                if starts && call {
                    return Some(at);
                }
            }
        }
        before = c;
    }
    None
}

/// Where the bracket closes that was opened just before `text`.
fn closing(text: &str, open: char, close: char) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == open => depth += 1,
            None if c == close && depth == 0 => return Some(at),
            None if c == close => depth -= 1,
            None => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        in_interpolations(text).replace(OPEN, "<").replace(CLOSE, ">")
    }

    #[test]
    fn only_calls_inside_of_expressions_are_rewritten() {
        assert_eq!(shown("x ${as_slugid('a')} y"), r#"x ${("<" + ('a') + ">")} y"#);
        assert_eq!(shown("${ as_slugid ('a)' + b(c)) + 1}"), r#"${ ("<" + ('a)' + b(c)) + ">") + 1}"#);
        for untouched in [
            "as_slugid('a')",
            "$${as_slugid('a')}",
            "${has_slugid('a')}",
            "${'as_slugid(1)'}",
            "$5 ${x.as_slugid(1)}",
            "${as_slugid('a'",
        ] {
            assert_eq!(shown(untouched), untouched);
        }
        assert_eq!(shown("${as_slugid(as_slugid('a'))}"), r#"${("<" + (("<" + ('a') + ">")) + ">")}"#);
        assert_eq!(shown("${{'a': as_slugid('}')}['a']}"), r#"${{'a': ("<" + ('}') + ">")}['a']}"#);
    }

    #[test]
    fn an_error_can_show_what_was_written() {
        let written = "as_slugid(x.y) + as_slugid('b')";
        assert_eq!(unhide(&in_expression(written)), written);
    }

    #[test]
    fn equal_labels_give_equal_ids() {
        let mut slugids = Slugids::default();
        let labelled = |label: &str| Value::String(format!("{OPEN}{label}{CLOSE}"));
        let a = slugids.fill(labelled("a"));
        assert_eq!(slugids.fill(labelled("a")), a);
        assert_ne!(slugids.fill(labelled("b")), a);
        assert!(a.as_str().unwrap().parse::<TaskId>().is_ok());
        let nested = slugids.fill(Value::String(format!("{OPEN}{OPEN}a{CLOSE}{CLOSE}")));
        assert_eq!(slugids.fill(labelled(a.as_str().unwrap())), nested);
    }
}
