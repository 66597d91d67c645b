//! Image archives, renamed on their way.
//!
//! What `docker load` reads says itself what the image is to be called. A task that may bring an image could so replace one
//! that other tasks use. So an archive gets the worker's name for it, wherever names stand in it, and what Docker could take
//! for such a place by a detour is refused.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tar::{Archive, Builder, Entry, EntryType, Header};

use super::gauge::{Bounds, Measured};

/// The most that a list of images may take.
const LARGEST_LIST: u64 = 16 << 20;

/// Copy the archive of one image, which is to have these names and to become no more than the bounds allow.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] with a reason: it is none, or larger. [`io::ErrorKind::StorageFull`]: the disk is too small for
/// it. [`io::ErrorKind::BrokenPipe`]: nobody reads.
pub(super) fn rename(from: impl Read, to: impl Write, names: &[String], bounds: &Arc<Bounds>) -> io::Result<()> {
    // Readers of archives say in words of their own that they get no more.
    copy(from, to, names, bounds).map_err(|error| bounds.check().err().unwrap_or(error))
}

fn copy(from: impl Read, to: impl Write, names: &[String], bounds: &Arc<Bounds>) -> io::Result<()> {
    let mut archive = Archive::new(Limited { from, bounds });
    let mut copy = Copy { to: Builder::new(to), names, bounds, links: HashSet::new(), lists: 0 };
    for entry in archive.entries()? {
        copy.entry(entry?)?;
    }
    if copy.lists == 0 {
        return Err(bad("it holds no manifest.json, as docker save writes it"));
    }
    copy.to.into_inner()?.flush()
}

/// Fails instead of giving more bytes.
struct Limited<'a, R> {
    from: R,
    bounds: &'a Bounds,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.bounds.take(read as u64)?;
        Ok(read)
    }
}

struct Copy<'a, W: Write> {
    to: Builder<W>,
    names: &'a [String],
    bounds: &'a Arc<Bounds>,
    links: HashSet<PathBuf>,
    /// Lists of images met so far.
    lists: u32,
}

impl<W: Write> Copy<'_, W> {
    fn entry(&mut self, entry: Entry<'_, impl Read>) -> io::Result<()> {
        let path = plain(&entry.path()?)?;
        if path.ancestors().skip(1).any(|above| self.links.contains(above)) {
            return Err(bad(&format!("{} is reached through a link", path.display())));
        }
        let kind = entry.header().entry_type();
        match (path.to_str(), kind) {
            // The folder itself.
            (Some(""), EntryType::Directory) => Ok(()),
            (Some("manifest.json"), EntryType::Regular) => self.list(entry, &path, rename_in_manifest),
            (Some("index.json"), EntryType::Regular) => self.list(entry, &path, rename_in_index),
            // Names once more, for engines of long ago.
            (Some("repositories"), _) => Ok(()),
            (_, EntryType::Directory) => self.to.append_data(&mut fresh(kind, 0), &path, io::empty()),
            // Whatever its name is, it may be a layer.
            (_, EntryType::Regular) => {
                let mut header = fresh(kind, entry.size());
                let mut measured = Measured::new(entry, self.bounds);
                self.to.append_data(&mut header, &path, &mut measured)?;
                measured.finish()
            }
            // How a layer is told to be the same as another one.
            (_, EntryType::Symlink) if path.ends_with("layer.tar") => {
                let target = entry.link_name()?.ok_or_else(|| bad("it holds a link to nowhere"))?.into_owned();
                let mut header = fresh(kind, 0);
                self.to.append_link(&mut header, &path, target)?;
                self.links.insert(path);
                Ok(())
            }
            _ => Err(bad(&format!("{} is neither a file nor a directory", path.display()))),
        }
    }

    fn list(
        &mut self,
        entry: Entry<'_, impl Read>,
        path: &Path,
        rename: fn(&mut Value, &[String]) -> Result<(), &'static str>,
    ) -> io::Result<()> {
        if entry.size() > LARGEST_LIST {
            return Err(bad(&format!("its {} is too large", path.display())));
        }
        let mut list: Value =
            serde_json::from_reader(entry).map_err(|error| bad(&format!("{}: {error}", path.display())))?;
        rename(&mut list, self.names).map_err(|why| bad(&format!("{}: {why}", path.display())))?;
        let text = serde_json::to_vec(&list)?;
        let mut header = fresh(EntryType::Regular, text.len() as u64);
        self.lists += 1;
        self.to.append_data(&mut header, path, &*text)
    }
}

/// The header of an entry about which nothing else matters.
fn fresh(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
    header
}

/// A path in the archive, the only way to write it.
fn plain(path: &Path) -> io::Result<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => plain.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(bad(&format!("{} leads out of the archive", path.display())));
            }
        }
    }
    Ok(plain)
}

/// As Docker has written them since 2016.
fn rename_in_manifest(list: &mut Value, names: &[String]) -> Result<(), &'static str> {
    let images = list.as_array_mut().ok_or("it is no list of images")?;
    let [image] = images.as_mut_slice() else { return Err("it lists more or less than one image") };
    image.as_object_mut().ok_or("an image is an object")?.insert("RepoTags".to_owned(), json!(names));
    Ok(())
}

/// As the Open Container Initiative has it.
fn rename_in_index(list: &mut Value, names: &[String]) -> Result<(), &'static str> {
    let images = list.get_mut("manifests").and_then(Value::as_array_mut).ok_or("it lists no manifests")?;
    let [image] = images.as_mut_slice() else { return Err("it lists more or less than one image") };
    let image = image.as_object_mut().ok_or("an image is an object")?.clone();
    // An image has one name here, so it is listed once for each.
    *images = names
        .iter()
        .map(|name| {
            let annotations = json!({
                "io.containerd.image.name": format!("docker.io/library/{name}"),
                "org.opencontainers.image.ref.name": name.rsplit(':').next().unwrap_or(name),
            });
            let mut image = image.clone();
            image.insert("annotations".to_owned(), annotations);
            Value::Object(image)
        })
        .collect();
    Ok(())
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Packing(Builder<Vec<u8>>);

    impl Packing {
        fn new() -> Self {
            Self(Builder::new(Vec::new()))
        }

        fn file(mut self, path: &str, text: &str) -> Self {
            let mut header = fresh(EntryType::Regular, text.len() as u64);
            self.0.append_data(&mut header, path, text.as_bytes()).unwrap();
            self
        }

        fn link(mut self, kind: EntryType, path: &str, target: &str) -> Self {
            let mut header = fresh(kind, 0);
            self.0.append_link(&mut header, path, target).unwrap();
            self
        }

        fn renamed(self) -> Result<Vec<(String, String)>, String> {
            let mut out = Vec::new();
            let bounds = Bounds::new(1 << 20, None);
            rename(&*self.0.into_inner().unwrap(), &mut out, &["ours:1".to_owned()], &bounds)
                .map_err(|error| error.to_string())?;
            let mut archive = Archive::new(&*out);
            let entries = archive.entries().unwrap().map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                (entry.path().unwrap().display().to_string(), text)
            });
            Ok(entries.collect())
        }
    }

    const MANIFEST: &str = r#"[{"Config": "c.json", "RepoTags": ["debian:12"], "Layers": ["a/layer.tar"]}]"#;

    #[test]
    fn an_image_gets_our_name_and_keeps_its_content() {
        let long = format!("{}/layer.tar", "a".repeat(200));
        let packing = Packing::new()
            .file("c.json", "{}")
            .file(&long, "layer")
            .link(EntryType::Symlink, "b/layer.tar", "../a/layer.tar")
            .file("repositories", r#"{"debian": {"12": "x"}}"#)
            .file("./manifest.json", MANIFEST);
        let entries = packing.renamed().unwrap();
        let names: Vec<&str> = entries.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["c.json", &*long, "b/layer.tar", "manifest.json"]);
        assert_eq!(entries[1].1, "layer");
        let manifest: Value = serde_json::from_str(&entries[3].1).unwrap();
        assert_eq!(manifest, json!([{"Config": "c.json", "RepoTags": ["ours:1"], "Layers": ["a/layer.tar"]}]));
    }

    #[test]
    fn names_of_the_other_format_are_replaced_as_well() {
        let index =
            r#"{"manifests": [{"digest": "sha256:x", "annotations": {"io.containerd.image.name": "debian:12"}}]}"#;
        let entries = Packing::new().file("index.json", index).file("manifest.json", MANIFEST).renamed().unwrap();
        assert!(!entries.iter().any(|(_, text)| text.contains("debian")), "{entries:?}");
        assert!(entries[0].1.contains("docker.io/library/ours:1"));
    }

    #[test]
    fn detours_to_a_name_are_refused() {
        let with = |packing: Packing| packing.file("manifest.json", MANIFEST).renamed().unwrap_err();
        assert!(with(Packing::new().link(EntryType::Symlink, "x", ".")).contains("neither a file"));
        let through =
            Packing::new().link(EntryType::Symlink, "a/layer.tar", "..").file("a/layer.tar/manifest.json", "[]");
        assert!(with(through).contains("through a link"));
        let replaced = Packing::new().link(EntryType::Symlink, "manifest.json", "evil.json").file("evil.json", "[]");
        assert!(replaced.renamed().unwrap_err().contains("neither a file"));
        assert!(with(Packing::new().link(EntryType::Link, "y", "manifest.json")).contains("neither a file"));
    }

    #[test]
    fn what_grows_too_large_is_refused() {
        let packing = Packing::new().file("manifest.json", MANIFEST).file("layer", &"\0".repeat(1 << 20));
        assert!(packing.renamed().unwrap_err().contains("larger than this worker takes"));
    }

    #[test]
    fn what_holds_no_single_image_is_refused() {
        assert!(Packing::new().file("c.json", "{}").renamed().unwrap_err().contains("no manifest.json"));
        assert!(Packing::new().file("manifest.json", "[{}, {}]").renamed().unwrap_err().contains("one image"));
        assert!(Packing::new().file("manifest.json", "{").renamed().unwrap_err().contains("manifest.json"));
        let bounds = Bounds::new(1 << 20, None);
        assert!(rename(&b"\x1f\x8b not a tar"[..], &mut Vec::new(), &[], &bounds).is_err());
    }
}
