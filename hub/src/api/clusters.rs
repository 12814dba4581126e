//! Clusters: register with a join token, label, remove.
//!
//! A cluster's labels decide its wave, so only people write them; those an agent reports carry a
//! prefix that nobody else may use.

use std::time::Duration;

use jiff::SignedDuration;
use tidegate_model::{cluster::Cluster, dns, ids::ClusterUid, names::FACT_PREFIX};
use tidegate_proto::v1 as wire;
use tonic::Status;

use super::{FleetApi, list};
use crate::{
    changes::{Changes, Decision},
    identity::token,
    records::{ClusterRecord, FLEET},
    rotation,
    state::State,
};

/// How long a join token is good for unless the request says otherwise.
const TOKEN_LIFE: Duration = Duration::from_hours(1);
/// The most join tokens that go together with their cluster, in one transaction. Any others let
/// nobody in any more.
const TOKENS: usize = 50;
/// A join token that is good for longer than a week is a password.
const LONGEST_TOKEN_LIFE: Duration = Duration::from_hours(7 * 24);

impl FleetApi {
    pub(super) async fn mint_token(
        &self,
        actor: &str,
        request: &wire::CreateJoinTokenRequest,
    ) -> Result<wire::CreateJoinTokenResponse, Status> {
        let life = match request.ttl_ms {
            0 => TOKEN_LIFE,
            millis => Duration::from_millis(millis),
        };
        if life > LONGEST_TOKEN_LIFE {
            return Err(Status::invalid_argument(
                "a join token is good for at most 7 days",
            ));
        }
        if !dns::is_label(&request.cluster) {
            return Err(Status::invalid_argument(format!(
                "cluster name {:?}: use {}",
                request.cluster,
                dns::LABEL_RULE
            )));
        }
        no_facts(request.labels.keys())?;
        let now = self.db.clock().now();
        let expires_at = now + SignedDuration::try_from(life).unwrap_or_default();
        let secrets =
            token::Secrets::random().map_err(|error| Status::internal(error.to_string()))?;
        let (cluster, text) = self
            .write(|state| {
                let mut changes = Changes::default();
                let uid = self.register(state, request, &mut changes, now)?;
                let (text, record) = token::mint(
                    &secrets,
                    &self.authority.fingerprint(),
                    uid,
                    expires_at,
                    actor,
                );
                changes.create(&record);
                let subject = format!("cluster/{}", request.cluster);
                changes.decide(Decision::by(
                    actor,
                    FLEET,
                    "cluster.join-token",
                    subject,
                    String::new(),
                ));
                Ok(((uid, text), changes))
            })
            .await?;
        Ok(wire::CreateJoinTokenResponse {
            token: text,
            cluster_uid: cluster.to_string(),
            expires_at_ms: expires_at.as_millisecond(),
            ca_pem: self.authority.ca_pem().to_owned(),
        })
    }

    /// The cluster's uid; registers it if need be, and adds labels and servers to a known one.
    fn register(
        &self,
        state: &State,
        request: &wire::CreateJoinTokenRequest,
        changes: &mut Changes,
        now: jiff::Timestamp,
    ) -> Result<ClusterUid, Status> {
        if let Some(taken) = request.servers.iter().find_map(|server| {
            let other = state.clusters.iter().find(|record| {
                record.cluster.name != request.cluster && record.cluster.servers.contains(server)
            })?;
            Some(format!(
                "server {server} is an alias of cluster {} already",
                other.cluster.name
            ))
        }) {
            return Err(Status::already_exists(taken));
        }
        let known = state
            .clusters
            .find(|record| record.cluster.name == request.cluster);
        if let Some(row) = known {
            let mut record = ClusterRecord::clone(&row.record);
            record.cluster.labels.extend(request.labels.clone());
            for server in &request.servers {
                if !record.cluster.servers.contains(server) {
                    record.cluster.servers.push(server.clone());
                }
            }
            changes.update(row, &record);
            return Ok(record.cluster.uid);
        }
        let uid = ClusterUid(self.db.clock().id());
        changes.create(&ClusterRecord {
            cluster: Cluster {
                uid,
                name: request.cluster.clone(),
                labels: request.labels.clone(),
                annotations: std::collections::BTreeMap::new(),
                servers: request.servers.clone(),
            },
            kubernetes_uid: None,
            agent_version: String::new(),
            joined: false,
            created_at: now,
            refused_before: None,
            renew_before: None,
        });
        Ok(uid)
    }

    pub(super) async fn label(
        &self,
        actor: &str,
        request: &wire::LabelClusterRequest,
    ) -> Result<wire::Cluster, Status> {
        no_facts(request.set.keys().chain(&request.remove))?;
        self.write(|state| {
            let row = find(state, &request.cluster)?;
            let mut record = ClusterRecord::clone(&row.record);
            record.cluster.labels.extend(request.set.clone());
            record
                .cluster
                .labels
                .retain(|key, _| !request.remove.contains(key));
            let mut changes = Changes::default();
            changes.update(row, &record);
            if !changes.is_empty() {
                let text = |record: &ClusterRecord| {
                    serde_json::to_string(&record.cluster.labels).unwrap_or_default()
                };
                let subject = format!("cluster/{}", request.cluster);
                let decision = Decision::by(actor, FLEET, "cluster.label", subject, String::new());
                changes.decide(decision.from_to(text(&row.record), text(&record)));
            }
            Ok((list::cluster(state, &self.evidence, &record), changes))
        })
        .await
    }

    pub(super) async fn rotate(
        &self,
        actor: &str,
        request: &wire::RotateClusterRequest,
    ) -> Result<wire::Cluster, Status> {
        let now = self.db.clock().now();
        self.write(|state| {
            let row = find(state, &request.cluster)?;
            if !row.record.joined {
                return Err(Status::failed_precondition(format!(
                    "cluster {} has no agent yet: there is no certificate to replace; \
                     `tidegate cluster join-token {0}` lets one join",
                    request.cluster
                )));
            }
            let (record, changes) = rotation::order(row, actor, &request.reason, now);
            Ok((list::cluster(state, &self.evidence, &record), changes))
        })
        .await
    }

    pub(super) async fn remove(
        &self,
        actor: &str,
        request: &wire::RemoveClusterRequest,
    ) -> Result<wire::RemoveClusterResponse, Status> {
        let reason = super::required_reason(&request.reason, "removing a cluster")?;
        let uid = self
            .write(|state| {
                let row = find(state, &request.cluster)?;
                let uid = row.record.cluster.uid;
                let mut changes = Changes::default();
                changes.delete(row);
                for token in state
                    .tokens
                    .under(&format!("{FLEET}/"))
                    .filter(|row| row.record.cluster == uid)
                    .take(TOKENS)
                {
                    changes.delete(token);
                }
                let subject = format!("cluster/{}", request.cluster);
                changes.decide(Decision::by(
                    actor,
                    FLEET,
                    "cluster.remove",
                    subject,
                    reason.clone(),
                ));
                Ok((uid, changes))
            })
            .await?;
        self.evidence
            .close(uid, "this cluster was removed from the fleet");
        Ok(wire::RemoveClusterResponse {})
    }
}

fn find<'a>(state: &'a State, name: &str) -> Result<&'a crate::state::Row<ClusterRecord>, Status> {
    state
        .clusters
        .find(|record| record.cluster.name == name)
        .ok_or_else(|| {
            Status::not_found(format!(
                "no cluster {name}; `tidegate get clusters` lists them"
            ))
        })
}

fn no_facts<'a>(mut keys: impl Iterator<Item = &'a String>) -> Result<(), Status> {
    match keys.find(|key| key.starts_with(FACT_PREFIX)) {
        Some(key) => Err(Status::invalid_argument(format!(
            "label {key}: the prefix {FACT_PREFIX} is for what agents report; choose another name"
        ))),
        None => Ok(()),
    }
}
