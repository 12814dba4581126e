//! An in-process Kubernetes API, good enough that the agent runs on it unchanged.
//!
//! Owns one cluster's objects and the rules by which an API server changes them: server-side apply,
//! watches, custom resources, deletion. The core is pure: time and ids are parameters, answers are
//! values. What it does not know it refuses with a clear error; it never answers wrongly. The
//! conformance suite (`tests/tests/sandbox.rs`) runs it beside a real server and names every
//! difference. Never touches a disk.

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
