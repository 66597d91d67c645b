//! Rendering by JSON-e, and finding the place of what it refuses.
//!
//! The library's errors say what is wrong but not where. The place is found afterwards: the refused part is the
//! smallest part of the template that, rendered alone, fails in the same words.

use serde_json::{Value, json};

use super::slugids::{self, Slugids};
use super::{Context, InTreeError};

/// Renders the whole document.
pub(super) fn render(document: &Value, context: &Context<'_>) -> Result<Value, InTreeError> {
    let template = slugids::hide(document);
    let names = json!({
        "tasks_for": context.tasks_for,
        "event": context.event,
        "taskcluster_root_url": context.root_url,
    });
    match json_e::render(&template, &names) {
        Ok(rendered) => Ok(Slugids::default().fill(rendered)),
        Err(error) => Err(Search { names, complaint: error.to_string() }.locate(&template)),
    }
}

/// A search for the smallest part of a template that fails with a given complaint.
struct Search {
    names: Value,
    complaint: String,
}

impl Search {
    fn locate(&self, template: &Value) -> InTreeError {
        let mut path = String::new();
        let mut part = template;
        let mut scope = Vec::new();
        while let Some((step, smaller)) = self.smaller(part, &mut scope) {
            path.push_str(&step);
            part = smaller;
        }
        let path = path.trim_start_matches('.');
        let path = if path.is_empty() { "the document" } else { path };
        let message = self.complaint.trim_start_matches("Interpreter Error: ").trim_start_matches("TemplateError: ");
        let message = match part {
            Value::String(expression) => format!("in `{}`: {message}", expression.trim()),
            _ => message.to_owned(),
        };
        InTreeError::Template { path: slugids::unhide(path), message: slugids::unhide(&message) }
    }

    /// The first part of `part` that fails alone, with the step that leads there.
    fn smaller<'a>(&self, part: &'a Value, scope: &mut Vec<&'a Value>) -> Option<(String, &'a Value)> {
        match part {
            Value::Array(items) => {
                let (index, item) = items.iter().enumerate().find(|(_, item)| self.fails(item, scope))?;
                Some((format!("[{index}]"), item))
            }
            Value::Object(fields) => {
                // An expression comes before the templates that it chooses between.
                for operator in ["$eval", "$if"] {
                    if let Some(expression @ Value::String(_)) = fields.get(operator)
                        && self.fails(&json!({"$eval": expression}), scope)
                    {
                        return Some((format!(".{operator}"), expression));
                    }
                }
                if let Some(bindings) = fields.get("$let")
                    && !self.fails(bindings, scope)
                {
                    scope.push(bindings);
                }
                let (key, value) = fields.iter().find(|(_, value)| self.fails(value, scope))?;
                Some((format!(".{key}"), value))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }

    fn fails(&self, part: &Value, scope: &[&Value]) -> bool {
        let wrapped = scope.iter().rev().fold(part.clone(), |inner, bindings| json!({"$let": bindings, "in": inner}));
        json_e::render(&wrapped, &self.names).is_err_and(|error| error.to_string() == self.complaint)
    }
}
