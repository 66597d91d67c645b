//! What path arguments and query parameters may look like.
//!
//! References name the arguments of an operation but do not say what values they take; this table does. An argument
//! keeps its meaning across operations and services, so it is looked up by name. What is not listed may be any text
//! that is not empty. None holds a NUL character: PostgreSQL cannot even be asked for such a text.

/// What a value has to look like.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// How the pattern is told to the caller.
    pub text: &'static str,
    /// Whether a value fits.
    pub matches: fn(&str) -> bool,
}

/// The pattern of a path argument.
#[must_use]
pub fn path_pattern(argument: &str) -> Pattern {
    let (text, matches): (_, fn(&str) -> bool) = match argument {
        "taskId" | "taskGroupId" | "taskGraphId" | "graphId" | "decisionTaskId" => {
            ("a slugid of 22 characters", is_slugid)
        }
        "runId" => ("a number from 0 to 1000", is_run_id),
        "provisionerId" | "workerType" | "workerGroup" | "workerId" | "schedulerId" => {
            ("1 to 38 letters, digits, - or _", is_identifier)
        }
        "taskQueueId" | "workerPoolId" => {
            ("<provisionerId>/<workerType>, the latter of a-z, 0-9 and - and beginning with a letter", is_task_queue_id)
        }
        "clientId" => ("letters, digits and any of ! @ / : . + | _ -", is_client_id),
        "projectId" => ("up to 500 letters, digits or any of . _ / -", is_project_id),
        "roleId" => ("printable ASCII characters", is_printable),
        "namespace" | "indexPath" => {
            ("words joined by dots, each of letters, digits and any of _ ! ~ * ' ( ) % -", is_index_path)
        }
        "name" => ("up to 1024 printable ASCII characters", is_name),
        _ => ("a text that is not empty and holds no NUL characters", is_text),
    };
    Pattern { text, matches }
}

/// The pattern of a query parameter.
#[must_use]
pub fn query_pattern(parameter: &str) -> Pattern {
    let (text, matches): (_, fn(&str) -> bool) = match parameter {
        "limit" => ("a number of at least 1", is_positive_number),
        "continuationToken" => ("a text that is not empty and holds no NUL characters", is_text),
        "quarantined" | "includeArchived" => ("true or false", is_boolean),
        _ => ("a text without NUL characters", has_no_nul),
    };
    Pattern { text, matches }
}

/// Whether an argument, the last of its route, may be left out: it is empty then.
pub(crate) fn may_be_empty(operation: &str, argument: &str) -> bool {
    // The topmost namespace has no name.
    matches!((operation, argument), ("listNamespaces" | "listTasks", "namespace"))
}

/// Whether an argument may span several segments of a path, slashes included.
pub(crate) fn is_wildcard(operation: &str, argument: &str) -> bool {
    match argument {
        "name" | "prefix" => true,
        "taskQueueId" => operation != "getTaskQueue",
        _ => false,
    }
}

fn is_slugid(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.len() == 22
        && bytes.iter().all(|&byte| is_word(byte))
        && matches!(bytes[8], b'Q'..=b'T')
        && b"CGKOSWaeimquy26-".contains(&bytes[10])
        && b"AQgw".contains(&bytes[21])
}

fn is_run_id(value: &str) -> bool {
    value.len() <= 4
        && value.bytes().all(|byte| byte.is_ascii_digit())
        && value.parse().is_ok_and(|run: u32| run <= 1000)
}

fn is_identifier(value: &str) -> bool {
    (1..=38).contains(&value.len()) && value.bytes().all(is_word)
}

/// The worker type is that of tasks: no other queue can ever hold one, and answers may not name it.
fn is_task_queue_id(value: &str) -> bool {
    value
        .split_once('/')
        .is_some_and(|(provisioner, worker_type)| is_identifier(provisioner) && is_worker_type(worker_type))
}

fn is_worker_type(value: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=38).contains(&value.len())
        && value.bytes().all(is_inner)
        && value.starts_with(|first: char| first.is_ascii_lowercase())
        && !value.ends_with('-')
}

fn is_client_id(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!@/:.+|_-".contains(&byte))
}

fn is_project_id(value: &str) -> bool {
    (1..=500).contains(&value.len()) && value.bytes().all(|byte| is_word(byte) || b"./".contains(&byte))
}

fn is_printable(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

fn is_index_path(value: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_!~*'()%-".contains(&byte);
    value.split('.').all(|word| !word.is_empty() && word.bytes().all(is_inner))
}

fn is_name(value: &str) -> bool {
    value.len() <= 1024 && is_printable(value)
}

fn is_text(value: &str) -> bool {
    !value.is_empty() && has_no_nul(value)
}

fn has_no_nul(value: &str) -> bool {
    !value.contains('\0')
}

fn is_positive_number(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) && value.bytes().any(|byte| byte != b'0')
}

fn is_boolean(value: &str) -> bool {
    matches!(value, "true" | "false")
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(argument: &str, value: &str) -> bool {
        (path_pattern(argument).matches)(value)
    }

    #[test]
    fn path_arguments() {
        assert!(fits("taskId", "fN1SbArXTPSVFNUvaOlinQ"));
        assert!(!fits("taskId", "fN1SbArXTPSVFNUvaOlin"));
        assert!(!fits("taskId", "fN1SbArXAPSVFNUvaOlinQ"), "not a version 4 uuid");
        assert!(fits("runId", "0") && fits("runId", "1000") && !fits("runId", "1001") && !fits("runId", "-1"));
        assert!(!fits("runId", "") && !fits("runId", "+1"));
        assert!(fits("taskQueueId", "prov/type") && !fits("taskQueueId", "prov") && !fits("taskQueueId", "a/b/c"));
        assert!(fits("taskQueueId", "P_/a") && fits("taskQueueId", "p/a-1") && fits("workerPoolId", "p/a"));
        for worker_type in ["", "A", "0", "-a", "a-", "a_b", &"a".repeat(39)] {
            assert!(!fits("taskQueueId", &format!("p/{worker_type}")), "{worker_type}");
        }
        assert!(fits("workerId", "i-0_9") && !fits("workerId", "a.b") && !fits("workerId", &"x".repeat(39)));
        assert!(fits("clientId", "mozilla-auth0/ad|x|y/z") && !fits("clientId", "a b"));
        assert!(fits("name", "public/build log.txt") && !fits("name", "ü") && !fits("name", ""));
        assert!(fits("name", &"x".repeat(1024)) && !fits("name", &"x".repeat(1025)));
        assert!(fits("namespace", "a-1.b_c.(d)") && fits("indexPath", "a") && !fits("indexPath", ""));
        assert!(!fits("namespace", "a..b") && !fits("namespace", ".a") && !fits("namespace", "a b"));
        assert!(fits("somethingElse", "x") && !fits("somethingElse", "") && !fits("somethingElse", "a\0b"));
    }

    #[test]
    fn query_parameters() {
        let fits = |parameter, value| (query_pattern(parameter).matches)(value);
        assert!(fits("limit", "1") && fits("limit", "99999999999"));
        assert!(!fits("limit", "0") && !fits("limit", "00") && !fits("limit", "") && !fits("limit", "-1"));
        assert!(!fits("continuationToken", ""));
        assert!(fits("prefix", "") && !fits("prefix", "\0") && !fits("continuationToken", "\0"));
        assert!(fits("quarantined", "true") && !fits("quarantined", "yes"));
    }
}
