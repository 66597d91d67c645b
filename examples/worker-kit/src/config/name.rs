//! What a worker is called, where nobody says.

use std::io;
use std::path::Path;

use taskcluster_core::TaskId;

/// The longest part of the machine's name that is taken.
const MACHINE: usize = 24;

/// How many characters tell the workers of machines with one name apart: containers, for instance.
const CHANCE: usize = 8;

/// Remembers the name in the work directory.
const FILE: &str = "worker-id";

/// The longest name.
const LONGEST: usize = 38;

/// Whether the queue takes that as the name of a worker, or of a group of workers.
pub(super) fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(plain)
}

/// The name of the worker that has this work directory: the machine's and a few characters of chance, the same in each of its lives, so
/// that it finds the runs of the one before. Where that is not known yet it is made up, and remembered if the directory is there; so it
/// is on another machine, where the directory has come as part of an image.
pub(super) fn of_work_dir(work_dir: &Path) -> String {
    of_machine(work_dir, &rustix::system::uname().nodename().to_string_lossy())
}

fn of_machine(work_dir: &Path, machine: &str) -> String {
    let (file, begin) = (work_dir.join(FILE), beginning(machine));
    let is_ours = |name: &String| is_name(name) && name.rsplit_once('-').is_some_and(|(machine, _)| machine == begin);
    if let Some(known) = std::fs::read_to_string(&file).ok().filter(is_ours) {
        return known;
    }
    let name = made_up(&begin);
    // A look (`check`, `doctor`) leaves nothing behind where no worker has been.
    if work_dir.is_dir()
        && let Err(error) = write(&file, &name)
    {
        tracing::debug!(%error, file = %file.display(), "the name of this worker is not remembered");
    }
    name
}

/// Whole or not at all.
fn write(file: &Path, name: &str) -> io::Result<()> {
    let new = tempfile::NamedTempFile::new_in(file.parent().unwrap_or(Path::new(".")))?;
    std::fs::write(new.path(), name)?;
    new.persist(file)?;
    Ok(())
}

/// What there is of a machine's name in those of its workers.
fn beginning(machine: &str) -> String {
    let short = machine.split('.').next().unwrap_or_default();
    let short: String = short.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(MACHINE).collect();
    if short.is_empty() { "worker".to_owned() } else { short }
}

fn made_up(beginning: &str) -> String {
    let chance = TaskId::new().to_string().replace(['-', '_'], "0");
    format!("{beginning}-{}", &chance[..CHANCE])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_machine_gives_a_name_that_the_queue_takes() {
        for machine in ["desk", "web1.example.com", "", "ü", &"x".repeat(64)] {
            let (one, other) = (made_up(&beginning(machine)), made_up(&beginning(machine)));
            assert!(is_name(&one) && one != other, "{one}");
        }
        assert_eq!(beginning("web1.example.com"), "web1");
        for wrong in ["", "a.b", "a b", &"x".repeat(39)] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_worker_that_comes_back_is_the_same_and_another_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        assert_ne!(of_work_dir(&one), of_work_dir(&one), "nobody has worked there");
        assert!(!one.exists());
        std::fs::create_dir_all(&one).unwrap();
        std::fs::create_dir_all(&other).unwrap();
        let name = of_work_dir(&one);
        assert_eq!(of_work_dir(&one), name);
        assert_ne!(of_work_dir(&other), name);
        // A work directory that is part of an image comes to many machines.
        let (here, elsewhere) = (of_machine(&other, "here"), of_machine(&other, "else.where"));
        assert!(here.starts_with("here-") && elsewhere.starts_with("else-"), "{here} {elsewhere}");
        assert_eq!(of_machine(&other, "else.where"), elsewhere);
        std::fs::write(one.join(FILE), "a b").unwrap();
        assert_ne!(of_work_dir(&one), "a b");
    }
}
