//! The Fleet API: what platform tooling drives.
//!
//! Owns the passage between the wire and the hub's state. Reads come from the view; writes are
//! fenced commits with their audit record. Never authorises (the identity layer has done so before
//! a request gets here) and never promotes (the controller does, woken by the commit).

mod apply;
mod clusters;
pub(crate) mod convert;
mod events;
mod follow;
mod list;
mod people;
mod planning;
mod plans;
mod preview;
mod runs;
mod service;
mod sets;
mod sync;
#[cfg(test)]
mod tests;
mod trace;
mod tree;
mod why;

pub(crate) use self::apply::sources;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tonic::{Request, Status};

use crate::{
    changes::Changes,
    db::{self, Db},
    evidence::Evidence,
    identity::{Authority, Caller},
    link::Sessions,
    poller::PollerHandle,
    settled::Settled,
};

/// The service.
#[derive(Clone, Debug)]
pub struct FleetApi {
    db: Db,
    evidence: Evidence,
    sessions: Sessions,
    poller: PollerHandle,
    settled: Settled,
    authority: Arc<Authority>,
    /// Previews under way at once: each holds what it renders in memory.
    previews: Arc<Semaphore>,
}

/// See [`FleetApi`]'s `previews`; more wait for their turn.
const PREVIEWS: usize = 2;

impl FleetApi {
    /// The service over these parts of the hub.
    pub fn new(
        db: Db,
        evidence: Evidence,
        sessions: Sessions,
        poller: PollerHandle,
        settled: Settled,
        authority: Arc<Authority>,
    ) -> Self {
        Self {
            db,
            evidence,
            sessions,
            poller,
            settled,
            authority,
            previews: Arc::new(Semaphore::new(PREVIEWS)),
        }
    }

    /// Decides and commits; decides anew when something changed under it.
    async fn write<T>(
        &self,
        mut decide: impl FnMut(&crate::state::State) -> Result<(T, Changes), Status>,
    ) -> Result<T, Status> {
        for _ in 0..ATTEMPTS {
            let (answer, changes) = decide(&self.db.read())?;
            match self.db.commit(changes).await {
                Ok(()) => return Ok(answer),
                Err(error @ db::Error::Conflict { .. }) => {
                    tracing::debug!(%error, "deciding again");
                }
                Err(error) => return Err(refuse(&error)),
            }
        }
        Err(Status::aborted(
            "failed to write: too much changed at the same time; try again",
        ))
    }
}

/// How often a write is decided anew before the caller is told to try again.
const ATTEMPTS: usize = 8;

/// A failed commit as the caller sees it. Logged here, where it is handled.
fn refuse(error: &db::Error) -> Status {
    tracing::error!(%error, "failed to write for a caller");
    match error {
        db::Error::Fenced { .. } => Status::unavailable(error.to_string()),
        db::Error::Store(
            tidegate_store::Error::TooManyOperations { .. }
            | tidegate_store::Error::TooLarge { .. },
        ) => Status::invalid_argument(format!("{error}; nothing was written")),
        db::Error::Store(error) => store_fault(error),
        _ => Status::internal(error.to_string()),
    }
}

/// What a fault of the store means to whoever wanted to write.
fn store_fault(error: &tidegate_store::Error) -> Status {
    let outcome = if error.is_outcome_unknown() {
        "the change was written whole or not at all; look before you repeat it"
    } else {
        "nothing was written"
    };
    let message = format!("{error}; {outcome}");
    match error {
        tidegate_store::Error::Disk(fault) if fault.is_full() => {
            Status::resource_exhausted(message)
        }
        _ => Status::unavailable(message),
    }
}

/// Who asks: the name in the certificate.
fn actor<T>(request: &Request<T>) -> Result<String, Status> {
    request
        .extensions()
        .get::<Caller>()
        .map(|caller| caller.name.clone())
        .ok_or_else(|| Status::unauthenticated("failed to find out who asks"))
}

/// The project that a request means: `default` unless it says another.
fn project_or_default(project: &str) -> &str {
    if project.is_empty() {
        "default"
    } else {
        project
    }
}

/// A reason that must be given.
fn required_reason(reason: &str, verb: &str) -> Result<String, Status> {
    let reason = reason.trim();
    if reason.is_empty() {
        return Err(Status::invalid_argument(format!(
            "{verb} needs a reason: it goes into the audit log"
        )));
    }
    Ok(reason.to_owned())
}
