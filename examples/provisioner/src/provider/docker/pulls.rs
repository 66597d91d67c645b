//! Images that are being pulled: each may take minutes, and no pass waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bollard::errors::Error as ApiError;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::TryStreamExt;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::ProviderError;
use super::image::Image;

/// So many at the same time; the others wait.
const AT_ONCE: usize = 2;

/// One that takes longer is given up.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// What came of one is known for so long: to all who wait for the same image. Then the registry is asked again.
const KNOWN: Duration = Duration::from_secs(60);

/// By their images.
#[derive(Debug)]
pub(super) struct Pulls {
    by_image: Mutex<HashMap<Image, Pull>>,
    room: Arc<Semaphore>,
    tracker: TaskTracker,
}

#[derive(Debug)]
struct Pull {
    end: Arc<OnceLock<(Instant, End)>>,
    /// A pull ends with who wants it.
    _task: AbortOnDropHandle<()>,
}

/// How a pull ended.
#[derive(Debug)]
enum End {
    Pulled,
    /// There is no such image, whoever asks when.
    Refused(String),
    /// It may come to something another time.
    Failed(String),
}

impl Default for Pulls {
    fn default() -> Self {
        let (by_image, tracker) = (Mutex::default(), TaskTracker::new());
        Self { by_image, room: Arc::new(Semaphore::new(AT_ONCE)), tracker }
    }
}

impl Pulls {
    /// Have an image pulled that the engine has not, and say how far that is.
    pub(super) fn want(&self, api: &bollard::Docker, image: &Image) -> ProviderError {
        let away = |message: String| ProviderError::Away { message, source: None };
        let mut pulls = self.by_image.lock().unwrap_or_else(PoisonError::into_inner);
        pulls.retain(|_, pull| pull.end.get().is_none_or(|(when, _)| when.elapsed() < KNOWN));
        let pulling = away(format!("the image {image} is being pulled"));
        let Some(pull) = pulls.get(image) else {
            pulls.insert(image.clone(), self.begin(api.clone(), image.clone()));
            return pulling;
        };
        match pull.end.get().map(|(_, end)| end) {
            None => pulling,
            Some(End::Refused(reason)) => ProviderError::Refused(format!("the image {image} cannot be had: {reason}")),
            Some(End::Failed(reason)) => {
                let failed = away(format!("the image {image} cannot be pulled, which is tried again: {reason}"));
                pulls.remove(image);
                failed
            }
            // It was removed since.
            Some(End::Pulled) => {
                pulls.insert(image.clone(), self.begin(api.clone(), image.clone()));
                pulling
            }
        }
    }

    fn begin(&self, api: bollard::Docker, image: Image) -> Pull {
        let end = Arc::new(OnceLock::new());
        let (room, told) = (Arc::clone(&self.room), Arc::clone(&end));
        let task = self.tracker.spawn(async move {
            let _room = room.acquire().await;
            tracing::info!(%image, "an image is pulled");
            let ended = tokio::time::timeout(LONGEST, pull(&api, &image)).await;
            let ended = ended.unwrap_or_else(|_| End::Failed(format!("it takes longer than {LONGEST:?}")));
            tracing::info!(%image, ?ended, "an image was pulled, or not");
            // Nobody else sets it.
            let _ = told.set((Instant::now(), ended));
        });
        Pull { end, _task: AbortOnDropHandle::new(task) }
    }
}

async fn pull(api: &bollard::Docker, image: &Image) -> End {
    let options = CreateImageOptionsBuilder::new().from_image(&image.repository).tag(image.version()).build();
    let pulled = api.create_image(Some(options), None, None).try_for_each(async |_| Ok(())).await;
    let Err(error) = pulled else { return End::Pulled };
    match refusal(&error) {
        Some(reason) => End::Refused(reason.to_owned()),
        None => End::Failed(taskcluster_core::chain(&error).to_string()),
    }
}

/// What a registry says of an image that it will never give. Source: what Docker engines 20 to 28 were seen to say; they tell it in
/// words only.
fn refusal(error: &ApiError) -> Option<&str> {
    let (status, text) = match error {
        ApiError::DockerStreamError { error } => (500, error.as_str()),
        ApiError::DockerResponseServerError { status_code, message } => (*status_code, message.as_str()),
        _ => return None,
    };
    let finally = [
        "not found",
        "manifest unknown",
        "name unknown",
        "no matching manifest",
        "invalid reference format",
        "repository name must be",
        "pull access denied",
        "unauthorized",
        "access forbidden",
    ];
    let is_final = status == 400 || finally.iter().any(|words| text.contains(words));
    // A registry whose own name is not found may be back in a minute.
    (is_final && !text.contains("dial tcp")).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_no_refusal() {
        let said = |error: &str| ApiError::DockerStreamError { error: error.to_owned() };
        assert!(refusal(&said("manifest for a:b not found: manifest unknown")).is_some());
        let denied = "pull access denied for a, repository does not exist".to_owned();
        assert!(refusal(&ApiError::DockerResponseServerError { status_code: 404, message: denied }).is_some());
        for passing in
            ["toomanyrequests: slow down", "dial tcp: lookup r.example on 8.8.8.8: not found", "unexpected EOF"]
        {
            assert_eq!(refusal(&said(passing)), None);
        }
        assert_eq!(refusal(&ApiError::RequestTimeoutError), None);
    }
}
