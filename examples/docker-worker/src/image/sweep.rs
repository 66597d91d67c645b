//! Images that make room: those that the worker brought in and nobody uses, the least recently used first.

use std::collections::HashMap;

use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveImageOptions};
use taskcluster_core::time::Timestamp;
use taskcluster_worker::error::{Error, Result};

use super::Images;
use super::ledger::Entry;
use crate::docker::{answer, failed, is_not_found};

impl Images {
    /// Remove one. Says whether there was one that could be.
    ///
    /// # Errors
    /// [`Error::Worker`]: Docker, or the disk, does not obey.
    pub(crate) async fn make_room(&self, now: Timestamp) -> Result<bool> {
        self.find_announced(now).await?;
        for (id, entry) in self.ledger.unused() {
            if self.remove(&id, &entry).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What was being fetched when the worker was killed may have come all the same: Docker goes on.
    async fn find_announced(&self, now: Timestamp) -> Result<()> {
        for name in self.ledger.announced() {
            // Whoever fetches it now tells what became of it.
            let Some(_turn) = self.try_turn(&name) else { continue };
            let noted = match self.find(&name).await? {
                Some(found) => self.ledger.came(&found.id, &[name], now),
                None => self.ledger.forget_announced(&name),
            };
            noted.map_err(|error| Error::worker_caused("cannot note what became of an image", error))?;
        }
        Ok(())
    }

    /// Remove an image, unless somebody uses it or fetches it anew. Says whether anything was removed.
    async fn remove(&self, id: &str, entry: &Entry) -> Result<bool> {
        let mut turns = Vec::new();
        for name in &entry.names {
            match self.try_turn(name) {
                Some(turn) => turns.push(turn),
                None => return Ok(false),
            }
        }
        if self.ledger.is_in_use(id) || self.has_containers(id).await? {
            return Ok(false);
        }
        let mut removed = false;
        for name in &entry.names {
            // Somebody else may have given the name to another image.
            if self.find(name).await?.is_some_and(|found| found.id == id) {
                removed |= self.remove_by(name).await?;
            }
        }
        // Not where somebody else has a name for it.
        if self.names_of(id).await?.is_some_and(|names| names.is_empty()) {
            removed |= self.remove_by(id).await?;
        }
        let is_left = match self.names_of(id).await? {
            None => false,
            // Where ours are gone, it stays for somebody else. It may have been fetched under a name of theirs, which may go.
            Some(names) => names.is_empty() || entry.names.is_empty(),
        };
        if !is_left {
            self.ledger
                .removed(id)
                .map_err(|error| Error::worker_caused("cannot note that an image is gone", error))?;
        }
        if removed {
            tracing::info!(image = id, names = ?entry.names, "removed an image to make room on the disk");
        }
        Ok(removed)
    }

    /// Whether it was removed: Docker keeps what is the base of others, or used since we looked.
    async fn remove_by(&self, name: &str) -> Result<bool> {
        match self.docker.api.remove_image(name, None::<RemoveImageOptions>, None).await {
            Ok(_) => Ok(true),
            Err(error) if is_not_found(&error) => Ok(false),
            Err(error) if matches!(answer(&error), Some((409, _))) => Ok(false),
            Err(error) => Err(failed(format!("remove the image {name}"))(error)),
        }
    }

    /// Whether there is a container of it, whoever's, also one that has ended.
    async fn has_containers(&self, id: &str) -> Result<bool> {
        let filters = HashMap::from([("ancestor", vec![id])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        match self.docker.api.list_containers(Some(options)).await {
            Ok(containers) => Ok(!containers.is_empty()),
            // Of what is not there.
            Err(error) if is_not_found(&error) => Ok(false),
            Err(error) => Err(failed("list containers")(error)),
        }
    }

    /// The tags of an image, if it is here.
    async fn names_of(&self, id: &str) -> Result<Option<Vec<String>>> {
        match self.docker.api.inspect_image(id).await {
            Ok(image) => Ok(Some(image.repo_tags.unwrap_or_default())),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(failed(format!("look for the image {id}"))(error)),
        }
    }
}
