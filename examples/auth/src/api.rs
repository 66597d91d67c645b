//! The API: what each method asks of its caller, and what it answers. One file per group of methods.

use async_trait::async_trait;
use taskcluster::auth as wire;
use taskcluster_core::secret::Secret;
use taskcluster_server::auth::{
    AuthApi, AwsS3CredentialsQuery, AzureContainersQuery, AzureTablesQuery, GetEntityHistoryQuery,
    ListAuditHistoryQuery, ListClientsQuery, ListRoleIdsQuery, ListRoles2Query,
};
use taskcluster_server::{Call, Failure, Reply};

use crate::backend::Backend;

mod audit;
mod authenticate;
mod clients;
mod cloud;
mod roles;
mod scopes;

/// Rows of a page where the caller does not say.
const PAGE: u32 = 1000;

/// What the API needs beside the backend.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What tokens for websocktunnel are signed with; without it there are none.
    pub websocktunnel_secret: Option<Secret>,
}

/// The auth service as the generated router sees it.
#[derive(Clone, Debug)]
pub struct Api {
    backend: Backend,
    settings: Settings,
}

impl Api {
    /// The API over a backend.
    pub fn new(backend: Backend, settings: Settings) -> Self {
        Self { backend, settings }
    }
}

type Answer<T> = Result<Reply<T>, Failure>;

#[async_trait]
impl AuthApi for Api {
    async fn list_clients(&self, _: &Call, query: ListClientsQuery) -> Answer<wire::ListClientsResponse> {
        clients::list(&self.backend, query).await
    }

    async fn client(&self, _: &Call, client_id: String) -> Answer<wire::Client> {
        clients::get(&self.backend, &client_id).await
    }

    async fn create_client(
        &self,
        call: &Call,
        client_id: String,
        payload: wire::CreateClientRequest,
    ) -> Answer<wire::CreateClientResponse> {
        clients::create(&self.backend, call, &client_id, payload).await
    }

    async fn update_client(
        &self,
        call: &Call,
        client_id: String,
        payload: wire::CreateClientRequest,
    ) -> Answer<wire::Client> {
        clients::update(&self.backend, call, &client_id, payload).await
    }

    async fn reset_access_token(&self, call: &Call, client_id: String) -> Answer<wire::CreateClientResponse> {
        clients::reset(&self.backend, call, &client_id).await
    }

    async fn enable_client(&self, call: &Call, client_id: String) -> Answer<wire::Client> {
        clients::enable(&self.backend, call, &client_id).await
    }

    async fn disable_client(&self, call: &Call, client_id: String) -> Answer<wire::Client> {
        clients::disable(&self.backend, call, &client_id).await
    }

    async fn delete_client(&self, call: &Call, client_id: String) -> Answer<()> {
        clients::delete(&self.backend, call, &client_id).await
    }

    async fn list_roles(&self, _: &Call) -> Answer<Vec<wire::Role>> {
        roles::list(&self.backend).await
    }

    async fn list_roles2(&self, _: &Call, query: ListRoles2Query) -> Answer<wire::ListRoles2Response> {
        roles::list_pages(&self.backend, query).await
    }

    async fn list_role_ids(&self, _: &Call, query: ListRoleIdsQuery) -> Answer<wire::ListRoleIdsResponse> {
        roles::list_ids(&self.backend, query).await
    }

    async fn role(&self, _: &Call, role_id: String) -> Answer<wire::Role> {
        roles::get(&self.backend, &role_id).await
    }

    async fn create_role(&self, call: &Call, role_id: String, payload: wire::CreateRoleRequest) -> Answer<wire::Role> {
        roles::create(&self.backend, call, &role_id, payload).await
    }

    async fn update_role(&self, call: &Call, role_id: String, payload: wire::CreateRoleRequest) -> Answer<wire::Role> {
        roles::update(&self.backend, call, &role_id, payload).await
    }

    async fn delete_role(&self, call: &Call, role_id: String) -> Answer<()> {
        roles::delete(&self.backend, call, &role_id).await
    }

    async fn expand_scopes(&self, _: &Call, payload: wire::ScopeSet) -> Answer<wire::ScopeSet> {
        scopes::expand(&self.backend, &payload)
    }

    async fn current_scopes(&self, call: &Call) -> Answer<wire::ScopeSet> {
        scopes::current(call).await
    }

    async fn authenticate_hawk(
        &self,
        _: &Call,
        payload: wire::AuthenticateHawkRequest,
    ) -> Answer<wire::AuthenticateHawkResponse> {
        authenticate::hawk(&self.backend, payload).await
    }

    async fn test_authenticate(
        &self,
        call: &Call,
        payload: wire::TestAuthenticateRequest,
    ) -> Answer<wire::TestAuthenticateResponse> {
        authenticate::test(call, payload).await
    }

    async fn test_authenticate_get(&self, call: &Call) -> Answer<wire::TestAuthenticateResponse> {
        authenticate::test_get(call).await
    }

    async fn get_entity_history(
        &self,
        _: &Call,
        entity_type: String,
        entity_id: String,
        query: GetEntityHistoryQuery,
    ) -> Answer<wire::AuditHistoryResponse> {
        audit::of_entity(&self.backend, entity_type, entity_id, query).await
    }

    async fn list_audit_history(
        &self,
        _: &Call,
        client_id: String,
        query: ListAuditHistoryQuery,
    ) -> Answer<wire::AuditHistoryResponse> {
        audit::by_client(&self.backend, client_id, query).await
    }

    async fn aws_s3_credentials(
        &self,
        call: &Call,
        level: String,
        bucket: String,
        prefix: String,
        _: AwsS3CredentialsQuery,
    ) -> Answer<wire::AwsS3CredentialsResponse> {
        cloud::aws_s3(call, &level, &bucket, &prefix).await
    }

    async fn azure_accounts(&self, _: &Call) -> Answer<wire::AzureAccountListResponse> {
        cloud::azure_accounts()
    }

    async fn azure_tables(
        &self,
        _: &Call,
        account: String,
        _: AzureTablesQuery,
    ) -> Answer<wire::AzureTableListResponse> {
        cloud::azure_account(&account)
    }

    async fn azure_table_sas(
        &self,
        call: &Call,
        account: String,
        _: String,
        level: String,
    ) -> Answer<wire::AzureTableAccessResponse> {
        cloud::azure_access(call, &account, &level).await
    }

    async fn azure_containers(
        &self,
        _: &Call,
        account: String,
        _: AzureContainersQuery,
    ) -> Answer<wire::AzureContainerListResponse> {
        cloud::azure_account(&account)
    }

    async fn azure_container_sas(
        &self,
        call: &Call,
        account: String,
        _: String,
        level: String,
    ) -> Answer<wire::AzureContainerAccessResponse> {
        cloud::azure_access(call, &account, &level).await
    }

    async fn sentry_dsn(&self, _: &Call, project: String) -> Answer<wire::SentryDsnResponse> {
        cloud::sentry(&project)
    }

    async fn websocktunnel_token(
        &self,
        call: &Call,
        wst_audience: String,
        wst_client: String,
    ) -> Answer<wire::WebsocktunnelTokenResponse> {
        cloud::websocktunnel(&self.settings, call, wst_audience, wst_client).await
    }

    async fn gcp_credentials(
        &self,
        _: &Call,
        _: String,
        service_account: String,
    ) -> Answer<wire::GcpCredentialsResponse> {
        cloud::gcp(&service_account)
    }

    async fn github_repo_token(
        &self,
        call: &Call,
        app_name: String,
        owner: String,
        payload: wire::GitHubRepoTokenRequest,
    ) -> Answer<wire::GitHubRepoTokenResponse> {
        cloud::github(call, &app_name, &owner, &payload).await
    }
}
