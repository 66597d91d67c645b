//! The guide: "I want to …". Every program on these pages is compiled with the tests.
//!
//! | I want to … | |
//! |---|---|
//! | call a service, and tell apart what went wrong | [`calls`] |
//! | call any method from a shell, or only see what it needs | the program `taskcluster api`, in `examples/cli` |
//! | go through long lists | [`calls`](calls#lists) |
//! | hand somebody a URL that is good for a while | [`calls`](calls#urls) |
//! | create a task, wait for it, read its log | the program `examples/hello.rs` |
//! | wait for the end of a task, or of a group | [`wait`](crate::wait) |
//! | hear what happens | [`hearing`] (feature `events`), the programs `examples/listen.rs` and `examples/add_on.rs` |
//! | lend a part of my permissions | [`permissions`] |
//! | know beforehand whether I may do something | [`permissions`](permissions#what-does-a-call-need) |
//! | see my calls in logs and traces, or put something of mine around each | [`around_calls`] |
//! | count, limit, refuse or record calls | [`around_calls`](around_calls#interceptors), the program `examples/metrics.rs` |
//! | give a single call more patience, or less | [`calls`](calls#errors) |
//! | use certificates of my own, a proxy, or the system's TLS | [`tls`] |
//! | call services from within their cluster | [`tls`](tls#within-a-cluster) |
//! | test my program | [`tests`] |
//! | upload and download artifacts | [`artifacts`] (feature `artifacts`) |
//! | decide what a push needs | [`graph`] (feature `graph`) |
//! | let people do something to my tasks, or do it for them | [`actions`] (feature `actions`, `actions-trigger`), the program `examples/action.rs`, `taskcluster action` in a shell |
//! | do without `async` | [`blocking`] (feature `blocking`) |
//! | write a worker | the crate `taskcluster-worker`, and its example `custom-worker` |
//! | write a service, or mock one | the crate `taskcluster-server` |
//! | call services that only my deployment has | the crate `taskcluster-codegen`, and `examples/own-deployment` |
//! | move over from the official Rust client | [`from_official`] |
#![cfg_attr(feature = "artifacts", doc = "", doc = "[`artifacts`]: crate::artifacts")]
#![cfg_attr(not(feature = "artifacts"), doc = "", doc = "[`artifacts`]: crate#features")]
#![cfg_attr(feature = "events", doc = "", doc = "[`hearing`]: crate::events::hearing")]
#![cfg_attr(not(feature = "events"), doc = "", doc = "[`hearing`]: crate#features")]
#![cfg_attr(feature = "graph", doc = "", doc = "[`graph`]: crate::graph")]
#![cfg_attr(not(feature = "graph"), doc = "", doc = "[`graph`]: crate#features")]
#![cfg_attr(feature = "actions", doc = "", doc = "[`actions`]: crate::graph::actions")]
#![cfg_attr(not(feature = "actions"), doc = "", doc = "[`actions`]: crate#features")]
#![cfg_attr(feature = "blocking", doc = "", doc = "[`blocking`]: crate::blocking")]
#![cfg_attr(not(feature = "blocking"), doc = "", doc = "[`blocking`]: crate#features")]

#[doc = include_str!("guide/calls.md")]
pub mod calls {}
#[doc = include_str!("guide/permissions.md")]
pub mod permissions {}
#[doc = include_str!("guide/around_calls.md")]
pub mod around_calls {}
#[doc = include_str!("guide/tls.md")]
pub mod tls {}
#[cfg_attr(feature = "testing", doc = include_str!("guide/tests.md"))]
#[cfg_attr(not(feature = "testing"), doc = "This page needs the feature `testing`.")]
pub mod tests {}
#[doc = include_str!("guide/from_official.md")]
pub mod from_official {}
