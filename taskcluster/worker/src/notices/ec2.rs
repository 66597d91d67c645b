//! Amazon's notices: <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html>.

use std::time::Duration;

use http::{Method, StatusCode};

use super::{Complaint, Watch};

/// For how many seconds a session lasts: the longest that there is.
const SESSION: &str = "21600";

/// Wait until the instance is to be stopped, terminated or hibernated.
pub(super) async fn notice(watch: &Watch) -> String {
    let (mut session, mut complaint) = (None, Complaint::default());
    loop {
        match look(watch, &mut session).await {
            Ok(Some(notice)) => return notice,
            Ok(None) => complaint.over(),
            Err(why) => complaint.say(&why),
        }
        tokio::time::sleep(watch.interval).await;
    }
}

/// The notice, if there is one. Questions belong to a session, which the first one begins.
async fn look(watch: &Watch, session: &mut Option<String>) -> Result<Option<String>, String> {
    let token = match session {
        Some(token) => token.clone(),
        None => session.insert(begin(watch).await?).clone(),
    };
    let path = "/latest/meta-data/spot/instance-action";
    let answer = watch.ask(Method::GET, path, ("x-aws-ec2-metadata-token", &token), Duration::ZERO).await?;
    match answer.status {
        StatusCode::OK => Ok(Some(answer.text)),
        StatusCode::NOT_FOUND => Ok(None),
        StatusCode::UNAUTHORIZED => {
            *session = None;
            Err("the session is over".to_owned())
        }
        status => Err(format!("it answers {status}")),
    }
}

async fn begin(watch: &Watch) -> Result<String, String> {
    let header = ("x-aws-ec2-metadata-token-ttl-seconds", SESSION);
    let answer = watch.ask(Method::PUT, "/latest/api/token", header, Duration::ZERO).await?;
    if answer.status == StatusCode::OK { Ok(answer.text) } else { Err(format!("it answers {}", answer.status)) }
}
