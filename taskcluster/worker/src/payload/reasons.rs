//! What is wrong with a payload, in words for its author.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;

/// What is wrong. Where there are alternatives, what keeps the value from being the one that it is nearest to.
pub(super) fn reasons(error: &ValidationError<'_>) -> Vec<String> {
    match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            let alternatives = context.iter().map(|errors| errors.iter().flat_map(reasons).collect::<Vec<_>>());
            alternatives
                .min_by_key(Vec::len)
                .filter(|nearest| !nearest.is_empty())
                .unwrap_or_else(|| vec![reason(error)])
        }
        _ => vec![reason(error)],
    }
}

fn reason(error: &ValidationError<'_>) -> String {
    let path = error.instance_path().to_string();
    let mut text = error.to_string();
    // Error texts quote the instance; a large one would bury the reason.
    if text.len() > 500 {
        let cut = (0..=500).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push('…');
    }
    format!("payload{path}: {text}")
}
