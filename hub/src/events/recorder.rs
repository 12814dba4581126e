//! Sessions as events: the store knows nothing of them.
//!
//! Owns the names of those who come and go. Never speaks with them.

use tidegate_model::ids::ClusterUid;
use tokio_util::sync::CancellationToken;

use super::{About, Event};
use crate::{
    db::Db,
    link::{Sessions, Turn},
    records::FLEET,
};

/// Tells of every session that begins or ends until `cancel`.
///
/// Listens from the call on, not only from when it is waited for.
pub(crate) fn record(
    db: Db,
    sessions: &Sessions,
    cancel: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let mut turns = sessions.turns();
    async move {
        while let Some(Some(turn)) = cancel.run_until_cancelled(turns.recv()).await {
            db.events().append(vec![event(&db, &turn)]);
        }
    }
}

fn event(db: &Db, turn: &Turn) -> Event {
    let (name, version) = names(db, turn.cluster);
    let about = About {
        project: FLEET.to_owned(),
        cluster: name,
        ..About::default()
    };
    if !turn.connected {
        return Event::seen(turn.at, true, "ClusterDisconnected", about)
            .saying("its session ended: what it runs is not known until it is back");
    }
    let agent = match version.as_str() {
        "" => "its agent".to_owned(),
        version => format!("its agent, version {version},"),
    };
    Event::seen(turn.at, false, "ClusterConnected", about).saying(format!("{agent} has a session"))
}

/// Name of a cluster and the version of its agent.
fn names(db: &Db, cluster: ClusterUid) -> (String, String) {
    let state = db.read();
    match state.cluster(cluster) {
        Some(row) => (
            row.record.cluster.name.clone(),
            row.record.agent_version.clone(),
        ),
        None => (cluster.to_string(), String::new()),
    }
}
