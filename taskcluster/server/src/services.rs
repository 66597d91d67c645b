//! Traits, routes and mocks of the services, made of their references when this crate is built.

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

service!("auth", auth, "Service auth: what to implement, its routes, a mock.");
service!("queue", queue, "Service queue: what to implement, its routes, a mock.");
service!("scheduler", scheduler, "Service scheduler: what to implement, its routes, a mock.");
service!("provisioner", provisioner, "Service provisioner: what to implement, its routes, a mock.");
service!("index", index, "Service index: what to implement, its routes, a mock.");
service!("hooks", hooks, "Service hooks: what to implement, its routes, a mock.");
service!("notify", notify, "Service notify: what to implement, its routes, a mock.");
service!("object", object, "Service object: what to implement, its routes, a mock.");
service!("purge-cache", purge_cache, "Service purge-cache: what to implement, its routes, a mock.");
service!("secrets", secrets, "Service secrets: what to implement, its routes, a mock.");
service!("worker-manager", worker_manager, "Service worker-manager: what to implement, its routes, a mock.");
service!("event_stream", event_stream, "Service events: what to implement, its routes, a mock.");
