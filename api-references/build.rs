//! Lists every JSON file of the references, so that whoever serves them carries them in the binary.

use std::path::{Path, PathBuf};
use std::{env, fmt::Write as _, fs, io};

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo::rerun-if-changed={}", folder.display());

    let mut files = Vec::new();
    collect(&folder, &folder, &mut files)?;
    files.sort();
    let mut list = String::from("&[\n");
    for (name, path) in &files {
        writeln!(list, "    ({name:?}, include_str!({path:?})),").expect("writing to a string does not fail");
    }
    list.push_str("]\n");
    fs::write(out.join("files.rs"), list)
}

/// Every `*.json` below `folder`, named by its path below `root` with `/` between the parts.
fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "json") {
            let below = path.strip_prefix(root).expect("found below it");
            let name: Vec<_> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            files.push((name.join("/"), path.display().to_string()));
        }
    }
    Ok(())
}
