//! The objects of an application with their live state: its agent is asked, now.
//!
//! Where the agent cannot be asked, what it was told stands in, with what its last report says, and
//! health is unknown. Keeps nothing of what it is told.

use std::collections::BTreeMap;

use tidegate_model::{
    assignment::Assignment,
    object::ObjectId,
    tree::{ObjectState, PAGE, Standing},
};
use tidegate_proto::v1 as wire;
use tonic::Status;

use super::{FleetApi, convert, why::find_app};
use crate::{link::message::Command, records::AppRecord};

impl FleetApi {
    /// One page of an application's objects.
    pub(super) async fn tree(
        &self,
        request: &wire::ListObjectsRequest,
    ) -> Result<wire::ListObjectsResponse, Status> {
        let after = read_token(&request.page_token)?;
        let (app, shown) = {
            let state = self.db.read();
            let app = find_app(&state, &request.project, &request.name)?;
            let shown = convert::application(&state, &self.evidence, app);
            (AppRecord::clone(app), shown)
        };
        let order = Command::ListObjects {
            app: app.uid,
            after: after.clone(),
        };
        let answer = self.sessions.ask(app.app.cluster, order).await;
        let answer = answer
            .map(|answer| answer.objects)
            .map_err(|error| error.to_string());
        let not_live = match answer {
            Ok(Some(page)) => {
                let last = page.items.last().filter(|_| page.more);
                return Ok(wire::ListObjectsResponse {
                    application: Some(shown),
                    generation: page.generation.0,
                    next_page_token: last.map(|state| token(&state.id)).unwrap_or_default(),
                    total: convert::count(page.total),
                    items: page.items.iter().map(state).collect(),
                    not_live: String::new(),
                });
            }
            Ok(None) => "its agent is too old to tell objects".to_owned(),
            Err(error) => error,
        };
        self.last_known(&app, shown, after, not_live).await
    }

    /// What the agent was told, with what its last report says of it.
    async fn last_known(
        &self,
        app: &AppRecord,
        shown: wire::Application,
        after: Option<ObjectId>,
        not_live: String,
    ) -> Result<wire::ListObjectsResponse, Status> {
        let mut all = Vec::new();
        if let Some(bundle) = app.assignment.as_ref().and_then(Assignment::bundle) {
            let bundle = self.previewer().bundle(bundle).await?;
            all.extend(bundle.objects().iter().map(|entry| entry.key.clone()));
        }
        all.sort();
        let total = all.len();
        let mut said: BTreeMap<wire_id::Key, String> = BTreeMap::new();
        for problem in shown.report.iter().flat_map(|report| &report.problems) {
            if let Some(id) = &problem.object {
                said.insert(wire_id::key(id), problem.message.clone());
            }
        }
        let mut rest = all
            .into_iter()
            .filter(|key| after.as_ref().is_none_or(|after| key.id > *after));
        let items: Vec<_> = rest.by_ref().take(PAGE).collect();
        let last = items.last().filter(|_| rest.next().is_some());
        let next_page_token = last.map(|key| token(&key.id)).unwrap_or_default();
        let items = items.into_iter().map(|key| {
            let object = convert::object(&key.id);
            wire::ObjectState {
                message: said.remove(&wire_id::key(&object)).unwrap_or_default(),
                object: Some(object),
                version: key.version,
                standing: wire::Standing::Unspecified.into(),
                health: wire::Health::Unknown.into(),
                drifted: Vec::new(),
            }
        });
        Ok(wire::ListObjectsResponse {
            generation: app.generation.0,
            items: items.collect(),
            application: Some(shown),
            next_page_token,
            total: convert::count(total),
            not_live,
        })
    }
}

/// Objects of the wire by what names them.
mod wire_id {
    use tidegate_proto::v1 as wire;

    pub(super) type Key = [String; 4];

    pub(super) fn key(id: &wire::ObjectId) -> Key {
        [&id.group, &id.kind, &id.namespace, &id.name].map(Clone::clone)
    }
}

fn state(state: &ObjectState) -> wire::ObjectState {
    let standing = match state.standing {
        Standing::Synced => wire::Standing::Synced,
        Standing::Waiting => wire::Standing::Waiting,
        Standing::Failed => wire::Standing::Failed,
        Standing::Foreign => wire::Standing::Foreign,
        Standing::Missing => wire::Standing::Missing,
        Standing::Drifted => wire::Standing::Drifted,
    };
    wire::ObjectState {
        object: Some(convert::object(&state.id)),
        version: state.version.clone(),
        standing: standing.into(),
        health: convert::health(state.health).into(),
        message: state.message.clone(),
        drifted: state.drifted.clone(),
    }
}

/// A page token is the name of the last object.
fn token(id: &ObjectId) -> String {
    serde_json::json!([id.group, id.kind, id.namespace, id.name]).to_string()
}

fn read_token(token: &str) -> Result<Option<ObjectId>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let [group, kind, namespace, name] = serde_json::from_str(token)
        .map_err(|_| Status::invalid_argument("the page token is not one of this hub's"))?;
    Ok(Some(ObjectId {
        group,
        kind,
        namespace,
        name,
    }))
}
