//! Credentials for what is not TaskCluster.
//!
//! This deployment hands out tokens for websocktunnel if it is given a secret. Of the rest nothing is configured, and
//! the answers are those that any deployment gives for a bucket, an account or an application that it does not know: a
//! client sees a missing thing, not a missing method.

use taskcluster::auth as wire;
use taskcluster_core::scopes::Params;
use taskcluster_server::{Call, Failure};

use super::{Answer, Settings};
use crate::websocktunnel;

pub(super) async fn aws_s3(
    call: &Call,
    level: &str,
    bucket: &str,
    prefix: &str,
) -> Answer<wire::AwsS3CredentialsResponse> {
    authorize_level(call, level).await?;
    if prefix.starts_with('/') {
        return Err(Failure::input_error(
            "The prefix must not start with a slash: it is compared to keys, and those start without one",
        ));
    }
    Err(Failure::not_found(format!("Bucket '{bucket}' is not one that this deployment gives access to")))
}

pub(super) fn azure_accounts() -> Answer<wire::AzureAccountListResponse> {
    Ok(wire::AzureAccountListResponse::new(Vec::<String>::new()).into())
}

pub(super) fn azure_account<T>(account: &str) -> Answer<T> {
    Err(Failure::not_found(format!("Account '{account}' is not one that this deployment gives access to")))
}

pub(super) async fn azure_access<T>(call: &Call, account: &str, level: &str) -> Answer<T> {
    authorize_level(call, level).await?;
    azure_account(account)
}

async fn authorize_level(call: &Call, level: &str) -> Result<(), Failure> {
    let read_only = match level {
        "read-only" => true,
        "read-write" => false,
        _ => return Err(Failure::invalid_arguments(format!("level '{level}' is neither read-only nor read-write"))),
    };
    call.authorize(Params::new().flag("levelIsReadOnly", read_only)).await
}

pub(super) fn sentry(project: &str) -> Answer<wire::SentryDsnResponse> {
    Err(Failure::not_found(format!("Sentry is not configured for this deployment, so there is no project '{project}'")))
}

pub(super) fn gcp(service_account: &str) -> Answer<wire::GcpCredentialsResponse> {
    Err(Failure::invalid_arguments(format!(
        "Service account '{service_account}' is not one that this deployment gives access to"
    )))
}

pub(super) async fn github(
    call: &Call,
    app_name: &str,
    owner: &str,
    payload: &wire::GitHubRepoTokenRequest,
) -> Answer<wire::GitHubRepoTokenResponse> {
    let permissions = serde_json::to_value(&payload.permissions).map_err(Failure::internal)?;
    let wanted: Vec<(&str, &str)> = permissions
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(permission, level)| Some((permission.as_str(), level.as_str()?)))
        .collect();
    let of_repository = |repository: &String| {
        let repository = repository.to_lowercase();
        wanted.iter().map(move |(permission, level)| format!("{repository}:{permission}:{level}")).collect::<Vec<_>>()
    };
    let needed = payload.repositories.iter().flat_map(of_repository);
    let owner = owner.to_lowercase();
    call.authorize(Params::new().text("owner", owner).list("repoPerms", needed)).await?;
    Err(Failure::not_found(format!("GitHub application '{app_name}' is not one that this deployment knows")))
}

pub(super) async fn websocktunnel(
    settings: &Settings,
    call: &Call,
    audience: String,
    client: String,
) -> Answer<wire::WebsocktunnelTokenResponse> {
    let audience_fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if !(1..=38).contains(&audience.len()) || !audience.bytes().all(audience_fits) {
        return Err(Failure::invalid_arguments("wstAudience must be 1 to 38 letters, digits, dashes or underscores"));
    }
    let client_fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_~.%-".contains(&byte);
    if client.is_empty() || !client.bytes().all(client_fits) {
        return Err(Failure::invalid_arguments("wstClient must be letters, digits or any of _ ~ . % -"));
    }
    let Some(secret) = &settings.websocktunnel_secret else {
        return Err(Failure::not_found("Websocktunnel is not configured for this deployment"));
    };
    let token = websocktunnel::token(secret, &audience, &client, call.client_id().await?, call.now());
    Ok(wire::WebsocktunnelTokenResponse::new(token.text, client, audience, token.expires).into())
}
