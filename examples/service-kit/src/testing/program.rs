//! Programs of services, as tests run them.

use std::path::Path;
use std::process::Command;

/// A program, in this folder, with nothing of our own environment that it would take for a setting: no variable that begins with
/// `variables`, such as `TC_QUEUE`.
pub fn program(executable: &str, variables: &str, folder: &Path) -> Command {
    let mut command = Command::new(executable);
    command.current_dir(folder);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with(variables)) {
        command.env_remove(name);
    }
    command
}

/// Runs it to its end: whether that was a good one, and what it said.
///
/// # Panics
/// When it cannot be run, or says what is no text.
pub fn output(command: &mut Command) -> (bool, String) {
    let output = command.output().expect("the program can be run");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).expect("it says text"))
}
