//! Artifacts as files of a folder.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use flate2::write::MultiGzDecoder;
use http_body_util::BodyExt;
use taskcluster_core::transport::Body;
use tokio::io::AsyncWriteExt;

/// Where an artifact of that name is kept. Names that paths have no words for are written with `%`.
pub(super) fn place(folder: &Path, name: &str) -> PathBuf {
    let segments = name.split('/').map(|segment| match segment {
        "" => "%".to_owned(),
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        segment => segment.replace('\0', "%00"),
    });
    folder.join(segments.collect::<PathBuf>())
}

/// Write what is uploaded, without the compression if it is gzip: nobody undoes that for who looks at a file. Nothing is there under
/// the name before all of it is.
pub(super) async fn write(place: &Path, body: Body, is_gzip: bool) -> io::Result<()> {
    let folder = place.parent().ok_or_else(|| io::Error::other("an artifact without a folder"))?;
    tokio::fs::create_dir_all(folder).await?;
    let (file, path) = tempfile::NamedTempFile::new_in(folder)?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
    let mut body = body;
    let mut decoder = is_gzip.then(|| MultiGzDecoder::new(Vec::new()));
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
            match &mut decoder {
                Some(decoder) => {
                    decoder.write_all(&data)?;
                    file.write_all(&std::mem::take(decoder.get_mut())).await?;
                }
                None => file.write_all(&data).await?,
            }
        }
    }
    if let Some(decoder) = decoder {
        file.write_all(&decoder.finish()?).await?;
    }
    file.flush().await?;
    make_readable(&path)?;
    path.persist(place).map_err(|error| error.error)
}

/// Temporary files are their owner's alone; these are to be looked at.
fn make_readable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let folder = Path::new("/out");
        assert_eq!(place(folder, "public/a.txt"), Path::new("/out/public/a.txt"));
        assert_eq!(place(folder, "../../etc/passwd"), Path::new("/out/%2E%2E/%2E%2E/etc/passwd"));
        assert_eq!(place(folder, "/etc/passwd"), Path::new("/out/%/etc/passwd"));
        assert_eq!(place(folder, "a//b/."), Path::new("/out/a/%/b/%2E"));
    }
}
