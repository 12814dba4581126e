//! The store's one suite on a real etcd, and what only etcd can do to a hub.
//!
//! The cases are those of `hub/store/tests/conformance`; each starts an etcd of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "store_etcd/access.rs"]
mod access;
#[cfg(test)]
#[path = "../../hub/store/tests/conformance/cases.rs"]
mod cases;
#[path = "store_etcd/faults.rs"]
mod faults;
#[path = "store_etcd/hub.rs"]
mod hub;
#[path = "store_etcd/lead.rs"]
mod lead;
#[macro_use]
#[path = "../../hub/store/tests/conformance/list.rs"]
mod list;
#[path = "store_etcd/moving.rs"]
mod moving;
#[path = "store_etcd/subject.rs"]
mod subject;
#[cfg(test)]
#[path = "../../hub/store/tests/conformance/watches.rs"]
mod watches;

conformance! { etcd }
