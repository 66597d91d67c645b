//! Values of types, as somebody would write them.

use super::layout::Expression;
use super::{Uses, samples};
use crate::Examples;
use crate::emit::Emitter;
use crate::emit::types::{needed, unboxed};
use crate::model::{Field, Shape, Struct, TypeRef, Union};
use crate::resolve::is_keyword;

/// How many parts a value may have before it had better come from a file.
const PARTS: usize = 16;

pub(super) struct Values<'v> {
    emitter: &'v Emitter<'v>,
    examples: &'v Examples,
    uses: &'v mut Uses,
    parts: usize,
    depth: usize,
    needs_now: bool,
}

impl<'v> Values<'v> {
    pub(super) fn new(emitter: &'v Emitter<'v>, examples: &'v Examples, uses: &'v mut Uses) -> Self {
        Self { emitter, examples, uses, parts: 0, depth: 0, needs_now: false }
    }

    /// What stands before a value.
    pub(super) fn prelude(&mut self) -> Vec<String> {
        if !self.needs_now {
            return Vec::new();
        }
        let timestamp = self.runtime("", "Timestamp");
        vec![format!("let now = {timestamp}::now();")]
    }

    /// A value of exactly this type; nothing if it would be too long.
    pub(super) fn exact(&mut self, name: &str, of: &TypeRef) -> Option<Expression> {
        Some(match of {
            TypeRef::String => Expression::plain(format!("{}.to_owned()", samples::literal(&samples::text(name)))),
            TypeRef::U32 | TypeRef::U64 | TypeRef::I64 => {
                let suffix = format!("{of:?}").to_ascii_lowercase();
                Expression::plain(format!("{}_{suffix}", samples::number(name)))
            }
            TypeRef::List(items) => Expression::list("vec!", [self.exact(name, items)?]),
            TypeRef::Map(values) => {
                let pair = Expression::call("", [Expression::plain("\"key\".to_owned()"), self.exact(name, values)?]);
                let map = self.uses.name("std::collections", "BTreeMap");
                Expression::call(&format!("{map}::from"), [Expression::list("", [pair])])
            }
            TypeRef::Secret | TypeRef::SecretObject => {
                let secret = self.runtime("", &format!("{of:?}"));
                Expression::call(&format!("{secret}::from"), [self.converted(name, of)?])
            }
            TypeRef::Json => Expression::call("serde_json::Value::from", [self.converted(name, of)?]),
            TypeRef::Nullable(of) => Expression::call("Some", [self.exact(name, of)?]),
            TypeRef::Boxed(of) => Expression::call("Box::new", [self.exact(name, of)?]),
            TypeRef::RunId => {
                let of = self.runtime("", "RunId");
                Expression::plain(format!("{of}::from(0)"))
            }
            TypeRef::Named { .. } => match self.emitter.shape_of(of)? {
                Shape::Union(_) => {
                    let union = self.name_of(of);
                    Expression::call(&format!("{union}::from"), [self.converted(name, of)?])
                }
                _ => self.converted(name, of)?,
            },
            of => self.converted(name, of)?,
        })
    }

    /// A value that can be made into one of this type.
    fn converted(&mut self, name: &str, of: &TypeRef) -> Option<Expression> {
        self.parts += 1;
        if self.parts > PARTS || self.depth > 5 {
            return None;
        }
        self.depth += 1;
        let value = self.of_any(name, of);
        self.depth -= 1;
        value
    }

    fn of_any(&mut self, name: &str, of: &TypeRef) -> Option<Expression> {
        let plain = |text: String| Some(Expression::plain(text));
        match of {
            TypeRef::Bool => plain("true".to_owned()),
            TypeRef::U32 | TypeRef::U64 | TypeRef::I64 => plain(samples::number(name).to_string()),
            TypeRef::F64 => plain("1.0".to_owned()),
            TypeRef::String => plain(samples::literal(&samples::text(name))),
            TypeRef::Secret => plain("\"hunter2\"".to_owned()),
            TypeRef::Timestamp => plain(self.time(name)),
            TypeRef::TaskId => {
                let id = self.runtime("", "TaskId");
                plain(format!("{id}::new()"))
            }
            TypeRef::RunId => plain("0".to_owned()),
            TypeRef::TaskQueueId => {
                let id = self.runtime("", "TaskQueueId");
                plain(format!("\"proj-example/linux\".parse::<{id}>()?"))
            }
            TypeRef::Priority => {
                let priority = self.runtime("", "Priority");
                plain(format!("{priority}::High"))
            }
            TypeRef::Json | TypeRef::Object | TypeRef::SecretObject => {
                let object = self.runtime("", "object");
                plain(format!("{object}! {{ {} }}", samples::content(name)))
            }
            TypeRef::List(items) => self.item(name, items).map(|item| Expression::list("", [item])),
            TypeRef::Map(values) => {
                let value = self.item(name, values)?;
                Some(Expression::list("", [Expression::call("", [Expression::plain("\"key\""), value])]))
            }
            TypeRef::Nullable(of) => self.exact(name, of),
            TypeRef::Boxed(of) => self.converted(name, of),
            TypeRef::Named { .. } => self.named(name, of),
            TypeRef::Numbered(_) => None,
        }
    }

    /// A member of a list or a map: converted where that is done.
    fn item(&mut self, name: &str, of: &TypeRef) -> Option<Expression> {
        match of {
            TypeRef::List(_) | TypeRef::Map(_) | TypeRef::Boxed(_) => self.exact(name, of),
            of => self.converted(name, of),
        }
    }

    fn named(&mut self, name: &str, of: &TypeRef) -> Option<Expression> {
        let emitter = self.emitter;
        match emitter.shape_of(of)? {
            Shape::Struct(structure) => {
                let of = self.name_of(of);
                let arguments: Option<Vec<Expression>> = needed(structure).map(|field| self.field(field)).collect();
                let new = Expression::call(&format!("{of}::new"), arguments?);
                Some(match self.option(structure) {
                    Some(setter) => Expression::chain_of(new, vec![setter]),
                    None => new,
                })
            }
            Shape::Enum { variants } => {
                let of = self.name_of(of);
                let variant = &variants.first()?.ident;
                Some(Expression::plain(format!("{of}::{variant}")))
            }
            Shape::Union(union) => self.branch(name, union),
            Shape::Newtype(inner) => {
                let of = self.name_of(of);
                Some(Expression::call(&of, [self.exact(name, inner)?]))
            }
        }
    }

    /// One of the fields that can be left out, where nothing else is said, or where a task says which workers it is for.
    fn option(&mut self, structure: &Struct) -> Option<Expression> {
        let mut options = structure.fields.iter().filter(|field| !field.required);
        let field = match needed(structure).next() {
            Some(_) => options.find(|field| field.of == TypeRef::TaskQueueId)?,
            None => options.next()?,
        };
        let value = self.attempt(|values| values.field(field))?;
        Some(Expression::call(&format!("with_{}", field.ident), [value]))
    }

    fn field(&mut self, field: &Field) -> Option<Expression> {
        self.converted(&field.name, &field.of)
    }

    /// The first branch that can be said shortly.
    fn branch(&mut self, name: &str, union: &Union) -> Option<Expression> {
        union.variants.iter().find_map(|variant| self.attempt(|values| values.exact(name, unboxed(&variant.of))))
    }

    /// Does as if nothing had been tried where nothing comes of it.
    fn attempt(&mut self, value: impl FnOnce(&mut Self) -> Option<Expression>) -> Option<Expression> {
        let (parts, needs_now, known) = (self.parts, self.needs_now, self.uses.0.clone());
        let value = value(self);
        if value.is_none() {
            (self.parts, self.needs_now, self.uses.0) = (parts, needs_now, known);
        }
        value
    }

    fn time(&mut self, name: &str) -> String {
        self.needs_now = true;
        let mut later = |unit: &str, count: usize| {
            let unit = self.runtime("time", unit);
            format!("now + {unit}({count})")
        };
        match name {
            "deadline" | "takenUntil" => later("hours", 2),
            "quarantineUntil" => later("days", 30),
            name if name.starts_with("expir") => later("days", 30),
            _ => "now".to_owned(),
        }
    }

    /// How a type is called.
    pub(super) fn name_of(&mut self, of: &TypeRef) -> String {
        let TypeRef::Named { module, name } = unboxed(of) else { return "serde_json::Value".to_owned() };
        let raw = if is_keyword(module) { "r#" } else { "" };
        self.uses.name(&format!("{}::{raw}{module}", self.examples.modules), name)
    }

    /// How something of the runtime is called.
    fn runtime(&mut self, module: &str, name: &str) -> String {
        let runtime = &self.examples.runtime;
        let path = if module.is_empty() { runtime.clone() } else { format!("{runtime}::{module}") };
        self.uses.name(&path, name)
    }
}
