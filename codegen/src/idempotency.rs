//! What references cannot say: which methods may be sent twice.
//!
//! An answer can get lost on its way. A client may send the request again only if the second one does no harm: GET,
//! HEAD, PUT and DELETE by their definition, and those POST methods that stand here. A POST that is not listed is
//! never repeated on its own. Whoever adds a line has read in the method's description, or knows from the service,
//! that a repeat leaves the same state behind and gets an answer of the same meaning.

use crate::model::Method;

/// POST methods that may be repeated, by service.
const REPEATABLE: &[(&str, &[&str])] = &[
    (
        "auth",
        &[
            "authenticateHawk",
            "disableClient",
            "enableClient",
            "expandScopes",
            "testAuthenticate",
            "updateClient",
            "updateRole",
        ],
    ),
    ("hooks", &["updateHook"]),
    ("index", &["findTasksAtIndex"]),
    ("notify", &["addDenylistAddress"]),
    ("object", &["finishUpload"]),
    ("provisioner", &["rollBack", "rollOut", "terminateAllInstancesOfWorkerType", "updateWorkerType"]),
    ("purge-cache", &["purgeCache"]),
    (
        "queue",
        &[
            "cancelTask",
            "cancelTaskGroup",
            "changeTaskGroupPriority",
            "changeTaskPriority",
            "createArtifact",
            "reclaimTask",
            "reportCompleted",
            "reportException",
            "reportFailed",
            "scheduleTask",
            "sealTaskGroup",
            "statuses",
            "tasks",
        ],
    ),
    ("scheduler", &["cancelTaskGraph", "extendTaskGraph"]),
    ("worker-manager", &["updateWorker", "updateWorkerPool"]),
];

/// Whether a method may be sent again when its answer was lost.
pub(crate) fn is_idempotent(service: &str, method: Method, operation: &str) -> bool {
    match method {
        Method::Get | Method::Head | Method::Put | Method::Delete => true,
        Method::Patch => false,
        Method::Post => REPEATABLE.iter().any(|(name, operations)| *name == service && operations.contains(&operation)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_post_is_not_repeated() {
        assert!(!is_idempotent("queue", Method::Post, "somethingNew"));
        assert!(!is_idempotent("queue", Method::Post, "claimWork"), "work that nobody does would be claimed");
        assert!(!is_idempotent("queue", Method::Post, "rerunTask"), "a second rerun may start another run");
        assert!(!is_idempotent("auth", Method::Post, "resetAccessToken"));
        assert!(is_idempotent("queue", Method::Post, "reclaimTask"));
        assert!(is_idempotent("anything", Method::Put, "whatever"));
    }

    #[test]
    fn the_table_is_sorted() {
        assert!(REPEATABLE.is_sorted_by_key(|(service, _)| *service));
        assert!(REPEATABLE.iter().all(|(_, operations)| operations.is_sorted()));
    }
}
