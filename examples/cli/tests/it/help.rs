//! What the program says of itself.

use crate::client::{alone, complaint};
use crate::fixture::{Fixture, finish, text};

fn says(args: &[&str]) -> String {
    // Help says what such variables are set to.
    let fixture = Fixture::empty();
    let mut command = alone(&fixture, args);
    let output = finish(command.env_remove("TASK_ID").env_remove("RUN_ID").spawn().unwrap());
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Changed on purpose: then the file is changed with it, by `BLESS=1`.
#[test]
fn help_is_what_stands_in_the_file() {
    let mut help = String::new();
    write_down(&[], &mut help);
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/help.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, &help).unwrap();
    }
    // Where the terminal is narrower or there is none, lines are as long as they are.
    assert_eq!(help, std::fs::read_to_string(&file).unwrap(), "BLESS=1 rewrites the file");
}

/// What a command says of itself, and after it what those below it say.
fn write_down(path: &[&str], help: &mut String) {
    // A worker's program says what it can be told itself.
    if path == ["native-worker"] {
        return;
    }
    let said = says(&[path, &["--help"]].concat());
    let said: Vec<&str> = said.lines().map(str::trim_end).collect();
    help.push_str(&format!("$ taskcluster {}\n{}\n\n", [path, &["--help"]].concat().join(" "), said.join("\n")));
    // What the references say stands there.
    if path == ["api"] {
        return;
    }
    let below = said.iter().skip_while(|line| **line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for line in below {
        let name =
            line.strip_prefix("  ").filter(|line| !line.starts_with(' ')).and_then(|line| line.split(' ').next());
        if let Some(name) = name.filter(|name| *name != "help") {
            write_down(&[path, &[name]].concat(), help);
        }
    }
}

#[test]
fn a_method_says_what_its_reference_says() {
    let help = says(&["api", "queue", "cancelTask", "--help"]);
    for part in [
        "Cancel Task\n",
        "Usage: taskcluster api queue cancelTask [OPTIONS] <taskId>",
        "Call: POST /api/queue/v1/task/<taskId>/cancel",
        "Stability: stable",
        "queue:cancel-task:<schedulerId>/<taskGroupId>/<taskId>",
        "--dry-run",
    ] {
        assert!(help.contains(part), "{part} in {help}");
    }
    assert!(!help.contains("--body") && !help.contains("--signed-url"), "{help}");
    let help = says(&["api", "queue", "listTaskGroup", "-h"]);
    for part in ["--continuationToken <TOKEN>", "--limit <NUMBER>", "--all", "--signed-url"] {
        assert!(help.contains(part), "{part} in {help}");
    }
    assert!(says(&["api", "queue", "createTask", "-h"]).contains("--body <FILE|-|JSON>"));
    let services = says(&["api", "--help"]);
    assert!(services.contains("worker-manager") && services.contains("jq -r"), "{services}");
    assert!(says(&["api", "index", "-h"]).contains("findTask "));
}

#[test]
fn shells_complete_methods_and_their_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = says(&["completions", shell]);
        for word in ["listTaskGroup", "from-now", "no-tty", "worker-manager"] {
            assert!(script.contains(word), "{word} for {shell}");
        }
        // What is made for fish does not reach as deep as the options of methods.
        for word in ["continuationToken", "signed-url"].iter().filter(|_| shell != "fish") {
            assert!(script.contains(word), "{word} for {shell}");
        }
    }
    let output = finish(alone(&Fixture::empty(), &["completions", "dos"]).spawn().unwrap());
    assert_eq!(output.status.code(), Some(2));
}

/// What bash does when somebody presses the tab key.
const TAB: &str = r#"
. ./completions
tab() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _taskcluster taskcluster "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"
    echo "${COMPREPLY[@]}"
}
tab taskcluster api work
tab taskcluster api queue listT
tab taskcluster api queue listTaskGroup --cont
tab taskcluster task ca
"#;

#[test]
fn bash_completes_services_methods_and_their_options() {
    let fixture = Fixture::empty();
    std::fs::write(fixture.folder().join("completions"), says(&["completions", "bash"])).unwrap();
    let mut bash = std::process::Command::new("bash");
    bash.args(["--norc", "--noprofile", "-c", TAB]).current_dir(fixture.folder());
    match bash.output() {
        Ok(output) => {
            let completed = "worker-manager\nlistTaskGroup listTaskQueues\n--continuationToken\ncancel\n";
            assert_eq!(text(&output.stdout), completed, "{}", text(&output.stderr));
        }
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "without bash there is nothing to see"),
    }
}

#[test]
fn times_and_ids_need_no_deployment() {
    let time = says(&["from-now", "2", "days"]);
    assert!(time.trim().parse::<taskcluster_core::Timestamp>().is_ok(), "{time}");
    let past = says(&["from-now", "-1h"]);
    assert!(past < time, "{past}");
    let (line, code) = complaint(&finish(alone(&Fixture::empty(), &["from-now", "soon"]).spawn().unwrap()));
    assert!(line.starts_with("'soon' is not a relative time"), "{line}");
    assert_eq!(code, Some(2));

    let id = says(&["slugid", "generate", "--nice"]);
    assert!(id.trim().parse::<taskcluster_core::TaskId>().is_ok(), "{id}");
    let uuid = says(&["slugid", "decode", id.trim()]);
    assert_eq!(says(&["slugid", "encode", uuid.trim()]), id);
    let (line, code) = complaint(&finish(alone(&Fixture::empty(), &["slugid", "encode", "x"]).spawn().unwrap()));
    assert_eq!((line.as_str(), code), ("\"x\" is not a version 4 UUID", Some(2)));
}
