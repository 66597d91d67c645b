use std::collections::HashSet;
use std::fmt;
use std::fmt::Display;
use std::future::{Future, IntoFuture};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use url::Url;

use super::{Request, decode, push_query};
use crate::caller::Caller;
use crate::error::Error;
use crate::operation::Operation;

/// An answer that is one page of a list. Generated code implements it.
pub trait Page {
    /// What the list holds.
    type Item;

    /// What to ask the next page with; `None` on the last page.
    fn continuation_token(&self) -> Option<&str>;

    /// The items of this page; there may be none although others follow.
    fn into_items(self) -> Vec<Self::Item>;
}

/// A call whose answer is a list in pages. Awaiting it gives one page; [`stream`](Self::stream) gives all items,
/// fetching pages as they are needed, and [`all`](Self::all) gives them at once. Settings such as
/// [`retries`](Self::retries) hold for each page.
///
/// ```
/// # use taskcluster_core::transport::testing::ScriptedTransport;
/// # use taskcluster_core::{Caller, Error, Method, Operation, Page, Paged, Stability};
/// # use futures_util::TryStreamExt;
/// # static LIST: Operation = Operation {
/// #     service: "auth", version: "v1", name: "listThings", method: Method::Get, route: "/things", args: &[],
/// #     query: &["limit", "continuationToken"], input: None, output: Some("v1/things.json#"), scopes: None,
/// #     idempotent: true, stability: Stability::Stable,
/// # };
/// # #[derive(serde::Deserialize)]
/// # struct Things { things: Vec<String>, #[serde(rename = "continuationToken")] token: Option<String> }
/// # impl Page for Things {
/// #     type Item = String;
/// #     fn continuation_token(&self) -> Option<&str> { self.token.as_deref() }
/// #     fn into_items(self) -> Vec<String> { self.things }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let answers = || ScriptedTransport::new()
/// #     .on("auth.listThings", serde_json::json!({ "things": ["a", "b"], "continuationToken": "more" }))
/// #     .on("auth.listThings", serde_json::json!({ "things": ["c"] }));
/// # let caller = |script: ScriptedTransport| Caller::builder("https://tc.example.com").transport(&script).build();
/// # let list = || Ok::<_, Error>(Paged::<Things>::new(&caller(answers())?, &LIST, &[]));
/// // `list()` stands for a generated method, such as `tc.auth().list_clients()`.
/// let mut things = list()?.limit(2).stream(); // with `futures_util::TryStreamExt`
/// while let Some(thing) = things.try_next().await? {
///     println!("{thing}");
/// }
/// assert_eq!(list()?.all().await?, ["a", "b", "c"]);
/// # Ok(())
/// # }
/// ```
#[must_use = "a request is sent by awaiting it or its stream"]
pub struct Paged<P> {
    request: Request<P>,
    limit: Option<u32>,
    token: Option<String>,
}

crate::__request_settings!(Paged<P>);

impl<P> Paged<P> {
    /// A call of `operation` with the arguments of its path, as [`Request::new`].
    pub fn new(caller: &Caller, operation: &'static Operation, args: &[&dyn Display]) -> Self {
        Self { request: Request::new(caller, operation, args), limit: None, token: None }
    }

    /// With at most this many items per page. The services take up to 1000, which is also their default.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Begins at the page that this token of an earlier page stands for.
    pub fn continuation_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// With this body, as JSON.
    pub fn with_body(mut self, body: &(impl serde::Serialize + ?Sized)) -> Self {
        self.request = self.request.with_body(body);
        self
    }

    /// With another query parameter.
    pub fn query(mut self, name: &str, value: impl Display) -> Self {
        self.request = self.request.query(name, value);
        self
    }

    /// The method that is called.
    pub fn operation(&self) -> &'static Operation {
        self.request.operation
    }

    /// What is asked for, whatever the page.
    pub(super) fn inner(&self) -> &Request<P> {
        &self.request
    }

    /// The request for the page at the token.
    fn into_request(self) -> Request<P> {
        let Self { mut request, limit, token } = self;
        request.query = page_query(&request.query, limit, token.as_deref());
        request
    }

    /// Sends the call for one page and gives its body as it came.
    ///
    /// # Errors
    /// As [`Caller::call`].
    pub async fn raw(self) -> Result<Bytes, Error> {
        self.into_request().raw().await
    }

    /// The URL of the page, unsigned.
    ///
    /// # Errors
    /// If an argument cannot stand in a URL.
    pub fn url(self) -> Result<Url, Error> {
        self.into_request().url()
    }

    /// The URL of the page with a signature; see [`Request::signed_for`].
    ///
    /// # Errors
    /// As [`Request::signed_for`].
    pub fn signed_for(self, valid: Duration) -> Result<Url, Error> {
        self.into_request().signed_for(valid)
    }
}

impl<P: DeserializeOwned> Paged<P> {
    /// Sends the call for one page. The same as awaiting it.
    ///
    /// # Errors
    /// As [`Request::send`].
    pub fn send(self) -> impl Future<Output = Result<P, Error>> + Send {
        self.into_request().send()
    }
}

impl<P: Page + DeserializeOwned + Send + 'static> Paged<P> {
    /// All pages from here on, each fetched when it is asked for. Ends after an error; one is
    /// [`Error::DuplicateToken`], if a page names one that has been there.
    ///
    /// # Cancel safety
    /// A page that is not awaited to its end is fetched again when the stream is polled anew.
    pub fn pages(self) -> BoxStream<'static, Result<P, Error>> {
        let Self { request, limit, token } = self;
        let walk = Walk { request, limit, next: Some(token), seen: HashSet::new() };
        Box::pin(stream::unfold(walk, |mut walk| async move {
            let token = walk.next.take()?;
            Some((walk.page(token).await, walk))
        }))
    }

    /// All items from here on. Ends after an error, as [`pages`](Self::pages).
    pub fn stream(self) -> BoxStream<'static, Result<P::Item, Error>>
    where
        P::Item: Send + 'static,
    {
        let items = |page: Result<P, Error>| match page {
            Ok(page) => stream::iter(page.into_items()).map(Ok).left_stream(),
            Err(error) => stream::iter([Err(error)]).right_stream(),
        };
        Box::pin(self.pages().flat_map(items))
    }
}

impl<P: Page + DeserializeOwned + Send + 'static> Paged<P>
where
    P::Item: Send + 'static,
{
    /// All items from here on, in memory. For lists that may be very long, [`stream`](Self::stream) is better.
    ///
    /// # Errors
    /// As [`pages`](Self::pages), with the first error; what had come before is lost.
    ///
    /// # Cancel safety
    /// Dropping the future gives up what has come so far.
    pub async fn all(self) -> Result<Vec<P::Item>, Error> {
        self.stream().try_collect().await
    }
}

/// Where a walk through the pages is.
struct Walk<P> {
    request: Request<P>,
    limit: Option<u32>,
    /// The token of the next page; `Some(None)` for the first one, `None` at the end.
    next: Option<Option<String>>,
    seen: HashSet<String>,
}

impl<P: Page + DeserializeOwned> Walk<P> {
    async fn page(&mut self, token: Option<String>) -> Result<P, Error> {
        if let Some(error) = self.request.error.take() {
            return Err(error);
        }
        let Request { caller, operation, path, query, body, settings, .. } = &self.request;
        let query = page_query(query, self.limit, token.as_deref());
        let answered = caller.call_as(settings.as_deref(), operation, path.clone(), query, body.clone()).await?;
        let page: P = answered.read(|body| decode(operation, body))?;
        self.seen.extend(token);
        if let Some(next) = page.continuation_token().filter(|next| !next.is_empty()) {
            if self.seen.contains(next) {
                return Err(Error::DuplicateToken { operation: operation.to_string(), token: next.to_owned() });
            }
            self.next = Some(Some(next.to_owned()));
        }
        Ok(page)
    }
}

fn page_query(query: &str, limit: Option<u32>, token: Option<&str>) -> String {
    let mut query = query.to_owned();
    if let Some(limit) = limit {
        push_query(&mut query, "limit", &limit);
    }
    if let Some(token) = token {
        push_query(&mut query, "continuationToken", &token);
    }
    query
}

impl<P: DeserializeOwned + 'static> IntoFuture for Paged<P> {
    type Output = Result<P, Error>;
    type IntoFuture = BoxFuture<'static, Result<P, Error>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl<P> fmt::Debug for Paged<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paged")
            .field("request", &self.request)
            .field("limit", &self.limit)
            .field("token", &self.token)
            .finish()
    }
}
