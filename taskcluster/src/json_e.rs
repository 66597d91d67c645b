//! JSON-e, the language of templates in `.taskcluster.yml`, in actions and in hooks: <https://json-e.js.org>.
//!
//! ```
//! use serde_json::{Map, json};
//! use taskcluster::{Timestamp, json_e};
//!
//! let template = json!({ "$if": "event.ref == 'refs/heads/main'", "then": "of ${event.ref[11:]}" });
//! let names = Map::from_iter([("event".to_owned(), json!({ "ref": "refs/heads/main" }))]);
//! assert_eq!(json_e::render(&template, names, Timestamp::now())?, json!("of main"));
//! # Ok::<(), json_e::TemplateError>(())
//! ```
//!
//! A template is often written by whoever may push, so rendering is bounded: each step and each piece of data that is made
//! counts against a budget of two million, expressions and values nest only so deep, and nothing recurses beyond that. A
//! hostile template is an error, soon. What goes wrong is told with its place.
//!
//! Besides JSON-e's own functions there is TaskCluster's `as_slugid(label)`, which gives one id per label within a rendering.
//! Functions can be called and are no values: `{$eval: min}` is an error.

mod budget;
mod builtins;
mod evaluate;
mod expression;
mod operators;
mod scope;
mod slice;
mod template;
mod values;

use serde_json::{Map, Value};
use taskcluster_core::time::Timestamp;
use thiserror::Error;

use scope::Scope;
use template::Renderer;

/// What went wrong inside; the place is added at the end.
type Result<T> = std::result::Result<T, String>;

/// Why a template cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}: {message}")]
#[non_exhaustive]
pub struct TemplateError {
    /// The way to the culprit: `tasks[0].payload.env`.
    pub path: String,
    /// What is wrong, with the expression where there is one. It may quote the template, of any length and with any characters.
    pub message: String,
}

/// Renders a template in which these names have values; `now` is the time as templates see it.
///
/// What an operator at the top leaves out becomes `null`.
///
/// # Errors
/// The template is no JSON-e, refers to what is not there, or makes too much of itself.
pub fn render(
    template: &Value,
    names: Map<String, Value>,
    now: Timestamp,
) -> std::result::Result<Value, TemplateError> {
    let mut scope = Scope::root(names);
    scope.insert("now", Value::String(now.to_string()));
    let mut renderer = Renderer::default();
    match renderer.render(template, &scope) {
        Ok(rendered) => Ok(rendered.unwrap_or_default()),
        Err(message) => Err(renderer.refused(&message)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: &str = "2026-11-28T03:45:00.000Z";

    /// What stands here cannot be asked of the other implementation: it has no `as_slugid`, its functions are values, and (other than
    /// those in JavaScript and Python) its `split` leaves out empty parts and its `fromNow` goes by the system's clock alone,
    /// and panics where the time is too long.
    const OURS: [&str; 6] = ["as_slugid", "typeof(len)", "'len'", "a::b", "fromNow('-1h')", "99999999999999"];

    fn names() -> Value {
        json!({ "a": 1, "text": "äbc", "list": [1, 2, 3], "object": { "k": "v", "n": null }, "now": NOW })
    }

    fn bounded(template: &Value) -> std::result::Result<Value, TemplateError> {
        let Value::Object(names) = names() else { unreachable!("it is one") };
        render(template, names, NOW.parse().unwrap())
    }

    /// Renders, and sees that the implementation of JSON-e's authors does the same. That has no bounds, and must not be asked for
    /// what would not end.
    fn try_rendering(template: &Value) -> std::result::Result<Value, TemplateError> {
        let ours = bounded(template);
        let text = template.to_string();
        if !OURS.iter().any(|own| text.contains(own)) {
            match (&ours, ::json_e::render(template, &names())) {
                (Ok(ours), Ok(theirs)) => assert_eq!(*ours, theirs, "{text}"),
                (Err(_), Err(_)) => {}
                (ours, theirs) => panic!("{text}: {ours:?}, and elsewhere {theirs:?}"),
            }
        }
        ours
    }

    fn rendered(template: &Value) -> Value {
        try_rendering(template).unwrap_or_else(|refused| panic!("{template}: {refused:?}"))
    }

    fn unbounded(template: &Value) -> String {
        bounded(template).unwrap_err().message
    }

    fn value(expression: &str) -> Value {
        rendered(&json!({ "$eval": expression }))
    }

    fn refusal(template: &Value) -> String {
        match try_rendering(template) {
            Ok(rendered) => panic!("{template} becomes {rendered}"),
            Err(TemplateError { path, message }) => format!("{path}: {message}"),
        }
    }

    #[test]
    fn operators_bind_as_they_do_in_json_e() {
        for (expression, expected) in [
            ("1 + 2 * 3 - 4 / 2", json!(5)),
            ("2 ** 3 ** 2", json!(512)),
            ("-2 ** 2", json!(4)),
            ("1.5 + 1.5", json!(3)),
            ("10 - 3 - 2", json!(5)),
            ("1 < 2 == true", json!(true)),
            ("false && true || true", json!(true)),
            ("!true || a == 1.0", json!(true)),
            ("'b' in text && 2 in list && 'k' in object", json!(true)),
            ("'a' + \"'\" < 'b'", json!(true)),
            ("a && unknown_to_nobody || true", json!(null)),
        ] {
            if expected.is_null() {
                assert!(refusal(&json!({ "$eval": expression })).contains("unknown_to_nobody"));
            } else {
                assert_eq!(value(expression), expected, "{expression}");
            }
        }
        // What is on the right is not looked at where the left decides.
        assert_eq!(value("a || unknown"), json!(true));
        assert_eq!(value("!a && unknown"), json!(false));
    }

    #[test]
    fn parts_of_values_are_found() {
        for (expression, expected) in [
            ("list[0] + list[-1]", json!(4)),
            ("list[1:]", json!([2, 3])),
            ("list[:-1]", json!([1, 2])),
            ("list[2:1]", json!([])),
            ("text[0] + text[1:2] + text[-1]", json!("äbc")),
            ("object.k + object['k']", json!("vv")),
            ("object['missing']", json!(null)),
            ("{a: [1, {b: 2}], 'c d': 3}.a[1]['b']", json!(2)),
            ("[1, 2,3][ 1 ]", json!(2)),
        ] {
            assert_eq!(value(expression), expected, "{expression}");
        }
        for (expression, about) in [
            ("object.missing", "object has no property missing"),
            ("list[3]", "index out of bounds"),
            ("list['0']", "an index must be a whole number"),
            ("a.b", "the dot operator expects an object"),
            ("list[0](1)", "only functions can be called"),
            ("1 +", "something is missing at the end"),
            ("(1", "expected `)`"),
            ("'a", "does not end"),
            ("1 / 0", "division by zero"),
            ("9 ** 999", "is no number of JSON"),
            ("'a' - 1", "- cannot be between a string and a number"),
            ("len", "len is a function"),
        ] {
            let told = refusal(&json!([{ "$eval": expression }]));
            assert!(told.starts_with(&format!("[0].$eval: in `{expression}`: ")) && told.contains(about), "{told}");
        }
    }

    #[test]
    fn functions_do_what_they_are_called() {
        for (expression, expected) in [
            ("[abs(-1), sqrt(16), ceil(1.2), floor(1.8), min(3, 1, 2), max(1, 2.5)]", json!([1, 4, 2, 1, 1, 2.5])),
            (
                "[number('3.5'), str(3), str(null), str(true), len('äb'), len(list)]",
                json!([3.5, "3", "null", "true", 2, 3]),
            ),
            (
                "[lowercase('A'), uppercase('a'), strip(' a '), lstrip(' a '), rstrip(' a ')]",
                json!(["a", "A", "a", "a ", " a"]),
            ),
            (
                "[join([1, 'a', null], '-'), split('a:b', ':'), split('ab', '')]",
                json!(["1-a-null", ["a", "b"], ["a", "b"]]),
            ),
            ("split('a::b', ':')", json!(["a", "", "b"])),
            ("[range(1, 4), range(0, 10, 4), range(3, 0, -1)]", json!([[1, 2, 3], [0, 4, 8], [3, 2, 1]])),
            (
                "[typeof(null), typeof(list), typeof(object), typeof(1), typeof(len)]",
                json!(["null", "array", "object", "number", "function"]),
            ),
            ("[defined('a'), defined('b'), defined('len')]", json!([true, false, true])),
            ("fromNow('1 day', '2026-01-01T00:00:00Z')", json!("2026-01-02T00:00:00.000Z")),
            ("fromNow('-1h')", json!("2026-11-28T02:45:00.000Z")),
            ("fromNow('1 yr 1wk', '2026-01-01T00:00:00Z')", json!("2027-01-08T00:00:00.000Z")),
            ("as_slugid('x') == as_slugid('x') && as_slugid('x') != as_slugid('y')", json!(true)),
        ] {
            assert_eq!(value(expression), expected, "{expression}");
        }
        for (expression, about) in [
            ("abs('a')", "abs: a string cannot be an argument here"),
            ("split('a')", "split: 2 arguments are expected"),
            ("number('x')", "number: \"x\" is no number"),
            ("range(1, 2, 0)", "the step cannot be 0"),
            ("fromNow('99999999999999 years')", "too long"),
            ("as_slugid(1)", "as_slugid: "),
        ] {
            assert!(refusal(&json!({ "$eval": expression })).contains(about), "{expression}");
        }
    }

    #[test]
    fn texts_hold_expressions() {
        for (text, expected) in [
            ("a ${a} ${text[0]}${null}!", "a 1 ä!"),
            ("$${a} $a $$ $", "${a} $a $$ $"),
            ("${'}'}${{x: 'y'}.x}", "}y"),
            ("${true} ${1.5}", "true 1.5"),
        ] {
            assert_eq!(rendered(&json!(text)), json!(expected), "{text}");
        }
        assert_eq!(rendered(&json!({ "k${a}": "${a}", "$$if": 1 })), json!({ "k1": "1", "$if": 1 }));
        assert!(refusal(&json!("${list}")).contains("cannot be part of a text"));
        assert!(refusal(&json!({ "x": ["${a"] })).starts_with("x[0]: in `${a`: "));
        let told = refusal(&json!(["sh -c 'echo ${HOME}'"]));
        assert!(told.ends_with("unknown context value HOME; the text ${HOME} is written $${HOME}"), "{told}");
    }

    #[test]
    fn objects_are_operators() {
        for (template, expected) in [
            (json!({ "$if": "a == 1", "then": 1, "else": 2 }), json!(1)),
            (json!([{ "$if": "a == 2", "then": 1 }, { "x": { "$if": "false", "then": 1 } }]), json!([{}])),
            (json!({ "$let": { "b": "${a}" }, "in": ["${b}"] }), json!(["1"])),
            (json!({ "$map": [1, 2], "each(x)": { "$eval": "x + a" } }), json!([2, 3])),
            (json!({ "$map": ["p", "q"], "each(x, i)": "${x}${i}" }), json!(["p0", "q1"])),
            (json!({ "$map": [1, 2], "each(x)": { "$if": "x > 1", "then": "${x}" } }), json!(["2"])),
            (json!({ "$map": { "p": 1 }, "each(x)": { "${x.key}2": "${x.val}" } }), json!({ "p2": "1" })),
            (json!({ "$map": { "p": 1 }, "each(v,k)": { "${k}3": { "$eval": "v" } } }), json!({ "p3": 1 })),
            (json!({ "$reduce": [1, 2], "initial": 5, "each(sum,x)": { "$eval": "sum + x" } }), json!(8)),
            (json!({ "$find": [1, 2, 3], "each(x)": "x > 1" }), json!(2)),
            (json!({ "$match": { "a == 1": "x", "a == 2": "y", "true": "z" } }), json!(["x", "z"])),
            (json!({ "$switch": { "a == 2": "y", "$default": "z" } }), json!("z")),
            (json!({ "$merge": [{ "p": 1 }, { "q": 2 }, { "p": 3 }] }), json!({ "p": 3, "q": 2 })),
            (
                json!({ "$mergeDeep": [{ "p": { "x": [1] } }, { "p": { "x": [2], "y": 3 } }] }),
                json!({ "p": { "x": [1, 2], "y": 3 } }),
            ),
            (json!({ "$flatten": [1, [2, [3]]] }), json!([1, 2, [3]])),
            (json!({ "$flattenDeep": [1, [2, [3]]] }), json!([1, 2, 3])),
            (json!({ "$json": { "b": 1, "a": [null] } }), json!("{\"a\":[null],\"b\":1}")),
            (json!({ "$reverse": [1, 2] }), json!([2, 1])),
            (json!({ "$sort": [3, 1, 2] }), json!([1, 2, 3])),
            (json!({ "$sort": [{ "n": "b" }, { "n": "a" }], "by(x)": "x.n" }), json!([{ "n": "a" }, { "n": "b" }])),
            (json!({ "$fromNow": "1h", "from": "2026-01-01T00:00:00Z" }), json!("2026-01-01T01:00:00.000Z")),
        ] {
            assert_eq!(rendered(&template), expected, "{template}");
        }
        for (template, about) in [
            (json!({ "$eval": 1 }), "$eval takes an expression"),
            (json!({ "$if": "a", "than": 1 }), "$if has undefined properties: than"),
            (json!({ "$map": [1], "each()": 1 }), "$map has undefined properties: each()"),
            (json!({ "$map": 1, "each(x)": 1 }), "not a number"),
            (json!({ "$let": { "0": 1 }, "in": 1 }), "cannot be a name"),
            (json!({ "$switch": { "true": 1, "a": 2 } }), "only one condition"),
            (json!({ "$sort": [1, "a"] }), "all texts or all numbers"),
            (json!({ "$unknown": 1 }), "write $$unknown"),
            (json!({ "$eval": "a", "$json": 1 }), "both"),
        ] {
            let told = refusal(&json!({ "p": [template] }));
            assert!(told.starts_with("p[0]") && told.contains(about), "{told}");
        }
    }

    #[test]
    fn what_would_not_end_is_given_up() {
        let loops = |inside: Value| json!({ "$map": { "$eval": "range(0, 1000)" }, "each(x)": inside });
        for template in [
            json!({ "$eval": "range(0, 9000000000)" }),
            json!({ "$eval": "range(0, -9000000000000000, -1)" }),
            json!({ "$reduce": { "$eval": "range(0, 99)" }, "initial": "ab", "each(t,x)": "${t}${t}" }),
            json!({ "$reduce": { "$eval": "range(0, 99)" }, "initial": [1], "each(t,x)": { "$flatten": [{ "$eval": "t" }, { "$eval": "t" }] } }),
            loops(loops(loops(json!(1)))),
        ] {
            assert!(unbounded(&template).contains("makes too much of itself"), "{template}");
        }
        let deep = json!({ "$reduce": { "$eval": "range(0, 9999)" }, "initial": [], "each(t,x)": [{ "$eval": "t" }] });
        assert!(unbounded(&deep).contains("nested too deeply"));
    }

    #[test]
    fn nesting_has_an_end_and_takes_no_time() {
        for (open, close) in [("(", ")"), ("[", "]"), ("{a: ", "}"), ("-", ""), ("2 ** ", ""), ("len(", ")")] {
            let nested = |times: usize| json!({ "$eval": format!("{}1{}", open.repeat(times), close.repeat(times)) });
            assert!(!bounded(&nested(20)).is_err_and(|refused| refused.message.contains("too deeply")), "{open}");
            assert!(unbounded(&nested(10_000)).contains("nested too deeply"), "{open}");
        }
        // Chains are long and not deep.
        let chain = json!({ "$eval": format!("1{}", " + 1".repeat(10_000)) });
        assert_eq!(bounded(&chain).unwrap(), json!(10_001));
        let mut template = json!("x");
        for _ in 0..1000 {
            template = json!([template]);
        }
        assert!(unbounded(&template).contains("nested too deeply"));
    }
}
