//! Names in Rust for names on the wire.

use std::collections::BTreeSet;

/// Words that cannot be names, or that would hide something of the prelude.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "enum",
    "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move",
    "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Keywords that cannot even be written as `r#…`.
const UNUSABLE: &[&str] = &["self", "super", "crate", "Self", "_"];

/// Names that everybody's code has in scope: a `use taskcluster::queue::*` must not hide them.
pub(crate) const PRELUDE: &[&str] = &[
    "AsMut",
    "AsRef",
    "Box",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "Drop",
    "DoubleEndedIterator",
    "Eq",
    "Err",
    "ExactSizeIterator",
    "Extend",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "FromIterator",
    "Future",
    "Into",
    "IntoFuture",
    "IntoIterator",
    "Iterator",
    "None",
    "Ok",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Result",
    "Self",
    "Send",
    "Some",
    "String",
    "Sync",
    "ToOwned",
    "ToString",
    "TryFrom",
    "TryInto",
    "Unpin",
    "Vec",
    // Parameters of generated functions.
    "D",
    "S",
];

/// `taskId` → `["task", "Id"]`, `list-roles2` → `["list", "roles2"]`, `SASUrl` → `["SAS", "Url"]`.
fn words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (index, &c) in chars.iter().enumerate() {
        if !c.is_ascii_alphanumeric() {
            words.push(String::new());
            continue;
        }
        let before = index.checked_sub(1).map(|index| chars[index]);
        let after = chars.get(index + 1);
        let starts = c.is_ascii_uppercase()
            && (before.is_some_and(|before| before.is_ascii_lowercase() || before.is_ascii_digit())
                || (before.is_some_and(|before| before.is_ascii_uppercase())
                    && after.is_some_and(char::is_ascii_lowercase)));
        if starts {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The same names without the words that all of them end in, unless nothing would be left of one:
/// `Aws Identity Proof` and `Azure Identity Proof` → `Aws` and `Azure`.
pub(crate) fn without_common_end(names: &[&str]) -> Vec<String> {
    let mut all: Vec<Vec<String>> = names.iter().map(|name| words(name)).collect();
    let shares_end =
        |all: &[Vec<String>]| all.len() > 1 && all.iter().all(|words| words.len() > 1 && words.last() == all[0].last());
    while shares_end(&all) {
        all.iter_mut().for_each(|words| words.truncate(words.len() - 1));
    }
    all.iter().map(|words| words.join(" ")).collect()
}

/// The name of a field, a function, a module.
pub(crate) fn snake(name: &str) -> String {
    let joined = words(name).join("_").to_ascii_lowercase();
    usable(if joined.is_empty() { "empty".to_owned() } else { joined }, "n")
}

/// The name of a type or a variant.
pub(crate) fn pascal(name: &str) -> String {
    let joined: String = words(name)
        .iter()
        .map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
        })
        .collect();
    usable(if joined.is_empty() { "Empty".to_owned() } else { joined }, "N")
}

fn usable(name: String, before_digit: &str) -> String {
    if UNUSABLE.contains(&name.as_str()) {
        name + "_"
    } else if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("{before_digit}{name}")
    } else {
        name
    }
}

/// Whether a name must be written as `r#name`.
pub(crate) fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

/// The names of one scope, each given once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    pub(crate) fn reserving(names: &[&str]) -> Self {
        Self(names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// Takes the first of the candidates that is free, or else the last one with a number.
    pub(crate) fn take<S: AsRef<str>>(&mut self, candidates: &[S]) -> String {
        for candidate in candidates {
            if self.0.insert(candidate.as_ref().to_owned()) {
                return candidate.as_ref().to_owned();
            }
        }
        let last = candidates.last().map_or("empty", |last| last.as_ref().trim_end_matches('_'));
        let joint = if last.contains('_') || last.chars().all(|c| !c.is_ascii_uppercase()) { "_" } else { "" };
        let mut number = 2_usize;
        loop {
            let name = format!("{last}{joint}{number}");
            if self.0.insert(name.clone()) {
                return name;
            }
            number += 1;
        }
    }

    /// Takes a name, or says that it is taken.
    pub(crate) fn insert(&mut self, name: &str) -> bool {
        self.0.insert(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found() {
        for (wire, expected_snake, expected_pascal) in [
            ("taskId", "task_id", "TaskId"),
            ("azureTableSAS", "azure_table_sas", "AzureTableSas"),
            ("sentryDSN", "sentry_dsn", "SentryDsn"),
            ("listRoles2", "list_roles2", "ListRoles2"),
            ("awsS3Credentials", "aws_s3_credentials", "AwsS3Credentials"),
            ("worker-manager", "worker_manager", "WorkerManager"),
            ("S3 Artifact Request", "s3_artifact_request", "S3ArtifactRequest"),
            ("self", "self_", "Self_"),
            ("type", "type", "Type"),
            ("2nd", "n2nd", "N2nd"),
            ("über", "ber", "Ber"),
            ("…", "empty", "Empty"),
        ] {
            assert_eq!((snake(wire).as_str(), pascal(wire).as_str()), (expected_snake, expected_pascal), "{wire}");
        }
    }

    #[test]
    fn a_common_end_is_left_out() {
        assert_eq!(without_common_end(&["Aws Identity Proof", "Azure Identity Proof"]), ["Aws", "Azure"]);
        assert_eq!(without_common_end(&["Document", "Signed Document"]), ["Document", "Signed Document"]);
        assert_eq!(without_common_end(&["Task A", "Task B"]), ["Task A", "Task B"]);
        assert_eq!(without_common_end(&["Lone Wolf"]), ["Lone Wolf"]);
    }

    #[test]
    fn a_name_is_given_once() {
        let mut names = Names::reserving(&["String"]);
        assert_eq!(names.take(&["String", "TaskString"]), "TaskString");
        assert_eq!(names.take(&["String", "TaskString"]), "TaskString2");
        assert_eq!(names.take(&["a"]), "a");
        assert_eq!(names.take(&["a"]), "a_2");
    }
}
