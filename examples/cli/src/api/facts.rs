//! What the reference says of a method, for its help.

use std::fmt::Write as _;

use taskcluster_core::operation::BLOB;
use taskcluster_core::{Operation, ScopeTemplate, Stability};

/// Route, stability, schemas and scopes, in lines.
pub(super) fn of(operation: &Operation) -> String {
    let Operation { method, service, version, route, .. } = operation;
    let stability = match operation.stability {
        Stability::Stable => "stable",
        Stability::Experimental => "experimental",
        Stability::Deprecated => "deprecated",
    };
    let mut text = format!("Call: {method} /api/{service}/{version}{route}\nStability: {stability}");
    let mut line = |name: &str, value: &str| {
        // Writing into a String cannot fail.
        let _ = write!(text, "\n{name}: {value}");
    };
    if let Some(schema) = operation.input {
        line("Body", &place(service, schema));
    }
    match operation.output {
        Some(BLOB) => line("Answer", "a stream, or other content that is no JSON"),
        Some(schema) => line("Answer", &place(service, schema)),
        None => {}
    }
    match operation.scopes {
        None => line("Scopes", "none"),
        Some(ScopeTemplate::Scope(scope)) => line("Scopes", scope),
        Some(template) => {
            line("Scopes", "");
            write_scopes(&mut text, template, 1);
        }
    }
    text.replace(": \n", ":\n")
}

/// Where a deployment publishes the schema.
fn place(service: &str, schema: &str) -> String {
    let schema = schema.trim_end_matches('#');
    if schema.starts_with('/') { schema.to_owned() } else { format!("/schemas/{service}/{schema}") }
}

fn write_scopes(text: &mut String, template: &ScopeTemplate, depth: usize) {
    let indent = "  ".repeat(depth);
    let mut line = |words: &str| {
        // Writing into a String cannot fail.
        let _ = write!(text, "\n{indent}{words}");
    };
    match *template {
        ScopeTemplate::Scope(scope) => line(scope),
        ScopeTemplate::AllOf(parts) | ScopeTemplate::AnyOf(parts) => {
            line(if matches!(template, ScopeTemplate::AllOf(_)) { "all of:" } else { "one of:" });
            parts.iter().for_each(|part| write_scopes(text, part, depth + 1));
        }
        ScopeTemplate::ForEach { variable, list, each } => line(&format!("for each <{variable}> of {list}: {each}")),
        ScopeTemplate::If { condition, then, otherwise } => {
            line(&format!("if {condition}:"));
            write_scopes(text, then, depth + 1);
            if let Some(otherwise) = otherwise {
                let _ = write!(text, "\n{indent}otherwise:");
                write_scopes(text, otherwise, depth + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::service;

    fn facts(of_service: &str, name: &str) -> String {
        let methods = service(of_service).unwrap().methods;
        of(methods.iter().find(|method| method.operation.name == name).unwrap().operation)
    }

    #[test]
    fn a_method_tells_its_route_and_scopes() {
        let text = facts("queue", "cancelTask");
        assert!(text.starts_with("Call: POST /api/queue/v1/task/<taskId>/cancel\nStability: stable\n"), "{text}");
        assert!(text.contains("\nAnswer: /schemas/queue/v1/task-status-response.json\n"), "{text}");
        assert!(text.contains("queue:cancel-task:<schedulerId>/<taskGroupId>/<taskId>"), "{text}");
        let text = facts("queue", "createTask");
        assert!(text.contains("\nScopes:\n  all of:\n    "), "{text}");
        assert!(text.contains("for each <"), "{text}");
        assert!(facts("queue", "ping").ends_with("\nScopes: none"));
    }
}
