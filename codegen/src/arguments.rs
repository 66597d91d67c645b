//! The command line.

use std::path::PathBuf;

use taskcluster_codegen::Sdk;

/// What `--help` says.
pub(crate) const HELP: &str = "\
Generates typed Rust from the references of TaskCluster services.

Usage: taskcluster-codegen <command>

Commands:
  list                       the services in the references
  show <service>             the code of a service's module
  check [<folder>]           whether the references make sense
  emit <folder> --out <dir>  a whole crate that depends on taskcluster-core
  model --json [<folder>]    the plain model, for generators of other languages

Options:
  --references <folder>      where the references are; without it ./api-references
  --services <a,b>           only these services
  --server                   show: the server side; emit: that too
  --out <dir>                emit: where the crate goes
  --sdk <path|version>       emit: the SDK that the crate depends on, as a folder (a clone of
                             its repository) or a version on the registry
  --help, --version

Example:
  taskcluster-codegen emit api-references --out ../my-clients --sdk .   # in a clone of the SDK
";

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) command: Command,
    pub(crate) references: PathBuf,
    /// Whether the command line says where they are.
    pub(crate) names_references: bool,
    pub(crate) services: Option<Vec<String>>,
    pub(crate) server: bool,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    Help,
    Version,
    List,
    Show,
    Check,
    Emit { out: PathBuf, sdk: Sdk },
    Model,
}

/// The words of the command line, sorted into options and the rest.
#[derive(Debug, Default)]
struct Words {
    plain: Vec<String>,
    references: Option<String>,
    services: Option<String>,
    out: Option<String>,
    sdk: Option<String>,
    server: bool,
    json: bool,
    help: bool,
    version: bool,
}

impl Arguments {
    /// Reads the command line, program name left out. What is wrong with it is said in one line.
    pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let words = Words::sort(args.into_iter())?;
        let server = words.server;
        let services =
            words.services.as_deref().map(|list| list.split(',').map(|name| name.trim().to_owned()).collect());
        let folder = |place: usize| words.plain.get(place).or(words.references.as_ref());
        let default = || "api-references".to_owned();
        let answer = |command, references: Option<&String>, services, most: usize| match words.plain.get(most) {
            Some(extra) => Err(format!("{extra:?} is one word too many")),
            None => Ok(Self {
                command,
                references: references.cloned().unwrap_or_else(default).into(),
                names_references: references.is_some(),
                services,
                server,
            }),
        };
        if words.help {
            return answer(Command::Help, None, None, usize::MAX);
        }
        if words.version {
            return answer(Command::Version, None, None, usize::MAX);
        }
        match words.plain.first().map(String::as_str) {
            None => Err("a command is missing".to_owned()),
            Some("help") => answer(Command::Help, None, None, usize::MAX),
            Some("list") => answer(Command::List, words.references.as_ref(), services, 1),
            Some("show") => match words.plain.get(1) {
                Some(service) => answer(Command::Show, words.references.as_ref(), Some(vec![service.clone()]), 2),
                None => Err("show: which service?".to_owned()),
            },
            Some("check") => answer(Command::Check, folder(1), services, 2),
            Some("model") if !words.json => Err("model: --json is the only form there is, say so".to_owned()),
            Some("model") => answer(Command::Model, folder(1), services, 2),
            Some("emit") => {
                let out = words.out.clone().ok_or("emit: --out says where the crate goes")?.into();
                let sdk = words.sdk.as_deref().map_or_else(Sdk::default, sdk);
                let references = folder(1).ok_or("emit: which folder of references?")?;
                answer(Command::Emit { out, sdk }, Some(references), services, 2)
            }
            Some(other) => Err(format!("there is no command {other:?}")),
        }
    }
}

impl Words {
    fn sort(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut words = Self::default();
        while let Some(arg) = args.next() {
            let (name, inline) = match arg.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (arg, None),
            };
            let place = match name.as_str() {
                "--references" => &mut words.references,
                "--services" => &mut words.services,
                "--out" => &mut words.out,
                "--sdk" => &mut words.sdk,
                _ => {
                    words.flag(&name, inline.is_some())?;
                    continue;
                }
            };
            *place = Some(inline.or_else(|| args.next()).ok_or_else(|| format!("{name} needs a value"))?);
        }
        Ok(words)
    }

    fn flag(&mut self, name: &str, has_value: bool) -> Result<(), String> {
        match name {
            "--server" => self.server = true,
            "--json" => self.json = true,
            "--help" | "-h" => self.help = true,
            "--version" | "-V" => self.version = true,
            name if name.starts_with('-') => return Err(format!("there is no option {name}")),
            name => self.plain.push(name.to_owned()),
        }
        if has_value { Err(format!("{name} takes no value")) } else { Ok(()) }
    }
}

/// A version begins with a digit or a comparison; anything else is a folder.
fn sdk(text: &str) -> Sdk {
    let is_version = text.starts_with(|c: char| c.is_ascii_digit() || "=^~*".contains(c));
    if is_version && !std::path::Path::new(text).exists() {
        Sdk::Version(text.to_owned())
    } else {
        Sdk::Path(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn commands_are_read() {
        assert!(matches!(parse("list").unwrap().command, Command::List));
        let show = parse("show queue --references=x --server").unwrap();
        assert_eq!(show.services.unwrap(), ["queue"]);
        assert!(show.server && show.references.ends_with("x"));
        let emit = parse("emit refs --out o --sdk 0.1 --services a,b").unwrap();
        assert!(matches!(emit.command, Command::Emit { sdk: Sdk::Version(_), .. }));
        assert_eq!(emit.services.unwrap(), ["a", "b"]);
        assert!(matches!(
            parse("emit refs --out o --sdk ../sdk").unwrap().command,
            Command::Emit { sdk: Sdk::Path(_), .. }
        ));
        assert!(matches!(parse("model --json refs").unwrap().command, Command::Model));
    }

    #[test]
    fn mistakes_are_named() {
        for (line, part) in [
            ("", "command"),
            ("shw", "shw"),
            ("show", "which service"),
            ("list more", "more"),
            ("emit refs", "--out"),
            ("emit refs --out", "needs a value"),
            ("check --sever", "--sever"),
            ("check --server=1", "takes no value"),
            ("model", "--json"),
        ] {
            let message = parse(line).unwrap_err();
            assert!(message.contains(part), "{line}: {message}");
        }
    }
}
