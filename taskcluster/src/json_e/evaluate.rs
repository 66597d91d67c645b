//! What an expression comes to.
//!
//! Values are borrowed from where they have their name as long as they can be, so that `event.repository.name` copies a
//! name and not an event.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::builtins::Builtin;
use super::expression::{self, Node, Step};
use super::scope::Scope;
use super::template::Renderer;
use super::values::{are_equal, float, is_true, kind, number, whole};
use super::{Result, slice};

impl Renderer {
    /// Evaluates a text that is an expression.
    pub(super) fn evaluate_text(&mut self, text: &str, scope: &Scope<'_>) -> Result<Value> {
        self.budget.spend_text(text.len())?;
        let outer = self.expression.replace(text.to_owned());
        let value = self.evaluate(&expression::parse(text)?, scope)?;
        let value = self.owned(value)?;
        self.expression = outer;
        Ok(value)
    }

    /// Copies a value if it has to.
    pub(super) fn owned(&mut self, value: Cow<'_, Value>) -> Result<Value> {
        if let Cow::Borrowed(value) = value {
            self.budget.spend_value(value)?;
        }
        Ok(value.into_owned())
    }

    pub(super) fn evaluate<'s>(&mut self, node: &Node<'_>, scope: &'s Scope<'_>) -> Result<Cow<'s, Value>> {
        self.budget.spend(1)?;
        match node {
            Node::Value(value) => {
                self.budget.spend_value(value)?;
                Ok(Cow::Owned(value.clone()))
            }
            Node::Name(name) => scope.get(name).map(Cow::Borrowed).ok_or_else(|| match Builtin::named(name) {
                Some(_) => format!("{name} is a function: `{name}(…)`"),
                None => self.unknown(name),
            }),
            Node::List(items) => self.evaluate_all(items, scope).map(|items| Cow::Owned(Value::Array(items))),
            Node::Object(fields) => {
                let mut object = Map::new();
                for (key, node) in fields {
                    let value = self.evaluate(node, scope)?;
                    object.insert((*key).to_owned(), self.owned(value)?);
                }
                Ok(Cow::Owned(Value::Object(object)))
            }
            Node::Unary(sign, operand) => {
                let operand = self.evaluate(operand, scope)?;
                unary(*sign, &operand).map(Cow::Owned)
            }
            Node::Chain(first, more) => {
                let mut value = self.evaluate(first, scope)?;
                for (operator, operand) in more {
                    value = Cow::Owned(self.binary(&value, operator, operand, scope)?);
                }
                Ok(value)
            }
            Node::Path(first, steps) => self.path(first, steps, scope),
        }
    }

    fn evaluate_all(&mut self, nodes: &[Node<'_>], scope: &Scope<'_>) -> Result<Vec<Value>> {
        let mut values = Vec::with_capacity(nodes.len());
        for node in nodes {
            let value = self.evaluate(node, scope)?;
            values.push(self.owned(value)?);
        }
        Ok(values)
    }

    fn path<'s>(&mut self, first: &Node<'_>, steps: &[Step<'_>], scope: &'s Scope<'_>) -> Result<Cow<'s, Value>> {
        let (mut value, steps) = match (first, steps) {
            (Node::Name(name), [Step::Call(arguments), steps @ ..])
                if scope.get(name).is_none() && Builtin::named(name).is_some() =>
            {
                (Cow::Owned(self.call(name, arguments, scope)?), steps)
            }
            _ => (self.evaluate(first, scope)?, steps),
        };
        for step in steps {
            self.budget.spend(1)?;
            value = match step {
                Step::Dot(name) => match &*value {
                    Value::Object(fields) if fields.contains_key(*name) => field(value, name),
                    Value::Object(_) => return Err(format!("object has no property {name}")),
                    _ => return Err("the dot operator expects an object".to_owned()),
                },
                Step::Index(index) => {
                    let index = self.evaluate(index, scope)?;
                    self.spend_for_text(&value)?;
                    at_index(value, &index)?
                }
                Step::Slice(from, to) => {
                    let from = self.end_of_slice(from.as_ref(), scope)?;
                    let to = self.end_of_slice(to.as_ref(), scope)?;
                    self.spend_for_text(&value)?;
                    let part = slice::part(&value, from, to)?;
                    self.budget.spend_value(&part)?;
                    Cow::Owned(part)
                }
                Step::Call(_) => return Err(format!("only functions can be called, this is a {}", kind(&value))),
            };
        }
        Ok(value)
    }

    /// Characters are found by counting them from the beginning.
    fn spend_for_text(&mut self, value: &Value) -> Result<()> {
        value.as_str().map_or(Ok(()), |text| self.budget.spend_text(text.len()))
    }

    fn end_of_slice(&mut self, node: Option<&Node<'_>>, scope: &Scope<'_>) -> Result<Option<i64>> {
        let Some(node) = node else { return Ok(None) };
        let value = self.evaluate(node, scope)?;
        whole(&value).map(Some).ok_or_else(|| "the ends of a slice must be whole numbers".to_owned())
    }

    fn call(&mut self, name: &str, arguments: &[Node<'_>], scope: &Scope<'_>) -> Result<Value> {
        // The one function whose argument may be the name of another.
        if let ("typeof", [Node::Name(function)]) = (name, arguments)
            && scope.get(function).is_none()
            && Builtin::named(function).is_some()
        {
            return Ok(Value::from("function"));
        }
        let function = Builtin::named(name).ok_or_else(|| format!("there is no function {name}"))?;
        let arguments = self.evaluate_all(arguments, scope)?;
        self.call_builtin(function, &arguments, scope).map_err(|reason| format!("{name}: {reason}"))
    }

    fn binary(&mut self, left: &Value, operator: &str, right: &Node<'_>, scope: &Scope<'_>) -> Result<Value> {
        match operator {
            "||" if is_true(left) => return Ok(Value::Bool(true)),
            "&&" if !is_true(left) => return Ok(Value::Bool(false)),
            _ => {}
        }
        let right = self.evaluate(right, scope)?;
        if let ("+", Value::String(a), Value::String(b)) = (operator, left, &*right) {
            self.budget.spend_text(a.len() + b.len())?;
            return Ok(Value::String(format!("{a}{b}")));
        }
        if matches!(operator, "==" | "!=" | "in") {
            // They may look at all of both.
            self.budget.spend_value(left)?;
            self.budget.spend_value(&right)?;
        }
        of_two(left, operator, &right)
    }
}

fn unary(sign: char, operand: &Value) -> Result<Value> {
    match (sign, operand) {
        ('!', value) => Ok(Value::Bool(!is_true(value))),
        ('-', Value::Number(n)) => number(-float(n)),
        ('+', Value::Number(_)) => Ok(operand.clone()),
        _ => Err(format!("unary {sign} expects a number, not a {}", kind(operand))),
    }
}

fn of_two(left: &Value, operator: &str, right: &Value) -> Result<Value> {
    match (left, operator, right) {
        (a, "==", b) => Ok(Value::Bool(are_equal(a, b))),
        (a, "!=", b) => Ok(Value::Bool(!are_equal(a, b))),
        (_, "&&" | "||", b) => Ok(Value::Bool(is_true(b))),
        (a, "in", Value::Array(items)) => Ok(Value::Bool(items.iter().any(|item| are_equal(a, item)))),
        (Value::String(key), "in", Value::Object(fields)) => Ok(Value::Bool(fields.contains_key(key))),
        (Value::String(part), "in", Value::String(text)) => Ok(Value::Bool(text.contains(part))),
        (Value::String(a), _, Value::String(b)) => compare(operator, a.cmp(b)),
        (Value::Number(a), _, Value::Number(b)) => arithmetic(float(a), operator, float(b)),
        (a, _, b) => Err(format!("{operator} cannot be between a {} and a {}", kind(a), kind(b))),
    }
}

fn arithmetic(a: f64, operator: &str, b: f64) -> Result<Value> {
    match operator {
        "+" => number(a + b),
        "-" => number(a - b),
        "*" => number(a * b),
        "/" if b == 0.0 => Err("division by zero".to_owned()),
        "/" => number(a / b),
        "**" => number(a.powf(b)),
        // Numbers of JSON have an order.
        _ => compare(operator, a.partial_cmp(&b).unwrap_or(Ordering::Equal)),
    }
}

fn compare(operator: &str, order: Ordering) -> Result<Value> {
    Ok(Value::Bool(match operator {
        "<" => order.is_lt(),
        ">" => order.is_gt(),
        "<=" => order.is_le(),
        ">=" => order.is_ge(),
        _ => return Err(format!("{operator} cannot be between these values")),
    }))
}

fn at_index<'s>(value: Cow<'s, Value>, index: &Value) -> Result<Cow<'s, Value>> {
    match (&*value, index) {
        (Value::Array(items), Value::Number(_)) => {
            let place = whole(index).ok_or("an index must be a whole number")?;
            let place = if place < 0 { place + items.len() as i64 } else { place };
            match usize::try_from(place).ok().filter(|place| *place < items.len()) {
                Some(place) => Ok(item(value, place)),
                None => Err("index out of bounds".to_owned()),
            }
        }
        (Value::String(text), Value::Number(_)) => {
            let place = whole(index).ok_or("an index must be a whole number")?;
            let place = if place < 0 { (place + text.chars().count() as i64).max(0) } else { place };
            let found = usize::try_from(place).ok().and_then(|place| text.chars().nth(place));
            found.map(|c| Cow::Owned(Value::String(c.into()))).ok_or_else(|| "index out of bounds".to_owned())
        }
        (Value::Object(fields), Value::String(key)) => {
            Ok(if fields.contains_key(key) { field(value, key) } else { Cow::Owned(Value::Null) })
        }
        (Value::Object(_), _) => Err("keys of objects are strings".to_owned()),
        (Value::Array(_) | Value::String(_), _) => Err("an index must be a whole number".to_owned()),
        (other, _) => Err(format!("a {} has no parts", kind(other))),
    }
}

/// A property that is there.
fn field<'s>(object: Cow<'s, Value>, key: &str) -> Cow<'s, Value> {
    match object {
        Cow::Borrowed(object) => Cow::Borrowed(&object[key]),
        Cow::Owned(mut object) => Cow::Owned(object[key].take()),
    }
}

/// An item that is there.
fn item(list: Cow<'_, Value>, place: usize) -> Cow<'_, Value> {
    match list {
        Cow::Borrowed(list) => Cow::Borrowed(&list[place]),
        Cow::Owned(mut list) => Cow::Owned(list[place].take()),
    }
}
