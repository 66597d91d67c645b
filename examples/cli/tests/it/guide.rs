//! The files of the guide `writing-tasks.md` do what it says.

use crate::fixture::{Fixture, text};

const GUIDE: &str = include_str!("../../writing-tasks.md");

/// The files that a reader would paste, and the part of one.
fn blocks() -> Vec<&'static str> {
    GUIDE.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Runs a file of the guide, and gives what was printed.
fn run(file: &str) -> String {
    let output = Fixture::with(file).run(&[]);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}{}\n{file}", text(&output.stderr));
    stdout
}

#[test]
fn one_task_greets() {
    let stdout = run(blocks()[0]);
    assert!(stdout.ends_with("green: 1 green\n"), "{stdout}");
}

#[test]
fn two_tasks_hand_a_file_over() {
    let stdout = run(blocks()[1]);
    let at = |line: &str| stdout.find(line).unwrap_or_else(|| panic!("{line} in {stdout}"));
    assert!(at("build: green") < at("test: green"), "{stdout}");
    assert!(stdout.ends_with("green: 2 green\n"), "{stdout}");
}

#[test]
fn a_task_may_have_all_of_its_role() {
    let [file, _, scopes, ..] = blocks()[..] else { panic!("two files, a part, and more") };
    // It is indented as in the second file.
    let scopes = format!("    {}", scopes.trim_start()).replace("\n          -", "\n      -");
    run(&file.replace("    payload:", &format!("{scopes}    payload:")));
}

#[test]
fn a_program_decides() {
    // Its place is taken by one that looks whether everything is there that such a program needs.
    let program = "mkdir public; git cat-file -e $HEAD_REVISION; echo $TASK_ID $TASKCLUSTER_PROXY_URL >public/seen; test -d ../cache";
    let (ours, guide) = ("cargo run -q --bin decide", blocks()[3]);
    assert!(guide.contains(ours));
    let stdout = run(&guide.replace(ours, program));
    assert!(stdout.ends_with("green: 1 green\n"), "{stdout}");
}
