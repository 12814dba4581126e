//! The Fleet API over a hub of real parts.

mod again;
mod analysing;
mod apply;
mod clusters;
mod events;
mod explaining;
mod freezing;
mod going_back;
mod holding;
mod listing;
mod objects;
mod people;
mod planning;
mod plans;
mod previewing;
mod running;
mod syncing;
mod tracing_back;
mod writes;

use serde_json::json;
use tidegate_model::run::RunState;
use tidegate_proto::v1::{self as wire, fleet_server::Fleet as _};
use tonic::Code;

use super::*;
use crate::{
    records::{FLEET, HoldKind, HoldRecord, PinRecord, Role},
    testing::{
        Hub, app, bundle, cluster, cluster_uid, csr, set, soon, wave_plan,
        world::{World, waves},
    },
};

/// A request of Ada, an administrator.
fn ada<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Caller {
        name: "ada".to_owned(),
        peer: None,
        role: Some(Role::Admin),
        since: None,
    });
    request
}

/// Refused with this code and every one of these words.
fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, words: &[&str]) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), code, "{}", status.message());
    for word in words {
        assert!(
            status.message().contains(word),
            "{word:?} is not in {:?}",
            status.message()
        );
    }
}

/// The latest run of the set `web`.
fn latest() -> wire::GetRunRequest {
    wire::GetRunRequest {
        set: "web".to_owned(),
        ..Default::default()
    }
}

fn pinned(hub: &Hub, set: &crate::records::SetRecord, n: u128) -> PinRecord {
    PinRecord {
        project: set.project.clone(),
        set: set.uid,
        pin: tidegate_model::deny::Pin {
            app: app(set, n, 1).uid,
            bundle: bundle("good"),
            bad: bundle("bad"),
            release: tidegate_model::deny::PinRelease::Manual,
            reason: "bad image".to_owned(),
            actor: "ada".to_owned(),
            run: tidegate_model::ids::RunId(uuid::Uuid::nil()),
            created_at: hub.clock.now(),
        },
    }
}

fn held(hub: &Hub, set: &crate::records::SetRecord, id: &str, approvable: bool) -> HoldRecord {
    HoldRecord {
        id: id.to_owned(),
        project: set.project.clone(),
        set: set.uid,
        kind: HoldKind::EmptyBundle,
        message: "web-1 renders to nothing".to_owned(),
        content: bundle("empty"),
        since: hub.clock.now(),
        approvable,
        approved_by: None,
    }
}
