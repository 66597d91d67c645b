//! `taskcluster provision simulate`: policies on a trace, without any deployment.

use std::path::Path;
use std::process::{Command, Output};

const SURROUNDINGS: &str = r#"{"name": "two", "market": [{"name": "m", "capacity": 1, "price": 3.6}], "boot": {"median": 60, "spread": 0}, "maxCapacity": 4}"#;

fn simulate(folder: &Path, trace: &str, more: &[&str]) -> Output {
    let file = folder.join("trace.jsonl");
    std::fs::write(&file, trace).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_taskcluster"));
    command.args(["provision", "simulate", "--trace"]).arg(file).args(more).env_clear();
    command.output().unwrap()
}

#[test]
fn policies_are_compared_and_drawn_without_a_deployment() {
    let folder = tempfile::tempdir().unwrap();
    let trace = format!("{SURROUNDINGS}\n[0, 60000]\n[1000, 60000]\n");
    let svg = folder.path().to_str().unwrap();
    let output = simulate(folder.path(), &trace, &["--ratio", "0", "--spare", "0", "--svg", svg]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("two: 2 tasks\n"), "{said}");
    for policy in ["steady", "historical"] {
        let line = said.lines().find(|line| line.starts_with(policy)).unwrap_or_else(|| panic!("{said}"));
        // Both tasks wait for a worker of their own, which takes a minute.
        assert!(line.contains("60.0s") && line.contains(" 2 "), "{line}");
    }
    let picture = std::fs::read_to_string(folder.path().join("two.svg")).unwrap();
    assert_eq!(picture.matches("<circle").count(), 2);
}

#[test]
fn what_is_kept_ready_is_tried_where_it_makes_a_difference() {
    let folder = tempfile::tempdir().unwrap();
    let trace = format!("{}\n[0, 60000]\n", SURROUNDINGS.replace("3.6", "0"));
    let output = simulate(folder.path(), &trace, &["--ratio", "0,0.5", "--spare", "1,2"]);
    let said = String::from_utf8(output.stdout).unwrap();
    let of = |policy: &str| said.lines().filter(|line| line.starts_with(policy)).count();
    assert_eq!((of("steady"), of("historical")), (4, 2), "{said}");
    assert!(said.contains("wait p95") && !said.contains("NaN"), "where nobody pays, nothing is cheaper: {said}");
}

#[test]
fn what_is_no_trace_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    for (trace, more, says) in [
        (format!("{SURROUNDINGS}\n[5, 1]\n[4, 1]\n"), &[][..], "line 3"),
        ("{}".to_owned(), &[], "line 1"),
        (SURROUNDINGS.to_owned(), &["--policy", "none-such"], "none-such"),
    ] {
        let output = simulate(folder.path(), &trace, more);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(says) && said.trim().lines().count() == 1, "{said}");
    }
}
