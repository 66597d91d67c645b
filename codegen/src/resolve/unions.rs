//! `oneOf`, `anyOf` and lists of types.

use serde_json::Value;

use super::names::{Names, pascal, without_common_end};
use super::types::{self, Types, merge, nullable, only_value};
use crate::error::Result;
use crate::load::At;
use crate::model::{Shape, TypeRef, Union, UnionVariant};
use crate::reference::schema::{Additional, Kind, Schema};

/// The type of a schema with a union in it.
pub(super) fn resolve<'a>(types: &mut Types<'a>, mut schema: Schema<'a>, property: Option<&str>) -> Result<TypeRef> {
    let mut branches: Option<Vec<Schema<'a>>> = None;
    for group in std::mem::take(&mut schema.unions) {
        let flat = group.iter().map(|at| types.flat(at)).collect::<Result<Vec<_>>>()?;
        // "Either this property or that one" beside the description of an object.
        if schema.describes_object() && flat.iter().all(Schema::only_restricts) {
            schema.has_rules = true;
        } else if branches.is_some() {
            return Err(schema.at.error("two unions in one schema are not known"));
        } else {
            branches = Some(join(&schema, &group, flat)?);
        }
    }
    match branches {
        Some(branches) => of_branches(types, &schema, branches, property),
        None => types.of_schema(schema, property),
    }
}

/// The type of a schema whose `type` is a list.
pub(super) fn of_kinds<'a>(types: &mut Types<'a>, schema: &Schema<'a>, property: Option<&str>) -> Result<TypeRef> {
    if schema.describes_object() {
        return Err(schema.at.error("properties of something that need not be an object are not known"));
    }
    let branch =
        |kind: &Kind| Schema { kinds: vec![*kind], title: None, additional: Additional::Unsaid, ..schema.clone() };
    let branches = schema.kinds.iter().map(branch).collect();
    of_branches(types, schema, branches, property)
}

/// Adds to each branch what stands beside the union.
fn join<'a>(schema: &Schema<'a>, group: &[At<'a>], branches: Vec<Schema<'a>>) -> Result<Vec<Schema<'a>>> {
    let adds_fields = schema.describes_object() || !schema.required.is_empty();
    let join = |(at, mut branch): (&At<'a>, Schema<'a>)| {
        if adds_fields && !branch.is(Kind::Null) {
            branch.at = at.clone();
        }
        if branch.is(Kind::Null) {
            return Ok(branch);
        }
        let outer = Schema { description: None, unions: Vec::new(), ..schema.clone() };
        if branch.unions.is_empty() || adds_fields {
            merge(&mut branch, outer)?;
        }
        Ok(branch)
    };
    group.iter().zip(branches).map(join).collect()
}

fn of_branches<'a>(
    types: &mut Types<'a>,
    schema: &Schema<'a>,
    mut branches: Vec<Schema<'a>>,
    property: Option<&str>,
) -> Result<TypeRef> {
    let all = branches.len();
    branches.retain(|branch| !branch.is(Kind::Null));
    let has_null = branches.len() < all;
    let wrap = |of| if has_null { nullable(of) } else { of };
    let number = match types.number(schema) {
        Ok(number) => number,
        Err(known) => return Ok(wrap(TypeRef::Numbered(known))),
    };
    let of = match union(types, branches, property)? {
        Found::Plain(of) => of,
        Found::Shape(shape) => {
            types.drafts[number].shape = shape;
            return Ok(wrap(TypeRef::Numbered(number)));
        }
    };
    types.aliases.insert(number, of.clone());
    Ok(wrap(of))
}

enum Found {
    Plain(TypeRef),
    Shape(Shape),
}

fn union<'a>(types: &mut Types<'a>, branches: Vec<Schema<'a>>, property: Option<&str>) -> Result<Found> {
    if let Some(strings) = strings(&branches) {
        return Ok(if types::is_priorities(&strings) {
            Found::Plain(TypeRef::Priority)
        } else {
            Found::Shape(types::enumeration(&strings))
        });
    }
    let mut variants: Vec<(Schema<'a>, TypeRef)> = Vec::new();
    for branch in branches {
        let of = types.of_schema(branch.clone(), property)?;
        // Any JSON is what the variant for the unknown takes.
        if of != TypeRef::Json && variants.iter().all(|(_, known)| *known != of) {
            variants.push((branch, of));
        }
    }
    widen(types, &mut variants);
    if let [(_, of)] = variants.as_slice() {
        return Ok(Found::Plain(of.clone()));
    }
    if variants.is_empty() {
        return Ok(Found::Plain(TypeRef::Json));
    }
    let tag = tag(types, &variants)?;
    let titles = short_titles(&variants);
    let mut idents = Names::reserving(&["Unknown"]);
    let mut found = Vec::new();
    for (index, (branch, of)) in variants.iter().enumerate() {
        let constants = constants(types, branch)?;
        let value = tag.as_ref().map(|(_, values)| values[index].clone());
        let name = match &value {
            Some(value) => pascal(value),
            None => match &titles {
                Some(titles) => pascal(&titles[index]),
                None => variant_name(branch, of, &variants, index),
            },
        };
        let ident = idents.take(&[name.clone(), format!("{}Value", name.trim_end_matches('_'))]);
        if let TypeRef::Numbered(branch) = of {
            let draft = &mut types.drafts[*branch];
            draft.variant.get_or_insert_with(|| ident.clone());
            if let (Some((property, _)), Some(value)) = (&tag, &value) {
                draft.tag = Some((property.clone(), value.clone()));
            }
        }
        found.push(UnionVariant {
            ident,
            description: branch.description.or(branch.title).unwrap_or_default().to_owned(),
            tag: value,
            of: of.clone(),
            required: branch.required.iter().map(|name| (*name).to_owned()).collect(),
            constants,
        });
    }
    Ok(Found::Shape(Shape::Union(Union { tag: tag.map(|(property, _)| property), variants: found })))
}

/// The values of all branches, if each is a string out of a list.
fn strings<'a>(branches: &[Schema<'a>]) -> Option<Vec<&'a str>> {
    let mut strings = Vec::new();
    for branch in branches {
        match (branch.constant, &branch.values) {
            (Some(constant), _) => strings.push(constant.as_str()?),
            (None, Some(values)) => {
                for value in values {
                    strings.push(value.as_str()?);
                }
            }
            (None, None) => return None,
        }
    }
    Some(strings)
}

/// A branch that takes all that another one takes makes that one useless.
fn widen<'a>(types: &Types<'a>, variants: &mut Vec<(Schema<'a>, TypeRef)>) {
    let has = |of: TypeRef| variants.iter().any(|(_, known)| *known == of);
    let (any_string, any_number) = (has(TypeRef::String), has(TypeRef::F64));
    let (any_integer, large) = (has(TypeRef::I64), has(TypeRef::U64));
    variants.retain(|(_, of)| match of {
        TypeRef::Numbered(number) => !(any_string && matches!(types.drafts[*number].shape, Shape::Enum { .. })),
        TypeRef::I64 => !any_number,
        TypeRef::U64 => !any_number && !any_integer,
        TypeRef::U32 => !any_number && !any_integer && !large,
        _ => true,
    });
}

/// The property that has another constant in each branch, and these constants.
fn tag<'a>(types: &Types<'a>, variants: &[(Schema<'a>, TypeRef)]) -> Result<Option<(String, Vec<String>)>> {
    for (name, _) in &variants[0].0.properties {
        let mut values: Vec<String> = Vec::new();
        for (branch, of) in variants {
            let TypeRef::Numbered(number) = of else { return Ok(None) };
            let draft = &types.drafts[*number];
            let Some((_, at)) = branch.properties.iter().find(|(known, _)| known == name) else { break };
            let flat = types.flat(at)?;
            let Some(Value::String(value)) = only_value(&flat) else { break };
            let taken = draft.tag.as_ref().is_some_and(|(tag, _)| tag != name);
            if taken || !matches!(draft.shape, Shape::Struct(_)) || values.contains(value) {
                break;
            }
            values.push(value.clone());
        }
        if values.len() == variants.len() {
            return Ok(Some(((*name).to_owned(), values)));
        }
    }
    Ok(None)
}

/// The properties of a branch that have only one value.
fn constants<'a>(types: &Types<'a>, branch: &Schema<'a>) -> Result<Vec<(String, Value)>> {
    let mut constants = Vec::new();
    for (name, at) in &branch.properties {
        if let Some(value) = only_value(&types.flat(at)?) {
            constants.push(((*name).to_owned(), value.clone()));
        }
    }
    Ok(constants)
}

/// The titles without what all of them end in, if each branch is an object with a title.
fn short_titles(variants: &[(Schema<'_>, TypeRef)]) -> Option<Vec<String>> {
    let titles: Option<Vec<&str>> =
        variants.iter().map(|(branch, of)| branch.title.filter(|_| matches!(of, TypeRef::Numbered(_)))).collect();
    titles.map(|titles| without_common_end(&titles))
}

fn variant_name(branch: &Schema<'_>, of: &TypeRef, variants: &[(Schema<'_>, TypeRef)], index: usize) -> String {
    let is_object = matches!(of, TypeRef::Numbered(_));
    if let Some(title) = branch.title.filter(|_| is_object) {
        return pascal(title);
    }
    let plain = match of {
        TypeRef::Bool => "Flag",
        TypeRef::U32 | TypeRef::U64 | TypeRef::I64 | TypeRef::RunId => "Integer",
        TypeRef::F64 => "Number",
        TypeRef::String | TypeRef::Secret => "Text",
        TypeRef::Timestamp => "Timestamp",
        TypeRef::TaskId => "TaskId",
        TypeRef::TaskQueueId => "TaskQueueId",
        TypeRef::Priority => "Priority",
        TypeRef::Json | TypeRef::Object | TypeRef::SecretObject => "Object",
        TypeRef::List(_) => "List",
        TypeRef::Map(_) => "Map",
        _ => "",
    };
    if !plain.is_empty() {
        return plain.to_owned();
    }
    if branch.properties.is_empty() && branch.is(Kind::Object) {
        return "Empty".to_owned();
    }
    // Named by what it has and the others have not.
    let in_others = |name: &&str| {
        variants.iter().enumerate().any(|(other, (schema, _))| other != index && schema.required.contains(name))
    };
    let names = branch.required.iter().chain(branch.properties.iter().map(|(name, _)| name));
    let mut own = names.filter(|name| !in_others(name));
    own.next().map_or_else(|| format!("Variant{}", index + 1), |name| pascal(name))
}
