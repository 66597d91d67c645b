//! What generated code is made of: the methods and exchanges of a service, as constants.

use std::fmt;

use crate::scopes::{Params, ScopeSet, ScopeTemplate};

/// What stands in place of a schema where an answer is content of any kind, such as an image.
pub const BLOB: &str = "blob";

/// One method of an API, as its reference describes it.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// The service's name, such as `queue`.
    pub service: &'static str,
    /// The version in the path, such as `v1`.
    pub version: &'static str,
    /// The method's name in the reference, such as `createTask`.
    pub name: &'static str,
    /// The HTTP method.
    pub method: Method,
    /// The path below `/api/<service>/<version>` with its arguments in angle brackets, such as
    /// `/task/<taskId>/runs/<runId>`.
    pub route: &'static str,
    /// The arguments of the path, in its order.
    pub args: &'static [&'static str],
    /// The names of the query parameters.
    pub query: &'static [&'static str],
    /// The schema of the request's body, such as `v1/create-task-request.json#`; `None` if it has no body.
    pub input: Option<&'static str>,
    /// The schema of the answer's body; [`BLOB`] if it is not JSON; `None` if whatever comes back is ignored.
    pub output: Option<&'static str>,
    /// The scopes that a caller must have; `None` if anyone may call.
    pub scopes: Option<&'static ScopeTemplate>,
    /// Whether a second call has the effect of one, so that it may be repeated although the first may have arrived.
    pub idempotent: bool,
    /// What the service promises about the method's future.
    pub stability: Stability,
}

impl Operation {
    /// Whether somebody who has the scopes `held` may call this with the arguments `params`. Asks nobody.
    ///
    /// `held` must be expanded (roles replaced by their scopes), as `auth.currentScopes` gives them. `false` also if
    /// `params` lacks an argument that the scopes depend on; [`ScopeTemplate::render`] says which.
    ///
    /// ```
    /// # use taskcluster_core::{Method, Operation, Params, ScopeSet, ScopeTemplate, Stability};
    /// # static CANCEL_TASK: Operation = Operation {
    /// #     service: "queue", version: "v1", name: "cancelTask", method: Method::Post, route: "/task/<taskId>/cancel",
    /// #     args: &["taskId"], query: &[], input: None, output: None,
    /// #     scopes: Some(&ScopeTemplate::Scope("queue:cancel-task:<taskId>")), idempotent: true, stability: Stability::Stable,
    /// # };
    /// // Each method is such a constant: `taskcluster::queue::operations::CANCEL_TASK`.
    /// let held = ScopeSet::from_iter(["queue:cancel-task:fN1*"]);
    /// assert!(CANCEL_TASK.can_call(&Params::new().text("taskId", "fN1SbArXTPSVFNUvaOlinQ"), &held));
    /// assert!(!CANCEL_TASK.can_call(&Params::new().text("taskId", "bdpB1YKSQXqNoRtY3oqCrg"), &held));
    /// ```
    #[must_use]
    pub fn can_call(&self, params: &Params, held: &ScopeSet) -> bool {
        let Some(template) = self.scopes else { return true };
        match template.render(params) {
            Ok(None) => true,
            Ok(Some(expression)) => expression.satisfied_by(held),
            Err(_) => false,
        }
    }
}

/// `service.method`, such as `queue.createTask`.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.service, self.name)
    }
}

/// An HTTP method of the APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`.
    Get,
    /// `HEAD`.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `DELETE`.
    Delete,
    /// `PATCH`.
    Patch,
}

impl Method {
    /// The name in capitals.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
        }
    }
}

impl From<Method> for http::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Head => Self::HEAD,
            Method::Post => Self::POST,
            Method::Put => Self::PUT,
            Method::Delete => Self::DELETE,
            Method::Patch => Self::PATCH,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a service promises about a method's future.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stability {
    /// Stays as it is.
    Stable,
    /// May change or go.
    Experimental,
    /// Will go; there is another way.
    Deprecated,
}

/// A topic exchange on which a service publishes messages of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// The service's name, such as `queue`.
    pub service: &'static str,
    /// The entry's name in the reference, such as `taskCompleted`.
    pub name: &'static str,
    /// The exchange's whole name with its prefix, such as `exchange/taskcluster-queue/v1/task-completed`.
    pub exchange: &'static str,
    /// The words of its routing keys, in their order.
    pub routing_key: &'static [KeyField],
}

/// A kind of event: which exchange it is published on, and what its messages say. Generated code implements it.
pub trait Event {
    /// The messages.
    type Message: serde::Serialize + serde::de::DeserializeOwned;

    /// The exchange.
    const EXCHANGE: Exchange;
}

/// A pattern of the routing keys of an event, in the form of AMQP: what `task_completed()` of a generated module gives.
pub trait EventPattern: fmt::Display {
    /// The event.
    type Event: Event;
}

/// One place of a routing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyField {
    /// The field's name, such as `taskId`.
    pub name: &'static str,
    /// The word that always stands here, such as `primary`.
    pub constant: Option<&'static str>,
    /// Whether a message always has a word of its own here; otherwise `_` stands for one that is missing.
    pub required: bool,
    /// Whether several words may stand here, divided by dots.
    pub multiple_words: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scopes::ScopeTemplate::{AnyOf, ForEach, If, Scope};

    static CREATE: Operation = Operation {
        service: "queue",
        version: "v1",
        name: "createTask",
        method: Method::Put,
        route: "/task/<taskId>",
        args: &["taskId"],
        query: &[],
        input: Some("v1/create-task-request.json#"),
        output: Some("v1/create-task-response.json#"),
        scopes: Some(&ScopeTemplate::AllOf(&[
            ForEach { variable: "scope", list: "scopes", each: "<scope>" },
            AnyOf(&[Scope("queue:create-task:<priority>:<queue>"), Scope("queue:create-task:<queue>")]),
            If { condition: "grouped", then: &Scope("queue:scheduler-id:x"), otherwise: None },
        ])),
        idempotent: true,
        stability: Stability::Stable,
    };

    #[test]
    fn who_may_call_is_known_without_asking() {
        let params = Params::new()
            .text("priority", "low")
            .text("queue", "p/w")
            .list("scopes", ["secret:a"])
            .flag("grouped", false);
        assert!(CREATE.can_call(&params, &ScopeSet::from_iter(["queue:create-task:low:*", "secret:*"])));
        assert!(!CREATE.can_call(&params, &ScopeSet::from_iter(["queue:create-task:low:*"])));
        let grouped = params.flag("grouped", true);
        assert!(!CREATE.can_call(&grouped, &ScopeSet::from_iter(["queue:create-task:low:*", "secret:*"])));
        assert!(CREATE.can_call(&grouped, &ScopeSet::from_iter(["*"])));
        assert!(!CREATE.can_call(&Params::new(), &ScopeSet::from_iter(["*"])));
    }

    #[test]
    fn a_public_method_is_for_anyone() {
        let ping = Operation { scopes: None, ..CREATE };
        assert!(ping.can_call(&Params::new(), &ScopeSet::default()));
        assert_eq!(CREATE.to_string(), "queue.createTask");
    }
}
