//! The commands of the official shell client (v71), with each of their options long and short: all of them are understood here.

use clap::Parser as _;
use clap::error::ErrorKind;

use super::Cli;

const TASK: &str = "fN1SbArXTPSVFNUvaOlinQ";

/// A command line a line; `TASK` is an id.
const UNDERSTOOD: &str = "
api queue task TASK
api queue listTaskGroup TASK --limit 10 --continuationToken x
api queue status TASK --output file
api -o file queue status TASK
completions bash
completions bash completion.sh
completions fish completion.sh
completions powershell completion.sh
completions zsh completion.sh
config
config --format json --output file
config -f yaml -o file
config get config.rootUrl
config get config.clientId -f json
config config.rootUrl
download artifact TASK public/a a
download artifact TASK 0 public/a a
download object a/b a
from-now 1 day
from-now 2 days 3 hours
group cancel TASK
group cancel TASK --worker-type w --force
group cancel TASK -w w -f
group list TASK
group list TASK --all
group list TASK --running --failed --exception --complete --unscheduled --pending
group list TASK -a -r -f -e -c -u -p
group list TASK -arfecup
group status TASK
signin
signin --check
signin --csh --name n --expires 1d --scope a --scope b --port 0
signin -n n -s a -s b -p 0
slugid decode TASK
slugid encode 7cdd526c-0ad7-4cf4-9514-d52f68e96294
slugid generate
slugid generate --nice
slugid generate -n
task artifacts TASK
task artifacts TASK --run 0
task artifacts TASK -r 0
task cancel TASK
task cancel TASK --noop --confirm
task cancel TASK -n
task cancel TASK -c
task complete TASK
task complete TASK --noop --confirm
task complete TASK -n -c
task def TASK
task group TASK
task log TASK
task name TASK
task rerun TASK
task rerun TASK --noop --confirm --force
task rerun TASK -n -c -f
task rerun -ncf TASK
task retrigger TASK
task retrigger TASK --exact
task retrigger TASK -e
task run ubuntu true --provisioner p --worker-type w
task run --provisioner p --worker-type w --env A=1 -e B=2,C=3 --name n --description d --owner a@b --source s ubuntu sh -- -c true
task run --provisioner p --worker-type w --dependency TASK,TASK --dependency TASK --retries 2 ubuntu true
task status TASK
task status TASK --all-runs
task status TASK -a
task status TASK --run 0
task status TASK -r 0
version
version --short-version
version -s
--verbose task status TASK
task -v status TASK
task status TASK -v
help task status
task help status
";

/// What it has besides, and why that is not here stands in the README.
const NOT_HERE: &str = "
config help
config set config.rootUrl https://tc.example
config reset
d2g
update
validate-json
";

fn parsed(line: &str) -> Result<Cli, clap::Error> {
    let line = line.replace("TASK", TASK);
    Cli::try_parse_from(std::iter::once("taskcluster").chain(line.split_whitespace()))
}

#[test]
fn what_the_official_client_understands_is_understood() {
    for line in UNDERSTOOD.lines().filter(|line| !line.is_empty()) {
        match parsed(line) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::DisplayHelp, "{line}: {error}"),
        }
    }
    let template =
        ["taskcluster", "group", "list", TASK, "--format-string", "{{ .Status.TaskID }} {{ .Task.Metadata.Name }}"];
    assert!(Cli::try_parse_from(template).is_ok());
}

#[test]
fn the_exceptions_are_those_of_the_readme() {
    let readme = include_str!("../../README.md");
    for line in NOT_HERE.lines().filter(|line| !line.is_empty()) {
        let command = line.split_whitespace().take_while(|word| !word.contains('.')).collect::<Vec<_>>().join(" ");
        assert!(readme.contains(&format!("`{command}`")), "{command} is not named");
        // `config` takes any word, and then says that there is no such option.
        assert!(parsed(line).is_err() || line.starts_with("config "), "{line} is understood");
    }
}
