//! Every method of every service, from its row in a table to its answer: `taskcluster api`.
//!
//! The build script writes the table by the model that the SDK's clients are made of. Calls go the SDK's way: signed, and
//! repeated where that does no harm.

use taskcluster_core::{Operation, ScopeTemplate, Stability};

mod all;
mod answer;
mod body;
mod command;
mod dry_run;
#[cfg(test)]
mod every_method;
mod facts;
mod invocation;

pub(crate) use invocation::Invocation;

/// A service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    /// What other clients call it, where that differs.
    pub(crate) alias: Option<&'static str>,
    pub(crate) description: &'static str,
    pub(crate) methods: &'static [Method],
}

/// A method of a service.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) operation: &'static Operation,
    pub(crate) title: &'static str,
    /// Its name with dashes, where that differs.
    pub(crate) alias: Option<&'static str>,
    pub(crate) description: &'static str,
    pub(crate) arguments: &'static [Parameter],
    pub(crate) query: &'static [Parameter],
    /// The property that holds the items, of an answer that comes in pages.
    pub(crate) items: Option<&'static str>,
}

/// An argument of the path, or a query parameter.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    /// Its name with dashes, where that differs.
    pub(crate) alias: Option<&'static str>,
    pub(crate) kind: Kind,
}

/// What values a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    /// `true` or `false`.
    Flag,
    TaskId,
}

/// All services, by name.
pub(crate) static SERVICES: &[Service] = &include!(concat!(env!("OUT_DIR"), "/api.rs"));

/// The service of this name.
pub(crate) fn service(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The SDK's own constants, of the services that this program has as typed clients, say the same.
    #[test]
    fn the_table_is_what_the_clients_are_made_of() {
        let typed = [
            taskcluster::auth::operations::ALL,
            taskcluster::queue::operations::ALL,
            taskcluster::index::operations::ALL,
            taskcluster::event_stream::operations::ALL,
        ];
        for operations in typed {
            let service = service(operations[0].service).unwrap();
            assert_eq!(service.methods.len(), operations.len(), "{}", service.name);
            for (method, operation) in service.methods.iter().zip(operations) {
                assert_eq!(format!("{:?}", method.operation), format!("{operation:?}"));
            }
        }
    }

    #[test]
    fn parameters_are_those_of_the_operation() {
        for method in SERVICES.iter().flat_map(|service| service.methods) {
            let names = |parameters: &[Parameter]| parameters.iter().map(|known| known.name).collect::<Vec<_>>();
            assert_eq!(names(method.arguments), method.operation.args, "{}", method.operation);
            assert_eq!(names(method.query), method.operation.query, "{}", method.operation);
        }
    }
}
