//! Scope expressions.

use serde_json::Value;

use crate::error::Result;
use crate::load::At;
use crate::model::Scopes;

/// Reads an expression in either notation.
pub(crate) fn parse(at: &At<'_>) -> Result<Scopes> {
    match at.value {
        Value::String(scope) => Ok(Scopes::Scope(scope.clone())),
        Value::Array(_) => alternatives(at),
        Value::Object(_) => operator(at),
        _ => Err(at.error("a scope expression is a string or an object")),
    }
}

/// The notation of 2015: one of these lists must be held whole.
fn alternatives(at: &At<'_>) -> Result<Scopes> {
    let all = |at: At<'_>| {
        let scopes = at.strings()?.into_iter().map(|scope| Scopes::Scope(scope.to_owned())).collect();
        Ok(simplify(scopes, Scopes::AllOf))
    };
    let sets = at.items()?.into_iter().map(all).collect::<Result<Vec<_>>>()?;
    Ok(simplify(sets, Scopes::AnyOf))
}

fn simplify(mut parts: Vec<Scopes>, combine: fn(Vec<Scopes>) -> Scopes) -> Scopes {
    if parts.len() == 1 { parts.remove(0) } else { combine(parts) }
}

fn operator(at: &At<'_>) -> Result<Scopes> {
    let parts = |list: At<'_>| list.items()?.iter().map(parse).collect::<Result<Vec<_>>>();
    let text = |key| Ok(at.required(key)?.string()?.to_owned());
    if let Some(list) = at.get("AllOf") {
        return Ok(Scopes::AllOf(parts(list)?));
    }
    if let Some(list) = at.get("AnyOf") {
        return Ok(Scopes::AnyOf(parts(list)?));
    }
    if at.get("for").is_some() {
        return Ok(Scopes::ForEach { variable: text("for")?, list: text("in")?, each: text("each")? });
    }
    if at.get("if").is_some() {
        let otherwise = at.get("else").map(|otherwise| parse(&otherwise)).transpose()?;
        return Ok(Scopes::If {
            condition: text("if")?,
            then: Box::new(parse(&at.required("then")?)?),
            otherwise: otherwise.map(Box::new),
        });
    }
    Err(at.error("unknown operator in a scope expression"))
}
