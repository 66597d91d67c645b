//! How much a rendering may do, so that a hostile template ends soon and stays small.

use serde_json::Value;

use super::Result;

/// Steps of a rendering. A step is a node of a template or an expression, a value that is made or copied, or 16 bytes of
/// text; a large decision task takes some thousands.
const STEPS: usize = 2_000_000;

/// How deep values may nest, as deep as YAML and JSON are read.
const DEEPEST: usize = 128;

/// What is left.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(STEPS)
    }
}

impl Budget {
    /// Pays for some steps.
    pub(super) fn spend(&mut self, steps: usize) -> Result<()> {
        match self.0.checked_sub(steps) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => {
                self.0 = 0;
                Err("the template makes too much of itself".to_owned())
            }
        }
    }

    /// Pays for a text of this length.
    pub(super) fn spend_text(&mut self, length: usize) -> Result<()> {
        self.spend(1 + length / 16)
    }

    /// Pays for a value and all that is in it, before it is copied or given a name.
    pub(super) fn spend_value(&mut self, value: &Value) -> Result<()> {
        self.spend_nested(value, 0)
    }

    fn spend_nested(&mut self, value: &Value, depth: usize) -> Result<()> {
        if depth > DEEPEST {
            return Err("a value is nested too deeply".to_owned());
        }
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => self.spend(1),
            Value::String(text) => self.spend_text(text.len()),
            Value::Array(items) => {
                self.spend(1)?;
                items.iter().try_for_each(|item| self.spend_nested(item, depth + 1))
            }
            Value::Object(fields) => {
                self.spend(1)?;
                fields.iter().try_for_each(|(key, value)| {
                    self.spend_text(key.len())?;
                    self.spend_nested(value, depth + 1)
                })
            }
        }
    }
}
