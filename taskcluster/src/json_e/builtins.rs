//! The functions of JSON-e, and TaskCluster's `as_slugid`.

use serde_json::Value;
use taskcluster_core::ids::TaskId;
use taskcluster_core::time::{Timestamp, from_now};

use super::Result;
use super::scope::Scope;
use super::template::Renderer;
use super::values::{float, kind, number, text, whole};

/// A function that expressions may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builtin {
    Abs,
    Sqrt,
    Ceil,
    Floor,
    Min,
    Max,
    Number,
    Range,
    Str,
    Len,
    Lowercase,
    Uppercase,
    Strip,
    Lstrip,
    Rstrip,
    Join,
    Split,
    FromNow,
    Typeof,
    Defined,
    AsSlugid,
}

impl Builtin {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "abs" => Self::Abs,
            "sqrt" => Self::Sqrt,
            "ceil" => Self::Ceil,
            "floor" => Self::Floor,
            "min" => Self::Min,
            "max" => Self::Max,
            "number" => Self::Number,
            "range" => Self::Range,
            "str" => Self::Str,
            "len" => Self::Len,
            "lowercase" => Self::Lowercase,
            "uppercase" => Self::Uppercase,
            "strip" => Self::Strip,
            "lstrip" => Self::Lstrip,
            "rstrip" => Self::Rstrip,
            "join" => Self::Join,
            "split" => Self::Split,
            "fromNow" => Self::FromNow,
            "typeof" => Self::Typeof,
            "defined" => Self::Defined,
            "as_slugid" => Self::AsSlugid,
            _ => return None,
        })
    }
}

impl Renderer {
    pub(super) fn call_builtin(&mut self, function: Builtin, arguments: &[Value], scope: &Scope<'_>) -> Result<Value> {
        match function {
            Builtin::Abs => of_number(arguments, f64::abs),
            Builtin::Sqrt => of_number(arguments, f64::sqrt),
            Builtin::Ceil => of_number(arguments, f64::ceil),
            Builtin::Floor => of_number(arguments, f64::floor),
            Builtin::Min => of_numbers(arguments, f64::min),
            Builtin::Max => of_numbers(arguments, f64::max),
            Builtin::Number => {
                let [text] = texts(arguments)?;
                let parsed = text.parse().ok().and_then(|parsed| number(parsed).ok());
                parsed.ok_or_else(|| format!("{text:?} is no number"))
            }
            Builtin::Range => self.range(arguments),
            Builtin::Str => {
                let [value] = exactly(arguments)?;
                text(value).map(Value::String).ok_or_else(|| unsuitable(value))
            }
            Builtin::Len => match exactly(arguments)? {
                [Value::String(text)] => Ok(Value::from(text.chars().count())),
                [Value::Array(items)] => Ok(Value::from(items.len())),
                [other] => Err(unsuitable(other)),
            },
            Builtin::Lowercase => of_text(arguments, |text| text.to_lowercase()),
            Builtin::Uppercase => of_text(arguments, |text| text.to_uppercase()),
            Builtin::Strip => of_text(arguments, |text| text.trim().to_owned()),
            Builtin::Lstrip => of_text(arguments, |text| text.trim_start().to_owned()),
            Builtin::Rstrip => of_text(arguments, |text| text.trim_end().to_owned()),
            Builtin::Join => self.join(arguments),
            Builtin::Split => self.split(arguments),
            Builtin::FromNow => match arguments {
                [offset] => self.time_from_now(offset, None, scope),
                [offset, reference] => self.time_from_now(offset, Some(reference), scope),
                _ => Err("one argument or two are expected".to_owned()),
            },
            Builtin::Typeof => exactly(arguments).map(|[value]| Value::from(kind(value))),
            Builtin::Defined => {
                let [name] = texts(arguments)?;
                Ok(Value::Bool(scope.get(name).is_some() || Self::is_function(name)))
            }
            Builtin::AsSlugid => {
                let [label] = texts(arguments)?;
                self.budget.spend_text(label.len())?;
                let id = self.slugids.entry(label.to_owned()).or_insert_with(TaskId::new);
                Ok(Value::String(id.to_string()))
            }
        }
    }

    fn is_function(name: &str) -> bool {
        Builtin::named(name).is_some()
    }

    /// A time relative to another, or else to `now`.
    pub(super) fn time_from_now(&self, offset: &Value, reference: Option<&Value>, scope: &Scope<'_>) -> Result<Value> {
        let reference = reference.or_else(|| scope.get("now")).and_then(Value::as_str);
        let reference: Timestamp = match reference.map(str::parse) {
            Some(Ok(time)) => time,
            Some(Err(_)) | None => return Err("the time to start from is none".to_owned()),
        };
        let offset = offset.as_str().ok_or_else(|| unsuitable(offset))?;
        // JSON-e has two short forms that TaskCluster's own clients have not.
        let offset = offset.replace("yr", "y").replace("wk", "w");
        from_now(&offset, reference).map(|time| Value::String(time.to_string())).map_err(|error| error.to_string())
    }

    fn range(&mut self, arguments: &[Value]) -> Result<Value> {
        let number = |value: &Value| whole(value).ok_or_else(|| unsuitable(value));
        let (start, stop, step) = match arguments {
            [start, stop] => (number(start)?, number(stop)?, 1),
            [start, stop, step] => (number(start)?, number(stop)?, number(step)?),
            _ => return Err("two arguments or three are expected".to_owned()),
        };
        if step == 0 {
            return Err("the step cannot be 0".to_owned());
        }
        let mut items = Vec::new();
        let mut at = start;
        while if step > 0 { at < stop } else { at > stop } {
            self.budget.spend(1)?;
            items.push(Value::from(at));
            at += step;
        }
        Ok(Value::Array(items))
    }

    fn join(&mut self, arguments: &[Value]) -> Result<Value> {
        let [items, separator] = exactly(arguments)?;
        let Value::Array(items) = items else { return Err(unsuitable(items)) };
        let separator = text(separator).ok_or_else(|| unsuitable(separator))?;
        let mut joined = String::new();
        for (place, item) in items.iter().enumerate() {
            let item = text(item).ok_or_else(|| unsuitable(item))?;
            self.budget.spend_text(separator.len() + item.len())?;
            if place > 0 {
                joined.push_str(&separator);
            }
            joined.push_str(&item);
        }
        Ok(Value::String(joined))
    }

    fn split(&mut self, arguments: &[Value]) -> Result<Value> {
        let [whole, separator] = exactly(arguments)?;
        let Value::String(whole) = whole else { return Err(unsuitable(whole)) };
        let separator = text(separator).ok_or_else(|| unsuitable(separator))?;
        self.budget.spend(whole.len())?;
        Ok(if separator.is_empty() && !whole.is_empty() {
            whole.chars().map(|c| Value::String(c.into())).collect()
        } else if separator.is_empty() {
            Value::Array(vec![Value::from("")])
        } else {
            whole.split(&separator).map(Value::from).collect()
        })
    }
}

fn unsuitable(value: &Value) -> String {
    format!("a {} cannot be an argument here", kind(value))
}

fn exactly<const N: usize>(arguments: &[Value]) -> Result<&[Value; N]> {
    let arguments = arguments.try_into();
    arguments.map_err(|_| format!("{N} argument{} expected", if N == 1 { " is" } else { "s are" }))
}

fn texts<const N: usize>(arguments: &[Value]) -> Result<[&str; N]> {
    let arguments: &[Value; N] = exactly(arguments)?;
    if let Some(other) = arguments.iter().find(|value| !value.is_string()) {
        return Err(unsuitable(other));
    }
    Ok(arguments.each_ref().map(|value| value.as_str().unwrap_or_default()))
}

fn of_number(arguments: &[Value], function: fn(f64) -> f64) -> Result<Value> {
    match exactly(arguments)? {
        [Value::Number(n)] => number(function(float(n))),
        [other] => Err(unsuitable(other)),
    }
}

fn of_numbers(arguments: &[Value], function: fn(f64, f64) -> f64) -> Result<Value> {
    let mut numbers = Vec::with_capacity(arguments.len());
    for argument in arguments {
        numbers.push(float(argument.as_number().ok_or_else(|| unsuitable(argument))?));
    }
    numbers.into_iter().reduce(function).map_or_else(|| Err("a number is expected".to_owned()), number)
}

fn of_text(arguments: &[Value], function: fn(&str) -> String) -> Result<Value> {
    texts(arguments).map(|[text]| Value::String(function(text)))
}
