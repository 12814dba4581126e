//! An in-process Kubernetes API, good enough that the agent runs on it unchanged.
//!
//! Owns one cluster's objects and the rules by which an API server changes them: server-side apply,
//! watches, custom resources, deletion. The core is pure: time and ids are parameters, answers are
//! values. A request that it does not know it refuses with a clear error. The conformance suite
//! (`tests/tests/sandbox.rs`) runs it beside a real server and names every difference. Never touches a
//! disk.
//!
//! What it lets through, where a real server would refuse or do more:
//!
//! - Everybody: there are no users, so RBAC and impersonation decide nothing.
//! - Everything that admission would stop or change: webhooks, policies, quotas, limit ranges, Pod
//!   Security, priority and storage classes are kept as objects and do nothing.
//! - Definitions: of their rules only those of columns are judged; not whether the schema is structural,
//!   one version is the stored one, the name is that of the kind, or another kind has these names.
//! - Custom resources: rules in CEL (a warning says so) and the `format` of strings.
//! - Built-in kinds: types, names and metadata are judged for all; rules of their own only for those in
//!   `admission/kinds.rs`, and what may not change only where `admission.rs` lists it. So an Ingress
//!   without rules or a changed claim passes.
//! - Requests: a key that JSON says twice (the last one counts), the form of `fieldManager`, parameters
//!   that it does not know, and `resourceVersion` of a read, which is always answered with the latest.
//!   `fieldValidation=Warn` warns of nothing.

pub use sandbox::{Options, Sandbox};
pub use snapshot::Error as SnapshotError;

mod admission;
mod answer;
mod clock;
mod cluster;
mod controllers;
mod defaults;
mod discovery;
mod encoded;
mod fields;
mod gc;
mod json_path;
mod lists;
mod object;
mod openapi;
mod quantity;
mod resources;
mod sandbox;
mod schema;
mod service;
mod snapshot;
mod store;
mod strategic;
mod tables;
mod watches;
mod writes;
