//! Runs, pass by pass, over the store that a hub has: a transaction beyond its limits fails a test.

mod beginning;
mod large;
mod owing;
mod plans;
mod rolling;

use serde_json::json;
use tidegate_model::{
    deny::{Deny, deny_of},
    health::Health,
    release::EntryContent,
    run::{RequestVerb, RunState},
};

use super::*;
use crate::{
    backend::Backend,
    link::{port::LinkBackend as _, testing::Agent},
    records::{AppRecord, Record as _},
    testing::{
        app, bundle, cluster, cluster_uid, report, set,
        world::{World, waves},
    },
};

fn object(n: usize) -> Deny {
    let name = format!("o{n}");
    deny_of(
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
        "data": {"a": name}}),
    )
    .unwrap()
}
