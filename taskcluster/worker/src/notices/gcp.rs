//! Google's notices: <https://cloud.google.com/compute/docs/instances/create-use-preemptible#handle_preemption>.

use std::time::Duration;

use http::{Method, StatusCode};

use super::{Complaint, Watch};

/// How long the server waits for a change before it answers all the same.
const WAIT: Duration = Duration::from_secs(60);

/// Wait until the instance is preempted.
pub(super) async fn notice(watch: &Watch) -> String {
    let (mut etag, mut complaint) = (None, Complaint::default());
    loop {
        match look(watch, &mut etag).await {
            Ok(true) => return "the instance is preempted".to_owned(),
            Ok(false) => complaint.over(),
            Err(why) => {
                complaint.say(&why);
                tokio::time::sleep(watch.interval).await;
            }
        }
    }
}

/// Whether it is preempted. What was answered last is answered again only after a while, so that nothing that happens between two
/// questions is missed.
async fn look(watch: &Watch, etag: &mut Option<String>) -> Result<bool, String> {
    let mut path = "/computeMetadata/v1/instance/preempted".to_owned();
    if let Some(etag) = etag {
        path += &format!("?wait_for_change=true&timeout_sec={}&last_etag={etag}", WAIT.as_secs());
    }
    let waits = if etag.is_some() { WAIT } else { Duration::ZERO };
    let answer = watch.ask(Method::GET, &path, ("metadata-flavor", "Google"), waits).await?;
    if answer.status != StatusCode::OK {
        return Err(format!("it answers {}", answer.status));
    }
    // Without one the server answers whenever it is asked.
    let last = answer.etag.ok_or("its answers have no ETag")?;
    *etag = Some(last);
    Ok(answer.text.trim() == "TRUE")
}
