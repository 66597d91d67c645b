//! From schemas to types.
//!
//! Types are numbered while they are found, since names can be given only when all are known:
//! two schemas of one title and one shape become one type, those that merely share the title get
//! different names, and the outcome must not depend on which services are generated together.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::names::{Names, pascal, snake};
use super::unions;
use crate::error::Result;
use crate::load::{At, Library};
use crate::model::{EnumVariant, Field, Shape, Struct, TypeRef};
use crate::reference::schema::{Additional, Kind, Schema};

/// Schemas that lie deeper in each other than this are refused rather than risking the stack.
const MAX_DEPTH: usize = 120;

const SLUGID: &str = "^[A-Za-z0-9_-]{8}[Q-T][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw]$";
const PRIORITIES: [&str; 7] = ["high", "highest", "low", "lowest", "medium", "very-high", "very-low"];

/// Where a schema stands: file and pointer.
pub(super) type Key = (String, String);

/// A type without a name.
#[derive(Clone, Debug)]
pub(super) struct Draft<'a> {
    pub(super) at: At<'a>,
    pub(super) module: String,
    pub(super) description: String,
    pub(super) has_rules: bool,
    pub(super) shape: Shape,
    /// What marks a struct as a branch of a union.
    pub(super) tag: Option<(String, String)>,
    /// What it is called as a branch of the union that it stands in.
    pub(super) variant: Option<String>,
}

/// Finds types.
#[derive(Debug)]
pub(super) struct Types<'a> {
    library: &'a Library,
    /// Schemas with what they refer to merged: many ways may lead to each.
    merged: RefCell<HashMap<Key, Schema<'a>>>,
    pub(super) drafts: Vec<Draft<'a>>,
    numbers: HashMap<Key, usize>,
    /// Numbers that turned out to stand for something without a name.
    pub(super) aliases: HashMap<usize, TypeRef>,
    in_progress: HashSet<Key>,
    /// Lists and maps that contain themselves, and so need a name.
    newtypes: BTreeSet<Key>,
    /// Whether one more was found, so that everything must be gone through again.
    must_restart: bool,
    depth: usize,
}

impl<'a> Types<'a> {
    pub(super) fn new(library: &'a Library) -> Self {
        Self {
            library,
            merged: RefCell::new(HashMap::new()),
            drafts: Vec::new(),
            numbers: HashMap::new(),
            aliases: HashMap::new(),
            in_progress: HashSet::new(),
            newtypes: BTreeSet::new(),
            must_restart: false,
            depth: 0,
        }
    }

    /// Whether what was found so far is void; if so, begins anew.
    pub(super) fn restarts(&mut self) -> bool {
        let again = std::mem::take(&mut self.must_restart);
        if again {
            self.drafts.clear();
            self.numbers.clear();
            self.aliases.clear();
            self.in_progress.clear();
        }
        again
    }

    /// The type that a reference's `input`, `output` or `schema` names.
    pub(super) fn of_reference(&mut self, at: &At<'a>, service: &str) -> Result<(TypeRef, At<'a>)> {
        let base = format!("/schemas/{service}/reference.json");
        let target = self.library.follow(at, &base, at.string()?)?;
        Ok((self.of(&target, None)?, target))
    }

    /// The type of a schema that stands in a property of this name.
    pub(super) fn of(&mut self, at: &At<'a>, property: Option<&str>) -> Result<TypeRef> {
        let schema = self.flat(at)?;
        self.of_schema(schema, property)
    }

    /// Follows references and merges `allOf`, until a node describes itself.
    pub(super) fn flat(&self, at: &At<'a>) -> Result<Schema<'a>> {
        self.flat_below(at, &mut Vec::new())
    }

    fn flat_below(&self, at: &At<'a>, way: &mut Vec<Key>) -> Result<Schema<'a>> {
        let key = key(at);
        if let Some(merged) = self.merged.borrow().get(&key) {
            return Ok(merged.clone());
        }
        if way.contains(&key) {
            return Err(at.error("these schemas refer to each other in a circle"));
        }
        if way.len() > MAX_DEPTH {
            return Err(at.error("schemas are nested too deeply"));
        }
        way.push(key.clone());
        let merged = self.merged_from(at, way)?;
        way.pop();
        self.merged.borrow_mut().insert(key, merged.clone());
        Ok(merged)
    }

    fn merged_from(&self, at: &At<'a>, way: &mut Vec<Key>) -> Result<Schema<'a>> {
        let mut schema = Schema::parse(at)?;
        if let Some(reference) = schema.reference {
            let place = at.child("$ref", at.value);
            let target = self.library.follow(&place, &at.document.id, reference)?;
            return self.flat_below(&target, way);
        }
        let parts = std::mem::take(&mut schema.all_of);
        if let [only] = parts.as_slice()
            && schema.kinds.is_empty()
            && !schema.describes_object()
            && schema.required.is_empty()
            && schema.unions.is_empty()
        {
            return self.flat_below(only, way);
        }
        for part in &parts {
            let part = self.flat_below(part, way)?;
            merge(&mut schema, part)?;
        }
        Ok(schema)
    }

    pub(super) fn of_schema(&mut self, schema: Schema<'a>, property: Option<&str>) -> Result<TypeRef> {
        self.depth += 1;
        let found = if self.depth > MAX_DEPTH {
            Err(schema.at.error("schemas are nested too deeply"))
        } else {
            self.dispatch(schema, property)
        };
        self.depth -= 1;
        found
    }

    fn dispatch(&mut self, mut schema: Schema<'a>, property: Option<&str>) -> Result<TypeRef> {
        if let Some(constant) = schema.constant {
            return Ok(of_value(constant));
        }
        if let Some(values) = schema.values.clone() {
            return self.enumeration(&schema, &values);
        }
        if !schema.unions.is_empty() {
            return unions::resolve(self, schema, property);
        }
        if schema.kinds.len() > 1 {
            if schema.kinds.contains(&Kind::Null) {
                schema.kinds.retain(|kind| *kind != Kind::Null);
                return Ok(nullable(self.of_schema(schema, property)?));
            }
            return unions::of_kinds(self, &schema, property);
        }
        let kind = schema.kinds.first().copied().or_else(|| guess(&schema));
        Ok(match kind {
            None | Some(Kind::Null) => TypeRef::Json,
            Some(Kind::Boolean) => TypeRef::Bool,
            Some(Kind::Number) => TypeRef::F64,
            Some(Kind::Integer) if property == Some("runId") => TypeRef::RunId,
            Some(Kind::Integer) => integer(schema.minimum, schema.maximum),
            Some(Kind::String) => string(&schema, property),
            Some(Kind::Array) => self.container(&schema, |types| {
                let items =
                    schema.items.as_ref().map_or(Ok(TypeRef::Json), |items| types.of(items, singular(property)))?;
                Ok(TypeRef::List(Box::new(items)))
            })?,
            Some(Kind::Object) => match self.object(&schema)? {
                TypeRef::Object if is_secret(&schema, property) => TypeRef::SecretObject,
                of => of,
            },
        })
    }

    fn object(&mut self, schema: &Schema<'a>) -> Result<TypeRef> {
        if schema.properties.is_empty() {
            match &schema.additional {
                Additional::Schema(values) => {
                    return self.container(schema, |types| Ok(TypeRef::Map(Box::new(types.of(values, None)?))));
                }
                Additional::Unsaid | Additional::Allowed => return Ok(TypeRef::Object),
                Additional::Forbidden => {}
            }
        }
        self.named(schema, |types| types.structure(schema))
    }

    fn structure(&mut self, schema: &Schema<'a>) -> Result<Shape> {
        refuse_the_impossible(schema)?;
        let mut idents = Names::default();
        let mut fields = Vec::new();
        for (name, at) in &schema.properties {
            if at.value == &Value::Bool(false) {
                continue; // a property that must not be there
            }
            let local = Schema::parse(at)?;
            let flat = self.flat(at)?;
            let constant = only_value(&flat).cloned();
            let description = local.description.or(flat.description).or(local.title).or(flat.title);
            fields.push(Field {
                name: (*name).to_owned(),
                ident: idents.take(&[snake(name)]),
                description: description.unwrap_or_default().to_owned(),
                default: local.default.or(flat.default).cloned(),
                of: self.of_schema(flat, Some(name))?,
                required: schema.required.contains(name),
                constant,
            });
        }
        let additional = match &schema.additional {
            Additional::Allowed => Some(TypeRef::Json),
            Additional::Schema(values) => Some(self.of(values, None)?),
            Additional::Unsaid | Additional::Forbidden => None,
        };
        let additional = additional.map(|of| (idents.take(&["additional"]), of));
        Ok(Shape::Struct(Struct { tag: None, fields, additional }))
    }

    fn enumeration(&mut self, schema: &Schema<'a>, values: &[&Value]) -> Result<TypeRef> {
        let has_null = values.iter().any(|value| value.is_null());
        let values: Vec<&Value> = values.iter().copied().filter(|value| !value.is_null()).collect();
        let strings: Option<Vec<&str>> = values.iter().map(|value| value.as_str()).collect();
        let of = match strings {
            None => {
                let numbers: Option<Vec<f64>> = values.iter().map(|value| integral(value)).collect();
                match numbers {
                    Some(numbers) => {
                        let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
                        integer(Some(least), Some(numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)))
                    }
                    None if values.iter().all(|value| value.is_boolean()) => TypeRef::Bool,
                    None => TypeRef::Json,
                }
            }
            Some(strings) if strings.is_empty() => TypeRef::Json,
            Some(strings) if is_priorities(&strings) => TypeRef::Priority,
            Some(strings) if strings.len() == 1 && strings.len() == values.len() && !has_null => TypeRef::String,
            Some(strings) => self.named(schema, |_| Ok(enumeration(&strings)))?,
        };
        Ok(if has_null { nullable(of) } else { of })
    }

    /// Gives a number to what has a name.
    pub(super) fn named(
        &mut self,
        schema: &Schema<'a>,
        build: impl FnOnce(&mut Self) -> Result<Shape>,
    ) -> Result<TypeRef> {
        let number = match self.number(schema) {
            Ok(number) => number,
            Err(known) => return Ok(TypeRef::Numbered(known)),
        };
        self.drafts[number].shape = build(self)?;
        Ok(TypeRef::Numbered(number))
    }

    /// A new number, or as an error the one that the schema has.
    pub(super) fn number(&mut self, schema: &Schema<'a>) -> Result<usize, usize> {
        let key = key(&schema.at);
        if let Some(number) = self.numbers.get(&key) {
            return Err(*number);
        }
        let number = self.drafts.len();
        self.numbers.insert(key, number);
        self.drafts.push(Draft {
            at: schema.at.clone(),
            module: module_of(&schema.at.document.id),
            description: schema.description.or(schema.title).unwrap_or_default().to_owned(),
            has_rules: schema.has_rules,
            shape: Shape::Newtype(TypeRef::Json),
            tag: None,
            variant: None,
        });
        Ok(number)
    }

    /// A list or a map, which has a name only if it contains itself.
    fn container(&mut self, schema: &Schema<'a>, build: impl FnOnce(&mut Self) -> Result<TypeRef>) -> Result<TypeRef> {
        let key = key(&schema.at);
        if self.newtypes.contains(&key) {
            return self.named(schema, |types| Ok(Shape::Newtype(build(types)?)));
        }
        if !self.in_progress.insert(key.clone()) {
            self.newtypes.insert(key);
            self.must_restart = true;
            return Ok(TypeRef::Json);
        }
        let built = build(self);
        self.in_progress.remove(&key);
        built
    }
}

/// A string enumeration.
pub(super) fn enumeration(strings: &[&str]) -> Shape {
    let mut idents = Names::reserving(&["Unknown"]);
    let mut seen = BTreeSet::new();
    let variants = strings.iter().filter(|value| seen.insert(**value)).map(|value| {
        let ident = pascal(value);
        EnumVariant {
            ident: idents.take(&[ident.clone(), format!("{}Value", ident.trim_end_matches('_'))]),
            value: (*value).to_owned(),
        }
    });
    Shape::Enum { variants: variants.collect() }
}

pub(super) fn nullable(of: TypeRef) -> TypeRef {
    match of {
        TypeRef::Json | TypeRef::Nullable(_) => of,
        of => TypeRef::Nullable(Box::new(of)),
    }
}

/// The one value that a schema allows.
pub(super) fn only_value<'a>(schema: &Schema<'a>) -> Option<&'a Value> {
    schema.constant.or(match schema.values.as_deref() {
        Some([only]) => Some(*only),
        _ => None,
    })
}

/// Whether these are the priorities of tasks.
pub(super) fn is_priorities(strings: &[&str]) -> bool {
    let mut sorted = strings.to_vec();
    sorted.sort_unstable();
    sorted == PRIORITIES
}

fn of_value(value: &Value) -> TypeRef {
    match value {
        Value::Bool(_) => TypeRef::Bool,
        Value::String(_) => TypeRef::String,
        Value::Number(_) => match integral(value) {
            Some(number) => integer(Some(number), Some(number)),
            None => TypeRef::F64,
        },
        _ => TypeRef::Json,
    }
}

fn integral(value: &Value) -> Option<f64> {
    value.as_f64().filter(|_| value.is_i64() || value.is_u64())
}

fn integer(minimum: Option<f64>, maximum: Option<f64>) -> TypeRef {
    match (minimum, maximum) {
        (Some(minimum), Some(maximum)) if minimum >= 0.0 && maximum <= f64::from(u32::MAX) => TypeRef::U32,
        (Some(minimum), _) if minimum >= 0.0 => TypeRef::U64,
        _ => TypeRef::I64,
    }
}

/// Whether an object of any content is one of secrets: its name says so, or its title where the name has to be another.
fn is_secret(schema: &Schema<'_>, property: Option<&str>) -> bool {
    matches!(property, Some("secret" | "secrets")) || matches!(schema.title, Some("Secret" | "Secrets"))
}

fn string(schema: &Schema<'_>, property: Option<&str>) -> TypeRef {
    let is_slugid = schema.pattern == Some(SLUGID);
    match (schema.format, property) {
        (Some("date-time"), _) => TypeRef::Timestamp,
        _ if is_slugid => TypeRef::TaskId,
        (None, Some("taskId" | "taskGroupId")) if schema.pattern.is_none() => TypeRef::TaskId,
        (None, Some("taskQueueId")) => TypeRef::TaskQueueId,
        (None, Some("accessToken" | "certificate" | "secret" | "staticSecret" | "token")) => TypeRef::Secret,
        _ => TypeRef::String,
    }
}

/// The items of `taskIds` are what `taskId` is.
fn singular(property: Option<&str>) -> Option<&'static str> {
    match property {
        Some("taskIds") => Some("taskId"),
        Some("taskQueueIds") => Some("taskQueueId"),
        _ => None,
    }
}

/// The kind of a schema that does not say it.
fn guess(schema: &Schema<'_>) -> Option<Kind> {
    if schema.describes_object() || !schema.required.is_empty() || matches!(schema.additional, Additional::Forbidden) {
        Some(Kind::Object)
    } else if schema.items.is_some() {
        Some(Kind::Array)
    } else if schema.pattern.is_some() || schema.format.is_some() {
        Some(Kind::String)
    } else if schema.minimum.is_some() || schema.maximum.is_some() {
        Some(Kind::Number)
    } else {
        None
    }
}

/// What is required and forbidden at once is a slip of the pen: nothing can satisfy that.
fn refuse_the_impossible(schema: &Schema<'_>) -> Result<()> {
    let is_known = |name: &str| schema.properties.iter().any(|(known, _)| *known == name);
    match schema.required.iter().find(|name| !is_known(name)) {
        Some(name) if matches!(schema.additional, Additional::Forbidden) => {
            let place = schema.at.value.get("required").map(|value| schema.at.child("required", value));
            let place = place.unwrap_or_else(|| schema.at.clone());
            let message =
                format!("{name:?} is required, but no property of that name is allowed: nothing can satisfy that");
            Err(place.error(message))
        }
        _ => Ok(()),
    }
}

/// Adds to a schema what another one says besides.
pub(super) fn merge<'a>(schema: &mut Schema<'a>, other: Schema<'a>) -> Result<()> {
    if schema.kinds.is_empty() {
        schema.kinds = other.kinds;
    } else if !other.kinds.is_empty() {
        let fits =
            |kind: &Kind| other.kinds.contains(kind) || (*kind == Kind::Integer && other.kinds.contains(&Kind::Number));
        let narrowed: Vec<Kind> = schema.kinds.iter().copied().filter(fits).collect();
        schema.kinds = match (narrowed.is_empty(), schema.kinds.contains(&Kind::Number)) {
            (false, _) => narrowed,
            (true, true) if other.kinds.contains(&Kind::Integer) => vec![Kind::Integer],
            (true, _) => return Err(schema.at.error("the parts of this schema ask for different types")),
        };
    }
    for (name, at) in other.properties {
        match schema.properties.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) if at.value.get("const").is_some() || at.value.get("enum").is_some() => *known = at,
            Some((_, known)) if matches!(known.value, Value::Bool(_)) => *known = at,
            Some(_) => {}
            None => schema.properties.push((name, at)),
        }
    }
    for name in other.required {
        if !schema.required.contains(&name) {
            schema.required.push(name);
        }
    }
    if matches!(schema.additional, Additional::Unsaid) {
        schema.additional = other.additional;
    }
    schema.description = schema.description.or(other.description);
    schema.items = schema.items.take().or(other.items);
    schema.values = schema.values.take().or(other.values);
    schema.constant = schema.constant.or(other.constant);
    schema.format = schema.format.or(other.format);
    schema.pattern = schema.pattern.or(other.pattern);
    schema.minimum = schema.minimum.or(other.minimum);
    schema.maximum = schema.maximum.or(other.maximum);
    for union in other.unions {
        // Two parts may have it from the same third one.
        let is_it = |known: &Vec<At<'a>>| known.first().map(key) == union.first().map(key);
        if !schema.unions.iter().any(is_it) {
            schema.unions.push(union);
        }
    }
    schema.has_rules |= other.has_rules;
    Ok(())
}

pub(super) fn key(at: &At<'_>) -> Key {
    (at.document.file.clone(), at.pointer.clone())
}

/// The module that a schema belongs to: `/schemas/queue/v1/task.json` is queue's.
pub(super) fn module_of(id: &str) -> String {
    let path = id.split_once("://").map_or(id, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let path = path.trim_start_matches('/');
    let path = path.strip_prefix("schemas/").unwrap_or(path);
    let mut steps = path.split('/');
    let folder = steps.next().filter(|_| path.contains('/')).unwrap_or("shared");
    module_name(folder, steps.next().unwrap_or("v1"))
}

/// The module of a service; the first version of an API is not named.
pub(super) fn module_name(service: &str, version: &str) -> String {
    let is_version =
        version.len() > 1 && version.starts_with('v') && version[1..].bytes().all(|byte| byte.is_ascii_digit());
    if is_version && version != "v1" { snake(&format!("{service}-{version}")) } else { snake(service) }
}
