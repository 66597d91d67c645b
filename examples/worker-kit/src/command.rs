//! Commands of payloads, as one types them.

use serde_json::Value;

/// A line for each command that a payload names: it has one, as a list of words, or a list of such.
pub(crate) fn as_typed(payload: &Value) -> Vec<String> {
    let Some(command) = payload["command"].as_array() else { return Vec::new() };
    match command.iter().all(Value::is_string) {
        true if command.is_empty() => Vec::new(),
        true => vec![words(command)],
        false => command.iter().filter_map(Value::as_array).map(|command| words(command)).collect(),
    }
}

fn words(command: &[Value]) -> String {
    let plain =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c));
    let quote = |word: &str| if plain(word) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) };
    command.iter().filter_map(Value::as_str).map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_command_or_several_are_lines_that_a_shell_reads() {
        let lines = |command: Value| as_typed(&json!({"command": command}));
        assert_eq!(lines(json!(["sh", "-c", "echo it's"])), [r"sh -c 'echo it'\''s'"]);
        assert_eq!(lines(json!([["make"], ["make", ""]])), ["make", "make ''"]);
        assert_eq!(lines(json!([])), [""; 0]);
        assert_eq!(as_typed(&json!({})), [""; 0]);
    }
}
