//! Reconciling at once: a person's word to the agents of some applications.
//!
//! Changes nothing that is wanted, only when it is looked at; recorded all the same, because
//! somebody may ask later what made an object change at night.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};
use tidegate_model::ids::{AppUid, ClusterUid};
use tidegate_proto::v1 as wire;
use tonic::Status;

use super::{FleetApi, list, project_or_default};
use crate::{
    changes::{Changes, Decision},
    link::message::Command,
    state::State,
};

/// Orders under way at once.
const CONCURRENCY: usize = 32;

struct Target {
    app: AppUid,
    name: String,
    cluster: ClusterUid,
    cluster_name: String,
}

/// The applications that are meant and that some agent has an order for.
fn targets(state: &State, request: &wire::SyncApplicationsRequest) -> Result<Vec<Target>, Status> {
    if [&request.set, &request.name, &request.cluster].map(String::is_empty) == [true; 3] {
        return Err(Status::invalid_argument(
            "name an application, a set or a cluster: everything at once is never meant",
        ));
    }
    let project = project_or_default(&request.project);
    let meant = state.apps.iter().filter(|app| {
        app.assignment.is_some()
            && app.app.project == project
            && list::wanted(&request.set, &app.app.set)
            && list::wanted(&request.name, &app.app.name)
            && list::wanted(&request.cluster, &app.app.cluster_name)
    });
    let meant: Vec<_> = meant
        .map(|app| Target {
            app: app.uid,
            name: app.app.name.clone(),
            cluster: app.app.cluster,
            cluster_name: app.app.cluster_name.clone(),
        })
        .collect();
    if meant.is_empty() {
        return Err(Status::not_found(format!(
            "no application of project {project} fits; `tidegate get applications` lists them"
        )));
    }
    Ok(meant)
}

impl FleetApi {
    /// Has the agents reconcile; one that cannot be asked is named with the reason.
    pub(super) async fn sync(
        &self,
        actor: &str,
        request: &wire::SyncApplicationsRequest,
    ) -> Result<wire::SyncApplicationsResponse, Status> {
        let targets = self
            .write(|state| {
                let targets = targets(state, request)?;
                let mut changes = Changes::default();
                // One record however many there are: it says what was asked.
                let asked: BTreeMap<_, _> = [
                    ("set", &request.set),
                    ("application", &request.name),
                    ("cluster", &request.cluster),
                ]
                .into_iter()
                .filter(|(_, word)| !word.is_empty())
                .collect();
                let subject: Vec<_> = asked
                    .iter()
                    .map(|(kind, word)| format!("{kind}/{word}"))
                    .collect();
                changes.decide(Decision::by(
                    actor,
                    project_or_default(&request.project),
                    "application.sync",
                    subject.join(" "),
                    String::new(),
                ));
                Ok((targets, changes))
            })
            .await?;
        let orders = targets.into_iter().map(|target| async move {
            let order = Command::SyncNow(target.app);
            let answer = self.sessions.send_command(target.cluster, order).await;
            wire::SyncedApplication {
                name: target.name,
                cluster: target.cluster_name,
                error: answer
                    .err()
                    .map(|error| error.to_string())
                    .unwrap_or_default(),
            }
        });
        let items = stream::iter(orders).buffered(CONCURRENCY).collect().await;
        Ok(wire::SyncApplicationsResponse { items })
    }
}
