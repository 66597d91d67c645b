//! What is wrong with a payload, in words for its author.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

/// What is wrong. Where there are alternatives, what keeps the value from being the one that it is nearest to.
pub(super) fn reasons(error: &ValidationError<'_>) -> Vec<String> {
    match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            if let Some(names) = names_of_none(error, context) {
                return vec![format!("payload{}: it has none of {}", error.instance_path(), names.join(", "))];
            }
            if let Some(reason) = none_of_the_words(context) {
                return vec![reason];
            }
            let alternatives = context.iter().map(|errors| errors.iter().flat_map(reasons).collect::<Vec<_>>());
            alternatives
                .min_by_key(Vec::len)
                .filter(|nearest| !nearest.is_empty())
                .unwrap_or_else(|| vec![reason(error)])
        }
        _ => vec![reason(error)],
    }
}

/// Where alternatives have names, as those of an enum with a property for each, and the value has none of them: the names.
fn names_of_none<'a>(error: &ValidationError<'_>, context: &'a [Vec<ValidationError<'_>>]) -> Option<Vec<&'a str>> {
    let properties = error.instance().as_object()?.len();
    let here = |fault: &&ValidationError<'_>| fault.instance_path() == error.instance_path();
    let objects = context.iter().filter(|faults| !faults.iter().filter(here).any(is_of_type));
    let name = |faults: &'a Vec<ValidationError<'_>>| {
        let unknown = faults.iter().filter(here).find_map(|fault| match fault.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => Some(unexpected.len()),
            _ => None,
        });
        let mut missing = faults.iter().filter(here).filter_map(|fault| match fault.kind() {
            ValidationErrorKind::Required { property } => property.as_str(),
            _ => None,
        });
        let name = missing.next().filter(|_| missing.next().is_none())?;
        (unknown.unwrap_or_default() == properties).then_some(name)
    };
    objects.map(name).collect::<Option<Vec<_>>>().filter(|names| names.len() > 1)
}

/// Where alternatives are told apart by a word that each has, and the value has none of them: which there are.
fn none_of_the_words(context: &[Vec<ValidationError<'_>>]) -> Option<String> {
    let word = |fault: &&ValidationError<'_>| words(fault).is_some();
    let first = context.first()?.iter().find(word)?;
    let same = |fault: &&ValidationError<'_>| word(fault) && fault.instance_path() == first.instance_path();
    let each = context.iter().map(|faults| words(faults.iter().find(same)?));
    let all: Vec<Value> = each.collect::<Option<Vec<_>>>()?.concat();
    (context.len() > 1).then(|| none_of(first, &all))
}

/// The values that a fault would have had.
fn words(fault: &ValidationError<'_>) -> Option<Vec<Value>> {
    match fault.kind() {
        ValidationErrorKind::Constant { expected_value } => Some(vec![Value::clone(expected_value)]),
        ValidationErrorKind::Enum { options } => options.as_array().cloned(),
        _ => None,
    }
}

fn none_of(fault: &ValidationError<'_>, words: &[Value]) -> String {
    let words: Vec<String> = words.iter().map(Value::to_string).collect();
    format!("payload{}: {} is none of {}", fault.instance_path(), short(fault.instance().to_string()), words.join(", "))
}

fn is_of_type(fault: &ValidationError<'_>) -> bool {
    matches!(fault.kind(), ValidationErrorKind::Type { .. })
}

fn reason(error: &ValidationError<'_>) -> String {
    if let ValidationErrorKind::Enum { .. } = error.kind()
        && let Some(words) = words(error)
    {
        return none_of(error, &words);
    }
    format!("payload{}: {}", error.instance_path(), short(error.to_string()))
}

/// Texts quote the value; a large one would bury the reason.
fn short(mut text: String) -> String {
    if text.len() > 500 {
        let cut = (0..=500).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push('…');
    }
    text
}
