//! From the text of an expression to a tree.
//!
//! One function per level of precedence would recurse through all of them for each bracket; here a level is a number.
//! Chains such as `a + b + c` and `a.b[0](c)` become lists, so that only brackets make a tree deep.

use serde_json::Value;

use super::{Result, values};

/// How deep brackets, unary operators and powers may nest.
const DEEPEST: usize = 32;

/// Binary operators, weakest first; all of a level bind alike, from left to right. `**` stands alone: it binds strongest,
/// and from right to left.
const LEVELS: [&[&str]; 7] =
    [&["||"], &["&&"], &["in"], &["==", "!="], &["<=", ">=", "<", ">"], &["+", "-"], &["*", "/"]];

/// An expression.
#[derive(Debug, PartialEq)]
pub(super) enum Node<'t> {
    Value(Value),
    Name(&'t str),
    List(Vec<Node<'t>>),
    Object(Vec<(&'t str, Node<'t>)>),
    /// `-`, `+` or `!` before a value.
    Unary(char, Box<Node<'t>>),
    /// A value, and what is done with it and more values, one after the other.
    Chain(Box<Node<'t>>, Vec<(&'static str, Node<'t>)>),
    /// A value, and which part of it is meant.
    Path(Box<Node<'t>>, Vec<Step<'t>>),
}

/// A way from a value to another one.
#[derive(Debug, PartialEq)]
pub(super) enum Step<'t> {
    Dot(&'t str),
    Index(Node<'t>),
    Slice(Option<Node<'t>>, Option<Node<'t>>),
    Call(Vec<Node<'t>>),
}

/// Reads an expression at the beginning of a text; gives what follows it, too.
pub(super) fn parse_front(text: &str) -> Result<(Node<'_>, &str)> {
    let mut parser = Parser { rest: text, depth: 0 };
    let node = parser.level(0)?;
    parser.skip_space();
    Ok((node, parser.rest))
}

/// Reads a text that is an expression and nothing else.
pub(super) fn parse(text: &str) -> Result<Node<'_>> {
    match parse_front(text)? {
        (node, "") => Ok(node),
        (_, rest) => Err(format!("unexpected {}", shown(rest))),
    }
}

/// Whether a text is a name.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && name_length(text) == text.len()
}

struct Parser<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    /// Takes a token if it comes next.
    fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<()> {
        if self.take(token) { Ok(()) } else { Err(format!("expected `{token}`, found {}", shown(self.rest))) }
    }

    /// Calls for what is inside of brackets, or else nested.
    fn deeper<T>(&mut self, inside: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == DEEPEST {
            return Err("the expression is nested too deeply".to_owned());
        }
        self.depth += 1;
        let result = inside(self)?;
        self.depth -= 1;
        Ok(result)
    }

    fn expression(&mut self) -> Result<Node<'t>> {
        self.deeper(|parser| parser.level(0))
    }

    fn level(&mut self, level: usize) -> Result<Node<'t>> {
        let Some(operators) = LEVELS.get(level) else { return self.power() };
        let first = self.level(level + 1)?;
        let mut more = Vec::new();
        while let Some(operator) = self.take_operator(operators) {
            more.push((operator, self.level(level + 1)?));
        }
        Ok(if more.is_empty() { first } else { Node::Chain(Box::new(first), more) })
    }

    fn take_operator(&mut self, operators: &[&'static str]) -> Option<&'static str> {
        self.skip_space();
        let operator = *operators.iter().find(|operator| self.rest.starts_with(**operator))?;
        let after = &self.rest[operator.len()..];
        let is_longer = match operator {
            "in" => after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'),
            "*" => after.starts_with('*'),
            _ => false,
        };
        if is_longer {
            return None;
        }
        self.rest = after;
        Some(operator)
    }

    fn power(&mut self) -> Result<Node<'t>> {
        let base = self.path()?;
        if !self.take("**") {
            return Ok(base);
        }
        let exponent = self.deeper(Self::power)?;
        Ok(Node::Chain(Box::new(base), vec![("**", exponent)]))
    }

    /// A value with what follows it. A sign before it belongs to the value alone: `-a[0]` is `(-a)[0]`.
    fn path(&mut self) -> Result<Node<'t>> {
        let first = self.unary()?;
        let mut steps = Vec::new();
        loop {
            if self.take(".") {
                steps.push(Step::Dot(self.name()?));
            } else if self.take("[") {
                steps.push(self.index_or_slice()?);
            } else if self.take("(") {
                steps.push(Step::Call(self.list(")", Self::expression)?));
            } else {
                return Ok(if steps.is_empty() { first } else { Node::Path(Box::new(first), steps) });
            }
        }
    }

    fn index_or_slice(&mut self) -> Result<Step<'t>> {
        if self.take(":") {
            return Ok(Step::Slice(None, self.end_of_slice()?));
        }
        let from = self.expression()?;
        if self.take(":") {
            return Ok(Step::Slice(Some(from), self.end_of_slice()?));
        }
        self.expect("]")?;
        Ok(Step::Index(from))
    }

    fn end_of_slice(&mut self) -> Result<Option<Node<'t>>> {
        if self.take("]") {
            return Ok(None);
        }
        let end = self.expression()?;
        self.expect("]")?;
        Ok(Some(end))
    }

    /// What stands between commas until the list is closed.
    fn list<T>(&mut self, close: &str, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        if self.take(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if !self.take(",") {
                self.expect(close)?;
                return Ok(items);
            }
        }
    }

    fn unary(&mut self) -> Result<Node<'t>> {
        for sign in ['!', '-', '+'] {
            if self.take(sign.encode_utf8(&mut [0; 1])) {
                let operand = self.deeper(Self::unary)?;
                return Ok(Node::Unary(sign, Box::new(operand)));
            }
        }
        self.value()
    }

    fn value(&mut self) -> Result<Node<'t>> {
        self.skip_space();
        match self.rest.chars().next() {
            Some('(') => {
                self.expect("(")?;
                let inside = self.expression()?;
                self.expect(")")?;
                Ok(inside)
            }
            Some('[') => {
                self.expect("[")?;
                Ok(Node::List(self.list("]", Self::expression)?))
            }
            Some('{') => {
                self.expect("{")?;
                Ok(Node::Object(self.list("}", Self::field)?))
            }
            Some('"' | '\'') => Ok(Node::Value(Value::from(self.quoted()?))),
            Some(c) if c.is_ascii_digit() => self.number(),
            _ => Ok(match self.name()? {
                "true" => Node::Value(Value::Bool(true)),
                "false" => Node::Value(Value::Bool(false)),
                "null" => Node::Value(Value::Null),
                name => Node::Name(name),
            }),
        }
    }

    fn field(&mut self) -> Result<(&'t str, Node<'t>)> {
        self.skip_space();
        let key = if self.rest.starts_with(['"', '\'']) { self.quoted()? } else { self.name()? };
        self.expect(":")?;
        Ok((key, self.expression()?))
    }

    /// A text in quotes; there are no escapes.
    fn quoted(&mut self) -> Result<&'t str> {
        let quote = &self.rest[..1];
        let Some((text, rest)) = self.rest[1..].split_once(quote) else {
            return Err(format!("the text {} does not end", shown(self.rest)));
        };
        self.rest = rest;
        Ok(text)
    }

    fn number(&mut self) -> Result<Node<'t>> {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut length = digits(self.rest);
        if let Some(fraction) = self.rest[length..].strip_prefix('.')
            && digits(fraction) > 0
        {
            length += 1 + digits(fraction);
        }
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        let number = text.parse().map_err(|_| format!("{text} is no number"))?;
        Ok(Node::Value(values::number(number)?))
    }

    fn name(&mut self) -> Result<&'t str> {
        self.skip_space();
        match name_length(self.rest) {
            0 if self.rest.is_empty() => Err("something is missing at the end".to_owned()),
            0 => Err(format!("unexpected {}", shown(self.rest))),
            length => {
                let (name, rest) = self.rest.split_at(length);
                self.rest = rest;
                Ok(name)
            }
        }
    }
}

/// How much of the beginning is a name: a letter or `_`, then these and digits.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

/// The beginning of what was not expected.
fn shown(rest: &str) -> String {
    match rest.char_indices().nth(20) {
        Some((end, _)) => format!("`{}…`", &rest[..end]),
        None if rest.is_empty() => "the end".to_owned(),
        None => format!("`{rest}`"),
    }
}
