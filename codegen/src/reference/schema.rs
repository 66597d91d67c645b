//! The dialect of JSON schema that references are written in, one node at a time.

use serde_json::Value;

use crate::error::Result;
use crate::load::At;

/// What a node says, children not yet read.
#[derive(Clone, Debug)]
pub(crate) struct Schema<'a> {
    pub(crate) at: At<'a>,
    pub(crate) title: Option<&'a str>,
    pub(crate) description: Option<&'a str>,
    pub(crate) default: Option<&'a Value>,
    pub(crate) reference: Option<&'a str>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) properties: Vec<(&'a str, At<'a>)>,
    pub(crate) required: Vec<&'a str>,
    pub(crate) additional: Additional<'a>,
    pub(crate) items: Option<At<'a>>,
    pub(crate) values: Option<Vec<&'a Value>>,
    pub(crate) constant: Option<&'a Value>,
    pub(crate) format: Option<&'a str>,
    pub(crate) pattern: Option<&'a str>,
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
    pub(crate) all_of: Vec<At<'a>>,
    /// The branches of `oneOf` and of `anyOf`: to a Rust type they are the same.
    pub(crate) unions: Vec<Vec<At<'a>>>,
    /// Rules that a type cannot say (`not`, `dependencies`); the server checks them.
    pub(crate) has_rules: bool,
}

/// What `type` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    Null,
}

/// What `additionalProperties` says.
#[derive(Clone, Debug)]
pub(crate) enum Additional<'a> {
    Unsaid,
    Allowed,
    Forbidden,
    Schema(At<'a>),
}

/// Keywords that change nothing in a type.
const WITHOUT_EFFECT: &[&str] = &[
    "$schema",
    "$comment",
    "examples",
    "example",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "multipleOf",
    "readOnly",
    "writeOnly",
    "contentEncoding",
    "contentMediaType",
    "deprecated",
    "definitions",
    "$defs",
    "exclusiveMinimum",
    "exclusiveMaximum",
];

impl<'a> Schema<'a> {
    /// Reads a node, and refuses what it does not know.
    pub(crate) fn parse(at: &At<'a>) -> Result<Self> {
        let mut schema = Self::empty(at.clone());
        let object = match at.value {
            Value::Bool(_) => return Ok(schema),
            Value::Object(object) => object,
            _ => return Err(at.error("a schema is an object")),
        };
        for (key, value) in object {
            schema.read(key, &at.child(key, value))?;
        }
        Ok(schema)
    }

    /// A schema that allows everything.
    pub(crate) fn empty(at: At<'a>) -> Self {
        Self {
            at,
            title: None,
            description: None,
            default: None,
            reference: None,
            kinds: Vec::new(),
            properties: Vec::new(),
            required: Vec::new(),
            additional: Additional::Unsaid,
            items: None,
            values: None,
            constant: None,
            format: None,
            pattern: None,
            minimum: None,
            maximum: None,
            all_of: Vec::new(),
            unions: Vec::new(),
            has_rules: false,
        }
    }

    fn read(&mut self, key: &str, at: &At<'a>) -> Result<()> {
        match key {
            "title" => self.title = Some(at.string()?),
            "description" => self.description = Some(at.string()?),
            "default" => self.default = Some(at.value),
            "$ref" => self.reference = Some(at.string()?),
            "type" => self.kinds = kinds(at)?,
            "properties" => {
                self.properties =
                    at.object()?.iter().map(|(name, value)| (name.as_str(), at.child(name, value))).collect();
            }
            "required" => self.required = at.strings()?,
            "additionalProperties" => {
                self.additional = match at.value {
                    Value::Bool(true) => Additional::Allowed,
                    Value::Bool(false) => Additional::Forbidden,
                    Value::Object(_) => Additional::Schema(at.clone()),
                    _ => return Err(at.error("true, false or a schema is expected")),
                };
            }
            "items" => match at.value {
                Value::Array(_) => return Err(at.error("lists with a schema per place are not known")),
                _ => self.items = Some(at.clone()),
            },
            "enum" => {
                let values = at.items()?;
                if values.is_empty() {
                    return Err(at.error("an enumeration of nothing"));
                }
                self.values = Some(values.into_iter().map(|value| value.value).collect());
            }
            "const" => self.constant = Some(at.value),
            "format" => self.format = Some(at.string()?),
            "pattern" => self.pattern = Some(at.string()?),
            "minimum" => self.minimum = Some(at.number()?),
            "maximum" => self.maximum = Some(at.number()?),
            "allOf" => self.all_of = branches(at)?,
            "oneOf" | "anyOf" => self.unions.push(branches(at)?),
            "not" | "dependencies" => {
                at.object()?;
                self.has_rules = true;
            }
            "$id" | "id" if at.pointer.matches('/').count() == 1 => {}
            // A property of a nested schema must not be taken for an id.
            "$id" | "id" => return Err(at.error("an id inside of a schema is not known")),
            key if WITHOUT_EFFECT.contains(&key) => {}
            key => return Err(at.error(format!("keyword {key:?} is not known"))),
        }
        Ok(())
    }

    /// Whether a value that fits has this kind, as far as the schema tells.
    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.kinds == [kind]
    }

    /// Whether it only restricts an object that is described elsewhere.
    pub(crate) fn only_restricts(&self) -> bool {
        self.reference.is_none()
            && self.properties.iter().all(|(_, at)| is_trivial(at.value))
            && self.items.is_none()
            && self.values.is_none()
            && self.constant.is_none()
            && self.format.is_none()
            && self.all_of.is_empty()
            && self.unions.is_empty()
            && (self.kinds.is_empty() || self.is(Kind::Object))
            && (!self.required.is_empty() || self.has_rules || !self.properties.is_empty())
            && !matches!(self.additional, Additional::Schema(_))
    }

    /// What an object adds to the branches of a union that stands beside its properties.
    pub(crate) fn describes_object(&self) -> bool {
        !self.properties.is_empty() || matches!(self.additional, Additional::Schema(_))
    }
}

fn is_trivial(value: &Value) -> bool {
    match value {
        Value::Bool(_) => true,
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

fn branches<'a>(at: &At<'a>) -> Result<Vec<At<'a>>> {
    let branches = at.items()?;
    if branches.is_empty() { Err(at.error("a union of nothing")) } else { Ok(branches) }
}

fn kinds(at: &At<'_>) -> Result<Vec<Kind>> {
    let kind = |at: &At<'_>| {
        Ok(match at.string()? {
            "object" => Kind::Object,
            "array" => Kind::Array,
            "string" => Kind::String,
            "integer" => Kind::Integer,
            "number" => Kind::Number,
            "boolean" => Kind::Boolean,
            "null" => Kind::Null,
            other => return Err(at.error(format!("type {other:?} is not known"))),
        })
    };
    if at.value.is_array() {
        let kinds = at.items()?.iter().map(kind).collect::<Result<Vec<_>>>()?;
        if kinds.is_empty() { Err(at.error("a type of nothing")) } else { Ok(kinds) }
    } else {
        Ok(vec![kind(at)?])
    }
}
