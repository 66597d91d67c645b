//! How the program ends: one number, and where something went wrong one line.

use std::process::ExitCode;

use crate::view::plain;

/// The meanings of the exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every task is green, or there was nothing to run; what was asked for is done.
    Green,
    /// At least one task is not green, or nobody takes it.
    NotGreen,
    /// A service refused, or could not be reached.
    Refused,
    /// It could not begin: bad use, bad input, a machine that does not let us.
    CouldNotBegin,
    /// The user said stop.
    Interrupted,
    /// A program that was run for the user ended with this code.
    Program(u8),
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        ExitCode::from(match outcome {
            Outcome::Green => 0,
            Outcome::NotGreen | Outcome::Refused => 1,
            Outcome::CouldNotBegin => 2,
            Outcome::Interrupted => 130,
            Outcome::Program(code) => code,
        })
    }
}

/// An error and its causes in one line, as it is shown to the user.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        let text = plain(&text.split_whitespace().collect::<Vec<_>>().join(" "));
        // Many errors repeat their source in their own text.
        if line.contains(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_without_repetition() {
        let error = anyhow::anyhow!("disk\n  \u{7}full").context("cannot write a: disk full").context("cannot begin");
        assert_eq!(one_line(&error), "cannot begin: cannot write a: disk full");
    }
}
