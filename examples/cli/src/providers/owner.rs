//! By what things of this deployment's provisioner are known where others have things, too: at a Docker engine, in an account of AWS.
//!
//! Each provisioner ends what carries its mark and is not in its store. Neither root URL nor identifier tells two deployments apart:
//! most are `http://127.0.0.1:8080` with `local`. So it is drawn once for each data folder, and kept there. It is also
//! the name under which this provisioner leads: one that was killed and started again goes on at once.

use anyhow::Result;
use service_kit::data_dir::DataDir;
use taskcluster_core::ids::TaskId;

use crate::assemble::PROVISIONER_ID;

/// The file that keeps it.
const FILE: &str = "provisioner.owner";

/// The mark of the deployment that has this data folder.
pub(crate) fn of(data: &DataDir) -> Result<String> {
    if let Some(kept) = data.read(FILE)?.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) {
        return Ok(kept);
    }
    let drawn = format!("{PROVISIONER_ID} {}", TaskId::new());
    data.write(FILE, &format!("{drawn}\n"))?;
    Ok(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_data_folder_has_one_and_keeps_it() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mark = |folder: &tempfile::TempDir| of(&DataDir::open(folder.path()).unwrap()).unwrap();
        let first = mark(&a);
        assert_eq!(mark(&a), first);
        assert_ne!(mark(&b), first);
    }
}
