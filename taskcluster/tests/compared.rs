//! The tables of the README that compare this client with others name tests that exist.

use std::fs;
use std::path::Path;

/// Each row of the two tables: its cells.
fn rows() -> Vec<Vec<String>> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, compared) = readme.split_once("## Next to other clients\n").expect("the section is there");
    let (compared, _) = compared.split_once("\n## ").expect("another section follows");
    let lines = compared.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| feature |"));
    lines.map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// What stands in backticks.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_yes_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let rows = rows();
    assert!(rows.len() > 50, "only {} rows", rows.len());
    for row in rows {
        let [.., here, seen_by] = row.as_slice() else { panic!("{row:?}") };
        assert!(["yes", "partly", "no: "].iter().any(|word| here.starts_with(word)), "{row:?}");
        let mut file = None;
        let mut tests = 0;
        for name in names(seen_by) {
            if name.contains('/') {
                file = Some(fs::read_to_string(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}")));
            } else {
                let text = file.as_deref().unwrap_or_else(|| panic!("{row:?} begins with a file"));
                assert!(text.contains(&format!("fn {name}()")), "there is no test {name}: {row:?}");
                tests += 1;
            }
        }
        assert_eq!(tests > 0, !here.starts_with("no"), "{row:?}");
    }
}
