//! Templates: JSON in which texts hold expressions and some objects are operators.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};
use taskcluster_core::ids::TaskId;

use super::budget::Budget;
use super::scope::Scope;
use super::{Result, TemplateError, expression, operators};

/// How deep a rendering may be in the template, which is deeper than YAML is read.
const DEEPEST: usize = 140;

/// One rendering.
#[derive(Debug, Default)]
pub(super) struct Renderer {
    pub(super) budget: Budget,
    /// Ids by label, drawn when a label is first met.
    pub(super) slugids: HashMap<String, TaskId>,
    /// The expression that is being evaluated; after a failure the culprit.
    pub(super) expression: Option<String>,
    /// Where the rendering is; after a failure where it was, since nobody goes back then.
    path: Vec<String>,
}

impl Renderer {
    /// Renders a part of a template; gives nothing where it shall be left out.
    pub(super) fn render(&mut self, template: &Value, scope: &Scope<'_>) -> Result<Option<Value>> {
        self.budget.spend(1)?;
        match template {
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(Some(template.clone())),
            Value::String(text) => self.interpolate(text, scope).map(|text| Some(Value::String(text))),
            Value::Array(items) => {
                let mut rendered = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    rendered.extend(self.at(format!("[{index}]"), |renderer| renderer.render(item, scope))?);
                }
                Ok(Some(Value::Array(rendered)))
            }
            Value::Object(fields) => match operators::find(fields)? {
                Some(operator) => self.operate(operator, fields, scope),
                None => self.render_fields(fields, scope).map(|fields| Some(Value::Object(fields))),
            },
        }
    }

    fn render_fields(&mut self, fields: &Map<String, Value>, scope: &Scope<'_>) -> Result<Map<String, Value>> {
        let mut rendered = Map::new();
        for (key, value) in fields {
            let step = format!(".{key}");
            self.at(step, |renderer| {
                if let Some(value) = renderer.render(value, scope)? {
                    // `$$name` stands for the key `$name`, which would be an operator.
                    let key = if operators::is_escaped(key) { &key[1..] } else { key };
                    rendered.insert(renderer.interpolate(key, scope)?, value);
                }
                Ok(())
            })?;
        }
        Ok(rendered)
    }

    /// Does something one step further down.
    pub(super) fn at<T>(&mut self, step: String, inside: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.path.len() == DEEPEST {
            return Err("the template is nested too deeply".to_owned());
        }
        self.path.push(step);
        let result = inside(self)?;
        self.path.pop();
        Ok(result)
    }

    /// Puts the values of expressions in place of each `${…}`; `$${` stands for `${`.
    fn interpolate(&mut self, text: &str, scope: &Scope<'_>) -> Result<String> {
        self.budget.spend_text(text.len())?;
        let mut out = String::new();
        let mut rest = text;
        let outer = self.expression.take();
        while let Some(dollar) = rest.find('$') {
            out.push_str(&rest[..dollar]);
            rest = &rest[dollar..];
            if let Some(after) = rest.strip_prefix("$${") {
                out.push_str("${");
                rest = after;
            } else if let Some(inside) = rest.strip_prefix("${") {
                self.expression.get_or_insert_with(|| text.to_owned());
                let (node, after) = expression::parse_front(inside)?;
                let Some(after) = after.strip_prefix('}') else { return Err("a `${` is not closed".to_owned()) };
                let value = self.evaluate(&node, scope)?;
                self.push_text(&mut out, &value)?;
                rest = after;
            } else {
                out.push('$');
                rest = &rest[1..];
            }
        }
        out.push_str(rest);
        self.expression = outer;
        Ok(out)
    }

    /// A name that has no value. In a text it may be meant for a shell.
    pub(super) fn unknown(&self, name: &str) -> String {
        let written = format!("${{{name}}}");
        let hint = match &self.expression {
            Some(text) if text.contains(&written) => format!("; the text {written} is written ${written}"),
            _ => String::new(),
        };
        format!("unknown context value {name}{hint}")
    }

    fn push_text(&mut self, out: &mut String, value: &Value) -> Result<()> {
        if value.is_null() {
            return Ok(());
        }
        if let Value::String(text) = value {
            self.budget.spend_text(text.len())?;
        }
        let text = super::values::text(value);
        out.push_str(&text.ok_or("a list or an object cannot be part of a text")?);
        Ok(())
    }

    /// What went wrong, with the place at which the rendering stopped.
    pub(super) fn refused(self, message: &str) -> TemplateError {
        let path = self.path.concat();
        let path = path.trim_start_matches('.');
        let message = match self.expression {
            Some(expression) => format!("in `{}`: {message}", beginning(expression.trim())),
            None => message.to_owned(),
        };
        TemplateError { path: if path.is_empty() { "the document".to_owned() } else { path.to_owned() }, message }
    }
}

/// As much of an expression as one wants to read.
fn beginning(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}
