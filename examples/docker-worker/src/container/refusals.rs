//! Why the engine does not make or start a container: what is the task's fault is told from what is the engine's.

use bollard::errors::Error as ApiError;

use crate::docker::answer;

/// Why the command of a container could not be started, if that is what went wrong.
pub(super) fn reason_not_to_start(error: &ApiError) -> Option<String> {
    let (_, message) = answer(error)?;
    // "exec: \"x\": executable file not found in $PATH: unknown", after what the runtime says of itself.
    let reason = message.find("exec: ").map(|at| message[at + "exec: ".len()..].trim_end_matches(": unknown"))?;
    Some(reason.to_owned())
}

/// What is wrong with the description of a container, if its payload is to blame: names of variables, places of mounts.
pub(super) fn reason_not_to_make(error: &ApiError) -> Option<&str> {
    match answer(error)? {
        // A folder of the worker's own is gone.
        (_, message) if message.contains("bind source path does not exist") => None,
        (400, message) => Some(message),
        (_, message) => message.contains("is not a directory").then_some(message),
    }
}

/// What payload and image together make impossible, before any program of the task runs: a directory is mounted where the image has
/// a file, or the image names a user or a directory that it has not. It would be the same another time, and on another machine.
pub(super) fn reason_against_description(error: &ApiError) -> Option<&str> {
    const WORDS: [&str; 6] = [
        "not a directory",
        "unable to find user",
        "unable to find group",
        "no matching entries in passwd file",
        "no matching entries in group file",
        "chdir to cwd",
    ];
    let (_, message) = answer(error)?;
    WORDS.iter().any(|word| message.contains(word)).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_cannot_be_started_is_told_from_an_engine_that_fails() {
        let error =
            |message: &str| ApiError::DockerResponseServerError { status_code: 400, message: message.to_owned() };
        let started = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container \
                       process: exec: \"nosuch\": executable file not found in $PATH: unknown";
        let reason = reason_not_to_start(&error(started));
        assert_eq!(reason.as_deref(), Some("\"nosuch\": executable file not found in $PATH"));
        assert_eq!(reason_not_to_start(&error("driver failed programming external connectivity")), None);
    }

    #[test]
    fn what_payload_and_image_make_impossible_is_told_from_an_engine_that_fails() {
        let error =
            |message: &str| ApiError::DockerResponseServerError { status_code: 400, message: message.to_owned() };
        for message in [
            "error mounting \"/caches/0\" to rootfs at \"/etc/passwd\": not a directory: unknown",
            "unable to find user nosuch: no matching entries in passwd file",
        ] {
            assert_eq!(reason_against_description(&error(message)), Some(message));
        }
        assert_eq!(reason_against_description(&error("no space left on device")), None);
        assert_eq!(reason_not_to_make(&error("invalid mount config: bind source path does not exist: /x")), None);
    }
}
