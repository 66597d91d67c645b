//! A call as it stands before it is sent.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{Paged, Request};
use crate::operation::Operation;
use crate::scopes::{Param, Params};

/// Something that is about to be a call: a [`Request`], a [`Paged`] one, or what a generated method gives back in place of
/// these.
pub trait Call {
    /// What would be called with what.
    fn outline(&self) -> Outline<'_>;
}

/// A call as it stands before it is sent.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Outline<'a> {
    /// The method.
    pub operation: &'static Operation,
    /// The path below `/api/<service>/<version>`, encoded.
    pub path: &'a str,
    /// The query, encoded; without what only says which page is wanted.
    pub query: &'a str,
    /// The body, JSON; `None` if there is none.
    pub body: Option<&'a [u8]>,
}

impl<O> Call for Request<O> {
    fn outline(&self) -> Outline<'_> {
        let Self { operation, path, query, body, .. } = self;
        Outline { operation, path, query, body: body.as_deref() }
    }
}

impl<P> Call for Paged<P> {
    fn outline(&self) -> Outline<'_> {
        self.inner().outline()
    }
}

impl Outline<'_> {
    /// The arguments by their names in the reference, as scopes speak of them: those of the path, of the query, and the
    /// properties of the body, as [`Params::of`] reads them.
    ///
    /// ```
    /// # use taskcluster_core::transport::testing::ScriptedTransport;
    /// # use taskcluster_core::{Caller, Method, Operation, Request, Stability, ScopeTemplate};
    /// # static PURGE: Operation = Operation {
    /// #     service: "purge-cache", version: "v1", name: "purgeCache", method: Method::Post,
    /// #     route: "/purge-cache/<workerPoolId>", args: &["workerPoolId"], query: &[], input: None, output: None,
    /// #     scopes: Some(&ScopeTemplate::Scope("purge-cache:<workerPoolId>:<cacheName>")), idempotent: true,
    /// #     stability: Stability::Stable,
    /// # };
    /// # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// # let caller = Caller::builder("https://tc.example.com").transport(&ScriptedTransport::new()).build()?;
    /// use taskcluster_core::request::Call;
    /// use taskcluster_core::scopes::Param;
    ///
    /// let body = serde_json::json!({ "cacheName": "target" });
    /// let request = Request::<()>::new(&caller, &PURGE, &[&"local/native"]).with_body(&body);
    /// let params = request.outline().params();
    /// assert_eq!(params.get("workerPoolId"), Some(&Param::Text("local/native".into())));
    /// let needed = PURGE.scopes.unwrap().render(&params)?.unwrap();
    /// assert_eq!(needed.to_string(), "purge-cache:local/native:target");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn params(&self) -> Params {
        let query = url::form_urlencoded::parse(self.query.as_bytes());
        let query = query.map(|(name, value)| (Cow::Owned(name.into_owned()), Param::Text(value.into_owned())));
        Params::of(&self.body_json()).with_all(query.collect()).with_all(self.path_params())
    }

    /// The body; `null` if there is none.
    #[must_use]
    pub fn body_json(&self) -> Value {
        self.body.and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default()
    }

    fn path_params(&self) -> Params {
        let segments = self.operation.route.split('/').zip(self.path.split('/'));
        let arguments = segments.filter_map(|(pattern, segment)| {
            let name = pattern.strip_prefix('<')?.strip_suffix('>')?;
            Some((name, Param::Text(percent_decode_str(segment).decode_utf8_lossy().into_owned())))
        });
        arguments.collect()
    }
}
