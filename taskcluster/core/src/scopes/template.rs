use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::ScopeExpression;

/// The scopes that a method asks for, with places for its arguments: constant data that the generator writes from a
/// reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeTemplate {
    /// A scope in which `<name>` stands for the text `name`.
    Scope(&'static str),
    /// All of these.
    AllOf(&'static [ScopeTemplate]),
    /// One of these.
    AnyOf(&'static [ScopeTemplate]),
    /// The scope `each` once for every element of a list, as members of the surrounding list.
    ForEach {
        /// The name that stands for the element.
        variable: &'static str,
        /// The name of the list.
        list: &'static str,
        /// The scope, in which `<variable>` stands for the element.
        each: &'static str,
    },
    /// One thing or another, or nothing.
    If {
        /// The name of a flag.
        condition: &'static str,
        /// What is asked for if it is set.
        then: &'static ScopeTemplate,
        /// What is asked for if it is not.
        otherwise: Option<&'static ScopeTemplate>,
    },
}

/// A value for a name in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Param {
    /// A text, to stand where `<name>` does.
    Text(String),
    /// A list, for [`ScopeTemplate::ForEach`].
    List(Vec<String>),
    /// A flag, for [`ScopeTemplate::If`].
    Flag(bool),
}

/// The values for the names in a template.
///
/// ```
/// use taskcluster_core::scopes::{Params, ScopeTemplate};
/// let template = ScopeTemplate::Scope("queue:cancel-task:<group>");
/// let needed = template.render(&Params::new().text("group", "abc"))?.unwrap();
/// assert_eq!(needed.to_string(), "queue:cancel-task:abc");
/// # Ok::<(), taskcluster_core::scopes::RenderError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(BTreeMap<Cow<'static, str>, Param>);

impl Params {
    /// No values.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// With a text.
    #[must_use]
    pub fn text(self, name: impl Into<Cow<'static, str>>, text: impl Into<String>) -> Self {
        self.with(name, Param::Text(text.into()))
    }

    /// With a list.
    #[must_use]
    pub fn list<S: Into<String>>(self, name: impl Into<Cow<'static, str>>, list: impl IntoIterator<Item = S>) -> Self {
        self.with(name, Param::List(list.into_iter().map(Into::into).collect()))
    }

    /// With a flag.
    #[must_use]
    pub fn flag(self, name: impl Into<Cow<'static, str>>, flag: bool) -> Self {
        self.with(name, Param::Flag(flag))
    }

    /// With a value; the last one of a name counts.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: Param) -> Self {
        self.0.insert(name.into(), value);
        self
    }

    /// With all values that `others` has; of a name that both have, these count.
    #[must_use]
    pub fn with_all(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The properties of an object: texts and numbers as texts, flags, and lists of texts. Others are left out.
    ///
    /// What a service knows of a task, say, and asks for in scopes, stands in the task's status under the same names.
    ///
    /// ```
    /// use taskcluster_core::scopes::{Param, Params};
    /// let status = serde_json::json!({ "taskGroupId": "fN1SbArXTPSVFNUvaOlinQ", "schedulerId": "-", "runs": [{}] });
    /// let known = Params::of(&status);
    /// assert_eq!(known.get("schedulerId"), Some(&Param::Text("-".into())));
    /// assert_eq!(known.get("runs"), None);
    /// ```
    pub fn of(value: &impl Serialize) -> Self {
        let Ok(Value::Object(object)) = serde_json::to_value(value) else { return Self::new() };
        object.into_iter().filter_map(|(name, value)| Some((name, param(value)?))).collect()
    }

    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Param> {
        self.0.get(name)
    }

    /// All names with their values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Param)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

impl<N: Into<Cow<'static, str>>> FromIterator<(N, Param)> for Params {
    fn from_iter<I: IntoIterator<Item = (N, Param)>>(values: I) -> Self {
        Self(values.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

fn param(value: Value) -> Option<Param> {
    Some(match value {
        Value::String(text) => Param::Text(text),
        Value::Number(number) => Param::Text(number.to_string()),
        Value::Bool(flag) => Param::Flag(flag),
        Value::Array(list) => {
            Param::List(list.into_iter().map(|element| element.as_str().map(str::to_owned)).collect::<Option<_>>()?)
        }
        Value::Null | Value::Object(_) => return None,
    })
}

/// Why a template cannot be filled in. In a service that is a mistake of the service, not of its caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// A name has no value.
    #[error("the scopes depend on '{0}', which is not given (where there is a `needs_of`, it takes it from there)")]
    Missing(String),
    /// A name has a value of another kind.
    #[error("the scopes need '{name}' to be a {expected}")]
    WrongKind {
        /// The name.
        name: String,
        /// The kind that is needed: `text`, `list` or `flag`.
        expected: &'static str,
    },
}

impl ScopeTemplate {
    /// Fills in the values; `None` if nothing at all is asked for, which makes the call public.
    ///
    /// # Errors
    /// If a value is missing or of another kind than its place needs. A value inside a branch that is not taken is not
    /// looked at.
    pub fn render(&self, params: &Params) -> Result<Option<ScopeExpression>, RenderError> {
        let mut out = Vec::with_capacity(1);
        self.render_into(params, &mut out)?;
        Ok(match out.len() {
            1 => out.pop(),
            // Only a loop that stands alone comes here with several, or with none of them.
            _ if matches!(self, Self::ForEach { .. }) => Some(ScopeExpression::AllOf(out)),
            _ => None,
        })
    }

    fn render_into(&self, params: &Params, out: &mut Vec<ScopeExpression>) -> Result<(), RenderError> {
        let render_all = |templates: &[Self]| {
            let mut parts = Vec::with_capacity(templates.len());
            templates.iter().try_for_each(|template| template.render_into(params, &mut parts))?;
            Ok(parts)
        };
        match *self {
            Self::Scope(scope) => out.push(ScopeExpression::Scope(fill(scope, |name| text(params, name))?)),
            Self::AllOf(templates) => out.push(ScopeExpression::AllOf(render_all(templates)?)),
            Self::AnyOf(templates) => out.push(ScopeExpression::AnyOf(render_all(templates)?)),
            Self::ForEach { variable, list, each } => {
                let Param::List(elements) = value(params, list)? else { return Err(wrong_kind(list, "list")) };
                for element in elements {
                    let scope = fill(each, |name| if name == variable { Ok(element) } else { text(params, name) })?;
                    out.push(ScopeExpression::Scope(scope));
                }
            }
            Self::If { condition, then, otherwise } => {
                let &Param::Flag(flag) = value(params, condition)? else { return Err(wrong_kind(condition, "flag")) };
                if let Some(branch) = if flag { Some(then) } else { otherwise } {
                    branch.render_into(params, out)?;
                }
            }
        }
        Ok(())
    }

    /// Every name that the template may ask for, each once.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        self.collect_names(None, &mut names);
        names
    }

    fn collect_names(&self, bound: Option<&str>, names: &mut Vec<&'static str>) {
        let mut add = |name: &'static str| {
            if Some(name) != bound && !names.contains(&name) {
                names.push(name);
            }
        };
        match *self {
            Self::Scope(scope) => placeholders(scope).for_each(add),
            Self::AllOf(templates) | Self::AnyOf(templates) => {
                templates.iter().for_each(|template| template.collect_names(bound, names))
            }
            Self::ForEach { variable, list, each } => {
                add(list);
                Self::Scope(each).collect_names(Some(variable), names);
            }
            Self::If { condition, then, otherwise } => {
                add(condition);
                then.collect_names(bound, names);
                if let Some(otherwise) = otherwise {
                    otherwise.collect_names(bound, names);
                }
            }
        }
    }
}

/// Replaces each `<name>`. What is not closed, or holds something other than a name (as `<..>` does), stands for
/// itself.
fn fill<'a>(template: &str, lookup: impl Fn(&str) -> Result<&'a str, RenderError>) -> Result<String, RenderError> {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, name, after)) = next_placeholder(rest) {
        out.push_str(before);
        out.push_str(lookup(name)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn placeholders(template: &'static str) -> impl Iterator<Item = &'static str> {
    let mut rest = template;
    std::iter::from_fn(move || {
        let (_, name, after) = next_placeholder(rest)?;
        rest = after;
        Some(name)
    })
}

/// Splits at the first `<name>`.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text[from..].find('<')?;
        let name_end =
            text[open + 1..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(|length| open + 1 + length)?;
        if text[name_end..].starts_with('>') && name_end > open + 1 {
            return Some((&text[..open], &text[open + 1..name_end], &text[name_end + 1..]));
        }
        from = open + 1;
    }
}

fn value<'a>(params: &'a Params, name: &str) -> Result<&'a Param, RenderError> {
    params.get(name).ok_or_else(|| RenderError::Missing(name.to_owned()))
}

fn text<'a>(params: &'a Params, name: &str) -> Result<&'a str, RenderError> {
    match value(params, name)? {
        Param::Text(text) => Ok(text),
        Param::List(_) | Param::Flag(_) => Err(wrong_kind(name, "text")),
    }
}

fn wrong_kind(name: &str, expected: &'static str) -> RenderError {
    RenderError::WrongKind { name: name.to_owned(), expected }
}

#[cfg(test)]
mod tests {
    use super::ScopeTemplate::{AllOf, AnyOf, ForEach, If, Scope};
    use super::*;

    fn render(template: &ScopeTemplate, params: &Params) -> serde_json::Value {
        serde_json::to_value(template.render(params).unwrap()).unwrap()
    }

    #[test]
    fn loops_are_spliced_and_missing_branches_vanish() {
        static ROUTES: ScopeTemplate =
            ForEach { variable: "route", list: "routes", each: "queue:route:<route>:<project>" };
        static WHOLE: ScopeTemplate = AllOf(&[
            ROUTES,
            AnyOf(&[If { condition: "legacy", then: &Scope("old:<project>"), otherwise: Some(&Scope("new")) }]),
        ]);
        let params = Params::new().list("routes", ["a", "b"]).text("project", "p").flag("legacy", true);
        assert_eq!(
            render(&WHOLE, &params),
            serde_json::json!({"AllOf": ["queue:route:a:p", "queue:route:b:p", {"AnyOf": ["old:p"]}]})
        );
        let params = params.list("routes", [""; 0]).flag("legacy", false);
        assert_eq!(render(&WHOLE, &params), serde_json::json!({"AllOf": [{"AnyOf": ["new"]}]}));
        assert_eq!(WHOLE.names(), ["routes", "project", "legacy"]);
    }

    #[test]
    fn nothing_asked_for_is_public() {
        let private = If { condition: "private", then: &Scope("get:<name>"), otherwise: None };
        assert_eq!(private.render(&Params::new().flag("private", false)), Ok(None));
        assert_eq!(render(&private, &Params::new().flag("private", true).text("name", "x")), "get:x");
    }

    #[test]
    fn a_value_that_is_missing_or_wrong_is_named() {
        let params = Params::new().text("a", "x").flag("b", true);
        assert_eq!(Scope("<c>").render(&params), Err(RenderError::Missing("c".into())));
        assert_eq!(Scope("<b>").render(&params), Err(wrong_kind("b", "text")));
        let each = ForEach { variable: "v", list: "a", each: "<v>" };
        assert_eq!(each.render(&params), Err(wrong_kind("a", "list")));
        let branch = If { condition: "a", then: &Scope("x"), otherwise: None };
        assert_eq!(branch.render(&params).unwrap_err().to_string(), "the scopes need 'a' to be a flag");
    }

    #[test]
    fn only_names_are_replaced() {
        let params = Params::new().text("a", "<a>");
        assert_eq!(render(&Scope("x:<..>/<a>/<b c>/<a"), &params), "x:<..>/<a>/<b c>/<a");
    }
}
