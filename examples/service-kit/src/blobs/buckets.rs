//! Two storages for one service: what everybody may read can be kept apart.

use std::sync::Arc;

use super::Blobs;

/// Where private and public blobs are kept; most often that is the same place.
#[derive(Clone, Debug)]
pub struct Buckets {
    private: Arc<dyn Blobs>,
    public: Option<Arc<dyn Blobs>>,
}

impl Buckets {
    /// One for everything, and perhaps one for what everybody may read.
    pub fn new(private: Arc<dyn Blobs>, public: Option<Arc<dyn Blobs>>) -> Self {
        Self { private, public }
    }

    /// Whether public blobs have a place of their own.
    pub fn are_apart(&self) -> bool {
        self.public.is_some()
    }

    /// The place for public blobs, or for the others.
    pub fn of(&self, public: bool) -> &dyn Blobs {
        self.public.as_deref().filter(|_| public).unwrap_or(&*self.private)
    }
}

impl<B: Blobs> From<Arc<B>> for Buckets {
    fn from(blobs: Arc<B>) -> Self {
        Self::new(blobs, None)
    }
}
