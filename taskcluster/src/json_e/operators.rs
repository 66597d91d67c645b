//! Objects with a key such as `$map`, which stand for what they come to.

use serde_json::{Map, Value};

use super::Result;
use super::expression::is_name;
use super::scope::Scope;
use super::template::Renderer;
use super::values::{self, float, is_true, kind};

const OPERATORS: [&str; 16] = [
    "$eval",
    "$find",
    "$flatten",
    "$flattenDeep",
    "$fromNow",
    "$if",
    "$json",
    "$let",
    "$map",
    "$match",
    "$merge",
    "$mergeDeep",
    "$reduce",
    "$reverse",
    "$sort",
    "$switch",
];

type Fields = Map<String, Value>;

/// The operator that an object is, if it is one.
pub(super) fn find(fields: &Fields) -> Result<Option<&'static str>> {
    let mut found = OPERATORS.iter().filter(|operator| fields.contains_key(**operator));
    let first = found.next().copied();
    if let (Some(first), Some(second)) = (first, found.next()) {
        return Err(format!("an object cannot be both {first} and {second}"));
    }
    match fields.keys().find(|key| key.strip_prefix('$').is_some_and(starts_a_name) && first.is_none()) {
        Some(key) => Err(format!("{key} is no operator; for a key that is called like this write ${key}")),
        None => Ok(first),
    }
}

/// Whether a key is one that would be an operator without its first `$`.
pub(super) fn is_escaped(key: &str) -> bool {
    key.strip_prefix("$$").is_some_and(|rest| starts_a_name(rest) || rest.starts_with('$'))
}

fn starts_a_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// What an operator is given.
struct Given<'t> {
    operator: &'static str,
    value: &'t Value,
    fields: &'t Fields,
}

impl<'t> Given<'t> {
    /// Refuses all keys besides the operator's own and these.
    fn only(&self, allowed: impl Fn(&str) -> bool) -> Result<()> {
        let mut unknown: Vec<&str> = self.others().map(|(key, _)| key).filter(|key| !allowed(key)).collect();
        unknown.sort_unstable();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(format!("{} has undefined properties: {}", self.operator, unknown.join(" ")))
    }

    fn others(&self) -> impl Iterator<Item = (&'t str, &'t Value)> {
        let operator = self.operator;
        self.fields.iter().map(|(key, value)| (key.as_str(), value)).filter(move |(key, _)| *key != operator)
    }

    /// The one property `each(a,b)` or `by(a)` with its names.
    fn with_names(&self, word: &str, counts: std::ops::RangeInclusive<usize>) -> Result<(Names<'t>, &'t Value)> {
        let mut found = self.others().filter_map(|(key, value)| Some((Names::read(key, word, &counts)?, value)));
        match (found.next(), found.next()) {
            (Some((names, value)), None) => Ok((names, value)),
            (Some(_), Some(_)) => Err(format!("{} can have only one {word}(…)", self.operator)),
            (None, _) => Err(format!("{} needs {word}(name)", self.operator)),
        }
    }
}

/// The property `each(a,b)`: itself, and the names in it.
struct Names<'t> {
    key: &'t str,
    names: Vec<&'t str>,
}

impl<'t> Names<'t> {
    fn read(key: &'t str, word: &str, counts: &std::ops::RangeInclusive<usize>) -> Option<Self> {
        let inside = key.strip_prefix(word)?.strip_prefix('(')?.strip_suffix(')')?;
        let names: Vec<&str> = inside.split(',').map(str::trim).collect();
        (counts.contains(&names.len()) && names.iter().all(|name| is_name(name))).then_some(Self { key, names })
    }
}

impl Renderer {
    pub(super) fn operate(
        &mut self,
        operator: &'static str,
        fields: &Fields,
        scope: &Scope<'_>,
    ) -> Result<Option<Value>> {
        let given = Given { operator, value: &fields[operator], fields };
        match operator {
            "$if" => {
                given.only(|key| key == "then" || key == "else")?;
                let branch = if is_true(&self.expression_of(&given, scope)?) { "then" } else { "else" };
                self.render_property(&given, branch, scope)
            }
            "$find" => self.find(&given, scope),
            "$switch" => self.switch(&given, scope),
            "$let" => self.let_names(&given, scope),
            "$eval" => {
                given.only(|_| false)?;
                self.expression_of(&given, scope).map(Some)
            }
            "$map" => self.map(&given, scope).map(Some),
            "$reduce" => self.reduce(&given, scope),
            "$match" => self.match_all(&given, scope).map(Some),
            "$sort" => self.sort(&given, scope).map(Some),
            "$fromNow" => {
                given.only(|key| key == "from")?;
                let reference = self.render_property(&given, "from", scope)?;
                let offset = self.operand(&given, scope)?;
                self.time_from_now(&offset, reference.as_ref(), scope).map(Some)
            }
            _ => {
                given.only(|_| false)?;
                let operand = self.operand(&given, scope)?;
                self.spend_for(&operand)?;
                transform(operator, operand).map(Some)
            }
        }
    }

    fn spend_for(&mut self, value: &Value) -> Result<()> {
        self.budget.spend_value(value)
    }

    /// The operator's own value, rendered.
    fn operand(&mut self, given: &Given<'_>, scope: &Scope<'_>) -> Result<Value> {
        let rendered = self.at(format!(".{}", given.operator), |renderer| renderer.render(given.value, scope))?;
        Ok(rendered.unwrap_or_default())
    }

    /// The operator's own value, which is an expression, evaluated.
    fn expression_of(&mut self, given: &Given<'_>, scope: &Scope<'_>) -> Result<Value> {
        let Value::String(expression) = given.value else {
            return Err(format!("{} takes an expression", given.operator));
        };
        self.at(format!(".{}", given.operator), |renderer| renderer.evaluate_text(expression, scope))
    }

    fn render_property(&mut self, given: &Given<'_>, key: &str, scope: &Scope<'_>) -> Result<Option<Value>> {
        let Some(template) = given.fields.get(key) else { return Ok(None) };
        self.at(format!(".{key}"), |renderer| renderer.render(template, scope))
    }

    /// A list that an operator works through.
    fn list(&mut self, given: &Given<'_>, scope: &Scope<'_>) -> Result<Vec<Value>> {
        match self.operand(given, scope)? {
            Value::Array(items) => {
                items.iter().try_for_each(|item| self.budget.spend_value(item))?;
                Ok(items)
            }
            other => Err(format!("{} works through a list, not a {}", given.operator, kind(&other))),
        }
    }

    fn let_names(&mut self, given: &Given<'_>, scope: &Scope<'_>) -> Result<Option<Value>> {
        given.only(|key| key == "in")?;
        if !given.fields.contains_key("in") {
            return Err("$let needs `in`".to_owned());
        }
        let Value::Object(values) = self.operand(given, scope)? else {
            return Err("$let takes an object of names and values".to_owned());
        };
        let mut inner = scope.inner();
        for (name, value) in values {
            if !is_name(&name) {
                return Err(format!("{name:?} cannot be a name: letters, digits and `_`, and no digit first"));
            }
            self.budget.spend_value(&value)?;
            inner.insert(&name, value);
        }
        self.render_property(given, "in", &inner)
    }

    fn map(&mut self, given: &Given<'_>, scope: &Scope<'_>) -> Result<Value> {
        given.only(|key| Names::read(key, "each", &(1..=2)).is_some())?;
        let (names, each) = given.with_names("each", 1..=2)?;
        match self.operand(given, scope)? {
            Value::Array(items) => {
                let mut mapped = Vec::with_capacity(items.len());
                for (index, item) in items.into_iter().enumerate() {
                    let inner = self.bind(scope, &names, [item, Value::from(index)])?;
                    mapped.extend(self.at(format!(".{}", names.key), |renderer| renderer.render(each, &inner))?);
                }
                Ok(Value::Array(mapped))
            }
            Value::Object(fields) => {
                let mut mapped = Map::new();
                let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
                fields.sort_by(|a, b| a.0.cmp(&b.0));
                for (key, value) in fields {
                    let key = Value::String(key);
                    let inner = if names.names.len() == 2 {
                        self.bind(scope, &names, [value, key])?
                    } else {
                        let pair = Map::from_iter([("key".to_owned(), key), ("val".to_owned(), value)]);
                        self.bind(scope, &names, [Value::Object(pair)])?
                    };
                    match self.at(format!(".{}", names.key), |renderer| renderer.render(each, &inner))? {
                        Some(Value::Object(fields)) => mapped.extend(fields),
                        _ => return Err("$map over an object makes objects of its properties".to_owned()),
                    }
                }
                Ok(Value::Object(mapped))
            }
            other => Err(format!("$map works through a list or an object, not a {}", kind(&other))),
        }
    }

    fn reduce(&mut self, given: &Given<'_>, scope: &Scope<'_>) -> Result<Option<Value>> {
        given.only(|key| key == "initial" || Names::read(key, "each", &(2..=3)).is_some())?;
        let (names, each) = given.with_names("each", 2..=3)?;
        let Some(initial) = given.fields.get("initial") else { return Err("$reduce needs `initial`".to_owned()) };
        let items = self.list(given, scope)?;
        self.budget.spend_value(initial)?;
        let mut so_far = initial.clone();
        for (index, item) in items.into_iter().enumerate() {
            let inner = self.bind(scope, &names, [so_far.clone(), item, Value::from(index)])?;
            let next = self.at(format!(".{}", names.key), |renderer| renderer.render(each, &inner))?;
            so_far = next.unwrap_or(so_far);
        }
        Ok(Some(so_far))
    }

    fn find(&mut self, given: &Given<'_>, scope: &Scope<'_>) -> Result<Option<Value>> {
        given.only(|key| Names::read(key, "each", &(1..=2)).is_some())?;
        let (names, each) = given.with_names("each", 1..=2)?;
        let Value::String(condition) = each else { return Err("each(…) of $find is an expression".to_owned()) };
        for (index, item) in self.list(given, scope)?.into_iter().enumerate() {
            let inner = self.bind(scope, &names, [item.clone(), Value::from(index)])?;
            let step = format!(".{}", names.key);
            if is_true(&self.at(step, |renderer| renderer.evaluate_text(condition, &inner))?) {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// A scope in which these values have the names, as far as there are names.
    fn bind<'p, const N: usize>(
        &mut self,
        scope: &'p Scope<'_>,
        names: &Names<'_>,
        values: [Value; N],
    ) -> Result<Scope<'p>> {
        let mut inner = scope.inner();
        for (name, value) in names.names.iter().zip(values) {
            self.budget.spend_value(&value)?;
            inner.insert(name, value);
        }
        Ok(inner)
    }

    fn match_all(&mut self, given: &Given<'_>, scope: &Scope<'_>) -> Result<Value> {
        given.only(|_| false)?;
        let mut rendered = Vec::new();
        for (condition, template) in cases(given)? {
            if is_true(&self.condition(given, condition, scope)?) {
                rendered.extend(self.case(given, condition, template, scope)?);
            }
        }
        Ok(Value::Array(rendered))
    }

    fn switch(&mut self, given: &Given<'_>, scope: &Scope<'_>) -> Result<Option<Value>> {
        given.only(|_| false)?;
        let mut chosen = None;
        let mut default = None;
        for (condition, template) in cases(given)? {
            if condition == "$default" {
                default = Some((condition, template));
            } else if is_true(&self.condition(given, condition, scope)?) {
                if chosen.is_some() {
                    return Err("$switch can have only one condition that is true".to_owned());
                }
                chosen = Some((condition, template));
            }
        }
        match chosen.or(default) {
            Some((condition, template)) => self.case(given, condition, template, scope),
            None => Ok(None),
        }
    }

    fn condition(&mut self, given: &Given<'_>, condition: &str, scope: &Scope<'_>) -> Result<Value> {
        self.at(format!(".{}", given.operator), |renderer| renderer.evaluate_text(condition, scope))
    }

    fn case(
        &mut self,
        given: &Given<'_>,
        condition: &str,
        template: &Value,
        scope: &Scope<'_>,
    ) -> Result<Option<Value>> {
        self.at(format!(".{}.{condition}", given.operator), |renderer| renderer.render(template, scope))
    }

    fn sort(&mut self, given: &Given<'_>, scope: &Scope<'_>) -> Result<Value> {
        given.only(|key| Names::read(key, "by", &(1..=1)).is_some())?;
        let items = self.list(given, scope)?;
        let mut keyed: Vec<(Value, Value)> = Vec::with_capacity(items.len());
        if given.fields.len() == 1 {
            keyed.extend(items.into_iter().map(|item| (item.clone(), item)));
        } else {
            let (names, by) = given.with_names("by", 1..=1)?;
            let Value::String(by) = by else { return Err("by(…) of $sort is an expression".to_owned()) };
            for item in items {
                let inner = self.bind(scope, &names, [item.clone()])?;
                let key = self.at(format!(".{}", names.key), |renderer| renderer.evaluate_text(by, &inner))?;
                keyed.push((key, item));
            }
        }
        if keyed.iter().all(|(key, _)| key.is_string()) {
            keyed.sort_by(|a, b| a.0.as_str().cmp(&b.0.as_str()));
        } else if keyed.iter().all(|(key, _)| key.is_number()) {
            let number = |value: &Value| value.as_number().map_or(0.0, float);
            keyed.sort_by(|a, b| number(&a.0).total_cmp(&number(&b.0)));
        } else {
            return Err("$sort needs values that are all texts or all numbers".to_owned());
        }
        Ok(keyed.into_iter().map(|(_, item)| item).collect())
    }
}

/// The conditions of `$match` and `$switch` with what they lead to, in order.
fn cases<'t>(given: &Given<'t>) -> Result<Vec<(&'t str, &'t Value)>> {
    let Value::Object(cases) = given.value else {
        return Err(format!("{} takes an object of conditions", given.operator));
    };
    let mut cases: Vec<(&str, &Value)> = cases.iter().map(|(condition, value)| (condition.as_str(), value)).collect();
    cases.sort_by_key(|(condition, _)| *condition);
    Ok(cases)
}

/// Operators that only change their operand.
fn transform(operator: &str, operand: Value) -> Result<Value> {
    if operator == "$json" {
        return Ok(Value::String(values::sorted(operand).to_string()));
    }
    let Value::Array(items) = operand else {
        return Err(format!("{operator} takes a list, not a {}", kind(&operand)));
    };
    match operator {
        "$reverse" => Ok(items.into_iter().rev().collect()),
        "$flatten" => Ok(flatten(items, 1)),
        "$flattenDeep" => Ok(flatten(items, usize::MAX)),
        _ => {
            let merge: fn(&mut Fields, Fields) = if operator == "$merge" { merge_flat } else { merge_deep };
            let mut merged = Map::new();
            for item in items {
                let Value::Object(fields) = item else { return Err(format!("{operator} takes a list of objects")) };
                merge(&mut merged, fields);
            }
            Ok(Value::Object(merged))
        }
    }
}

fn flatten(items: Vec<Value>, levels: usize) -> Value {
    let mut flat = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Value::Array(inner) if levels > 0 => match flatten(inner, levels - 1) {
                Value::Array(inner) => flat.extend(inner),
                other => flat.push(other),
            },
            other => flat.push(other),
        }
    }
    Value::Array(flat)
}

fn merge_flat(into: &mut Fields, from: Fields) {
    into.extend(from);
}

fn merge_deep(into: &mut Fields, from: Fields) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(into)), Value::Object(from)) => merge_deep(into, from),
            (Some(Value::Array(into)), Value::Array(from)) => into.extend(from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}
