//! What tests of workers' programs have in common.

use std::path::Path;
use std::process::Command;

/// Holds what a program and its commands say of themselves against a file, which `BLESS=1` rewrites.
///
/// Where that was changed on purpose, the file is changed with it.
///
/// # Panics
/// If they differ, or the program cannot say it.
pub fn help_is_what_stands_in(program: &Path, file: &Path) {
    let mut help = String::new();
    write_down(program, &[], &mut help);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(file, &help).expect("the file can be written");
    }
    let written = std::fs::read_to_string(file).unwrap_or_default();
    assert!(help == written, "{} is not what the program says; BLESS=1 rewrites it:\n{help}", file.display());
}

/// What a command says of itself, and after it what those below it say.
fn write_down(program: &Path, path: &[&str], help: &mut String) {
    let arguments = [path, &["--help"]].concat();
    let said = says(program, &arguments);
    let said: Vec<&str> = said.lines().map(str::trim_end).collect();
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    help.push_str(&format!("$ {name} {}\n{}\n\n", arguments.join(" "), said.join("\n")));
    let below = said.iter().skip_while(|line| **line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for line in below {
        let name =
            line.strip_prefix("  ").filter(|line| !line.starts_with(' ')).and_then(|line| line.split(' ').next());
        if let Some(name) = name.filter(|name| *name != "help") {
            write_down(program, &[path, &[name]].concat(), help);
        }
    }
}

/// With no variable set: help says what they are set to.
fn says(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env_clear().output().expect("the program can be run");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it is UTF-8")
}
