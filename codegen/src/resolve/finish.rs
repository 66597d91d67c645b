//! From numbered types to named ones.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::names::{Names, PRELUDE, pascal};
use super::types::{Draft, Types, key};
use crate::error::Result;
use crate::load::At;
use crate::model::{Shape, Type, TypeRef};

/// The outcome: named types by module, and the name of each number.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) types: BTreeMap<String, Vec<Type>>,
    names: HashMap<usize, TypeRef>,
    aliases: HashMap<usize, TypeRef>,
}

impl Finished {
    /// The use of a type by its name.
    pub(super) fn named(&self, of: &TypeRef) -> TypeRef {
        map(of, &mut |number| match self.aliases.get(&number) {
            Some(of) => self.named(of),
            None => self.names.get(&number).cloned().unwrap_or(TypeRef::Json),
        })
    }
}

/// Names all types that the roots lead to. A root comes with the module that it stands in.
pub(super) fn finish(
    types: Types<'_>,
    roots: &[(String, TypeRef)],
    reserved: &BTreeMap<String, Names>,
) -> Result<Finished> {
    let Types { mut drafts, aliases, .. } = types;
    let aliases = settle_aliases(&drafts, &aliases)?;
    for draft in &mut drafts {
        draft.shape.each_ref(&mut |of| {
            *of = map(of, &mut |number| aliases.get(&number).cloned().unwrap_or(TypeRef::Numbered(number)))
        });
        // Beside a field for all other properties the mark stays a field, lest it be read into that one.
        if let (Shape::Struct(structure), Some((property, value))) = (&mut draft.shape, &draft.tag)
            && structure.additional.is_none()
        {
            structure.fields.retain(|field| field.name != *property);
            structure.tag = Some((property.clone(), value.clone()));
        }
    }
    refuse_endless_unions(&drafts)?;
    box_recursion(&mut drafts);
    let roots: Vec<(String, TypeRef)> = roots
        .iter()
        .map(|(module, of)| {
            (module.clone(), map(of, &mut |number| aliases.get(&number).cloned().unwrap_or(TypeRef::Numbered(number))))
        })
        .collect();
    let order = order(&drafts, &roots);
    let same = unite(&mut drafts, &order);
    let names = give_names(&drafts, &order, &same, reserved);
    let mut finished = Finished { types: BTreeMap::new(), names, aliases };
    for number in order {
        if same[number] != number {
            continue;
        }
        let draft = &drafts[number];
        let mut shape = draft.shape.clone();
        shape.each_ref(&mut |of| *of = finished.named(of));
        if let Shape::Union(union) = &mut shape {
            let mut seen = Vec::new();
            union.variants.retain(|variant| {
                !seen.contains(&variant.of) && {
                    seen.push(variant.of.clone());
                    true
                }
            });
        }
        let Some(TypeRef::Named { module, name }) = finished.names.get(&number).cloned() else { continue };
        finished.types.entry(module).or_default().push(Type {
            name,
            description: draft.description.clone(),
            schema: format!("{}#{}", draft.at.document.id, draft.at.pointer),
            has_rules: draft.has_rules,
            shape,
        });
    }
    for types in finished.types.values_mut() {
        types.sort_by(|one, other| one.name.cmp(&other.name));
    }
    Ok(finished)
}

/// Follows each alias to its end.
fn settle_aliases(drafts: &[Draft<'_>], aliases: &HashMap<usize, TypeRef>) -> Result<HashMap<usize, TypeRef>> {
    fn settle(of: &TypeRef, aliases: &HashMap<usize, TypeRef>, way: &mut Vec<usize>) -> Option<TypeRef> {
        let mut is_endless = false;
        let settled = map(of, &mut |number| {
            let Some(next) = aliases.get(&number) else { return TypeRef::Numbered(number) };
            if way.contains(&number) {
                is_endless = true;
                return TypeRef::Json;
            }
            way.push(number);
            let settled = settle(next, aliases, way);
            way.pop();
            settled.unwrap_or_else(|| {
                is_endless = true;
                TypeRef::Json
            })
        });
        (!is_endless).then_some(settled)
    }
    let mut settled = HashMap::new();
    for number in aliases.keys().copied().collect::<BTreeSet<_>>() {
        let of = settle(&TypeRef::Numbered(number), aliases, &mut Vec::new());
        let of = of.ok_or_else(|| drafts[number].at.error("this schema is nothing but itself"))?;
        settled.insert(number, of);
    }
    Ok(settled)
}

/// A union that has itself as a branch would look for its value for ever.
fn refuse_endless_unions(drafts: &[Draft<'_>]) -> Result<()> {
    let branches = |number: usize| match &drafts[number].shape {
        Shape::Union(union) => union.variants.iter().filter_map(|variant| direct(&variant.of)).collect(),
        _ => Vec::new(),
    };
    for (number, draft) in drafts.iter().enumerate() {
        if reaches(number, number, &branches) {
            return Err(draft.at.error("this union is one of its own branches"));
        }
    }
    Ok(())
}

/// Puts on the heap whatever contains itself.
fn box_recursion(drafts: &mut [Draft<'_>]) {
    let parts: Vec<Vec<usize>> = drafts
        .iter()
        .map(|draft| {
            let mut shape = draft.shape.clone();
            let mut parts = Vec::new();
            shape.each_ref(&mut |of| parts.extend(direct(of)));
            parts
        })
        .collect();
    let parts_of = |number: usize| parts[number].clone();
    for (number, draft) in drafts.iter_mut().enumerate() {
        draft.shape.each_ref(&mut |of| {
            if direct(of).is_some_and(|part| part == number || reaches(part, number, &parts_of)) {
                *of = boxed(of);
            }
        });
    }
}

fn boxed(of: &TypeRef) -> TypeRef {
    match of {
        TypeRef::Nullable(of) => TypeRef::Nullable(Box::new(boxed(of))),
        of => TypeRef::Boxed(Box::new(of.clone())),
    }
}

/// The type whose values are stored inside, without a list or a map between.
fn direct(of: &TypeRef) -> Option<usize> {
    match of {
        TypeRef::Numbered(number) => Some(*number),
        TypeRef::Nullable(of) => direct(of),
        _ => None,
    }
}

/// Whether `from` leads to `to` in at least one step.
fn reaches(from: usize, to: usize, next: &dyn Fn(usize) -> Vec<usize>) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = next(from);
    while let Some(number) = open.pop() {
        if number == to {
            return true;
        }
        if seen.insert(number) {
            open.extend(next(number));
        }
    }
    false
}

/// The types that are used, those first that have the best claim to a name: what the own service
/// uses before what only others do, whole documents before parts, and then by place.
fn order(drafts: &[Draft<'_>], roots: &[(String, TypeRef)]) -> Vec<usize> {
    let mut used = BTreeSet::new();
    let mut own = BTreeSet::new();
    for (module, root) in roots {
        let mut open = numbers(root);
        let mut seen = BTreeSet::new();
        while let Some(number) = open.pop() {
            if seen.insert((number, module.clone())) {
                used.insert(number);
                if drafts[number].module == *module {
                    own.insert(number);
                }
                let mut shape = drafts[number].shape.clone();
                shape.each_ref(&mut |of| open.extend(numbers(of)));
            }
        }
    }
    let mut order: Vec<usize> = used.into_iter().collect();
    order.sort_by_key(|number| {
        let at = &drafts[*number].at;
        (Reverse(own.contains(number)), !at.pointer.is_empty(), at.document.id.clone(), key(at))
    });
    order
}

/// Finds types that are called alike and are alike; gives for each number the one that stands for it.
fn unite(drafts: &mut [Draft<'_>], order: &[usize]) -> Vec<usize> {
    let mut same: Vec<usize> = (0..drafts.len()).collect();
    loop {
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut changed = false;
        for &number in order {
            if same[number] != number {
                continue;
            }
            let draft = &drafts[number];
            let mut shape = draft.shape.clone();
            forget_prose(&mut shape);
            shape.each_ref(&mut |of| *of = map(of, &mut |number| TypeRef::Numbered(same[number])));
            let name = candidates(draft).into_iter().next().unwrap_or_default();
            let print = format!("{} {name} {shape:?}", draft.module);
            match known.get(&print) {
                Some(first) => {
                    same[number] = *first;
                    changed = true;
                }
                None => {
                    known.insert(print, number);
                }
            }
        }
        for number in 0..same.len() {
            same[number] = same[same[number]];
        }
        if !changed {
            return same;
        }
    }
}

fn forget_prose(shape: &mut Shape) {
    match shape {
        Shape::Struct(structure) => structure.fields.iter_mut().for_each(|field| field.description.clear()),
        Shape::Union(union) => union.variants.iter_mut().for_each(|variant| variant.description.clear()),
        Shape::Enum { .. } | Shape::Newtype(_) => {}
    }
}

fn give_names(
    drafts: &[Draft<'_>],
    order: &[usize],
    same: &[usize],
    reserved: &BTreeMap<String, Names>,
) -> HashMap<usize, TypeRef> {
    let mut taken = reserved.clone();
    let mut names = HashMap::new();
    for &number in order.iter().filter(|number| same[**number] == **number) {
        let draft = &drafts[number];
        let scope = taken.entry(draft.module.clone()).or_insert_with(|| Names::reserving(PRELUDE));
        let name = scope.take(&candidates(draft));
        names.insert(number, TypeRef::Named { module: draft.module.clone(), name });
    }
    for &number in order {
        if let Some(name) = names.get(&same[number]).cloned() {
            names.insert(number, name);
        }
    }
    names
}

/// What a schema could be called: by its title, or else by where it stands.
fn candidates(draft: &Draft<'_>) -> Vec<String> {
    let at = &draft.at;
    let title =
        at.value.get("title").and_then(Value::as_str).filter(|title| title.chars().any(|c| c.is_ascii_alphanumeric()));
    let by_title = title.map(pascal);
    let by_place = match (at.pointer.rsplitn(3, '/').collect::<Vec<_>>().as_slice(), &draft.variant) {
        ([_, "oneOf" | "anyOf", union], Some(variant)) => {
            let union = At { pointer: (*union).to_owned(), ..at.clone() };
            format!("{}{variant}", name_of_union(&union))
        }
        _ if at.pointer.is_empty() => pascal(stem(&at.document.id)),
        _ => name_of_place(at),
    };
    by_title.into_iter().chain([by_place]).collect()
}

/// The last part of an id without its extension.
fn stem(id: &str) -> &str {
    let last = id.rsplit('/').next().unwrap_or_default();
    last.strip_suffix(".json").unwrap_or(last)
}

/// The title of a union, or where it stands.
fn name_of_union(at: &At<'_>) -> String {
    let title = at.document.value.pointer(&at.pointer).and_then(|value| value.get("title")).and_then(Value::as_str);
    title.map_or_else(|| name_of_place(at), pascal)
}

/// The nearest title above, and the steps from there.
fn name_of_place(at: &At<'_>) -> String {
    let root = &at.document.value;
    let title = |value: &Value| value.get("title").and_then(Value::as_str).map(pascal);
    let mut name = title(root).unwrap_or_else(|| pascal(stem(&at.document.id)));
    let steps: Vec<String> =
        at.pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let mut value = root;
    let mut index = 0;
    while index < steps.len() {
        let step = steps[index].as_str();
        let next = steps.get(index + 1).map(String::as_str);
        let (suffix, taken) = match (step, next) {
            ("properties", Some(property)) => (pascal(property), 2),
            ("definitions" | "$defs", Some(definition)) => {
                name.clear();
                (pascal(definition), 2)
            }
            ("oneOf" | "anyOf" | "allOf", Some(branch)) => {
                (format!("Variant{}", branch.parse::<usize>().map_or(1, |branch| branch.saturating_add(1))), 2)
            }
            ("items", _) => ("Item".to_owned(), 1),
            ("additionalProperties", _) => ("Value".to_owned(), 1),
            (step, _) => (pascal(step), 1),
        };
        for step in &steps[index..index + taken] {
            value = child(value, step);
        }
        index += taken;
        // The title of the place itself was tried before.
        match title(value).filter(|_| index < steps.len()) {
            Some(title) => name = title,
            None => name.push_str(&suffix),
        }
    }
    name
}

fn child<'v>(value: &'v Value, step: &str) -> &'v Value {
    match value {
        Value::Array(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
        value => value.get(step),
    }
    .unwrap_or(&Value::Null)
}

fn numbers(of: &TypeRef) -> Vec<usize> {
    let mut found = Vec::new();
    map(of, &mut |number| {
        found.push(number);
        TypeRef::Numbered(number)
    });
    found
}

/// Replaces the numbers in the use of a type.
fn map(of: &TypeRef, replace: &mut dyn FnMut(usize) -> TypeRef) -> TypeRef {
    match of {
        TypeRef::Numbered(number) => replace(*number),
        TypeRef::List(of) => TypeRef::List(Box::new(map(of, replace))),
        TypeRef::Map(of) => TypeRef::Map(Box::new(map(of, replace))),
        TypeRef::Boxed(of) => TypeRef::Boxed(Box::new(map(of, replace))),
        // What stands behind a number may be nullable by itself.
        TypeRef::Nullable(of) => super::types::nullable(map(of, replace)),
        of => of.clone(),
    }
}
