//! The modules of the services, made of their references when this crate is built.

/// Includes what the build script wrote for a service.
macro_rules! service {
    ($feature:literal, $name:ident, $doc:literal) => {
        #[cfg(feature = $feature)]
        #[doc = $doc]
        #[allow(
            clippy::all,
            clippy::pedantic,
            reason = "generated code is written for the compiler, and read by `taskcluster-codegen show`"
        )]
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
        }
    };
}

service!("auth", auth, "Service auth: clients, roles, scopes, credentials.");
service!("queue", queue, "Service queue: tasks, runs, claims, artifacts.");
service!("scheduler", scheduler, "Service scheduler: task graphs.");
service!("provisioner", provisioner, "Service provisioner: worker types.");
service!("index", index, "Service index: tasks by names.");
service!("hooks", hooks, "Service hooks: tasks at set times, for messages, on demand.");
service!("notify", notify, "Service notify: mail, Matrix, Slack, messages.");
service!("object", object, "Service object: large data, uploaded and downloaded.");
service!("purge-cache", purge_cache, "Service purge-cache: caches that workers shall drop.");
service!("secrets", secrets, "Service secrets: small secret objects under names.");
service!("worker-manager", worker_manager, "Service worker-manager: worker pools and their workers.");
service!("event_stream", event_stream, "Service events: messages over plain HTTP. Experimental.");

#[cfg(all(test, feature = "queue"))]
mod tests {
    /// Errors of the compiler and rustdoc's "Source" point into the code.
    #[test]
    fn generated_code_has_lines() {
        let code = include_str!(concat!(env!("OUT_DIR"), "/queue.rs"));
        let longest_of_code = code.lines().filter(|line| !line.trim_start().starts_with("//")).map(str::len).max();
        assert!(code.lines().count() > 1000 && longest_of_code < Some(2000), "{longest_of_code:?}");
    }

    /// They are compiled with the tests of the documentation.
    #[test]
    fn every_method_has_an_example() {
        macro_rules! services {
            ($($feature:literal $name:ident)*) => {$(
                #[cfg(feature = $feature)]
                {
                    let code = include_str!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
                    let examples = code.matches("/// ```no_run").count();
                    assert_eq!(examples, crate::$name::operations::ALL.len(), stringify!($name));
                }
            )*};
        }
        services! {
            "auth" auth
            "queue" queue
            "scheduler" scheduler
            "provisioner" provisioner
            "index" index
            "hooks" hooks
            "notify" notify
            "object" object
            "purge-cache" purge_cache
            "secrets" secrets
            "worker-manager" worker_manager
            "event_stream" event_stream
        }
    }
}
