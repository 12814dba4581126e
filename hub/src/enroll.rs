//! Certificates for agents: a join token traded once, a live certificate renewed for the same
//! identity.
//!
//! Owns the transaction that makes a token good only once. The checks of a token and the signing
//! are `identity`'s. A refusal is recorded: somebody tried.

use std::sync::Arc;

use jiff::Timestamp;
use tidegate_model::ids::ClusterUid;

use crate::{
    changes::{Changes, Decision},
    db::{self, Db},
    identity::{Authority, token},
    link::port::{Certificate, EnrollBackend, EnrollError, JoinOrder, Joined},
    records::{ClusterRecord, FLEET, TokenRecord},
    state::State,
};

/// How often a trade is decided anew before the agent is told to come back.
const ATTEMPTS: usize = 8;

/// The backend. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Enroll {
    db: Db,
    authority: Arc<Authority>,
}

impl Enroll {
    /// A backend that signs with this authority.
    pub fn new(db: Db, authority: Arc<Authority>) -> Self {
        Self { db, authority }
    }

    async fn commit<T>(
        &self,
        mut decide: impl FnMut(&State) -> (T, Changes),
    ) -> Result<T, EnrollError> {
        for _ in 0..ATTEMPTS {
            let (answer, changes) = decide(&self.db.read());
            match self.db.commit(changes).await {
                Ok(()) => return Ok(answer),
                Err(error @ db::Error::Conflict { .. }) => {
                    tracing::debug!(%error, "deciding again");
                }
                Err(error) => return Err(EnrollError::Unavailable(error.to_string())),
            }
        }
        Err(EnrollError::Unavailable(
            "too much changed at the same time; try again".to_owned(),
        ))
    }

    fn sign(
        &self,
        csr: &[u8],
        cluster: ClusterUid,
        now: Timestamp,
    ) -> Result<Certificate, EnrollError> {
        let least = self.db.read().cluster(cluster).and_then(|row| {
            // Those that are to be renewed are made later than those that are refused.
            row.record.renew_before.or(row.record.refused_before)
        });
        let signed = self
            .authority
            .sign_agent(csr, cluster, now, least)
            .map_err(|error| EnrollError::Invalid(error.to_string()))?;
        Ok(Certificate {
            certificate_pem: signed.certificate_pem,
            ca_pem: self.authority.ca_pem().to_owned(),
            not_after: signed.not_after,
        })
    }
}

/// What a trade comes to, with the records that make it last.
fn trade(
    state: &State,
    authority: &[u8; 32],
    order: &JoinOrder,
    now: Timestamp,
) -> (Result<(ClusterUid, String), String>, Changes) {
    let mut changes = Changes::default();
    let outcome = redeem(state, authority, order, now, &mut changes);
    let (actor, reason) = match &outcome {
        Ok((_, name)) => (format!("cluster/{name}"), String::new()),
        Err(reason) => ("anonymous".to_owned(), reason.clone()),
    };
    let action = if outcome.is_ok() {
        "cluster.join"
    } else {
        "cluster.join-refused"
    };
    let subject = match &outcome {
        Ok((_, name)) => format!("cluster/{name}"),
        Err(_) => "join token".to_owned(),
    };
    changes.decide(Decision::by(&actor, FLEET, action, subject, reason));
    (outcome, changes)
}

fn redeem(
    state: &State,
    authority: &[u8; 32],
    order: &JoinOrder,
    now: Timestamp,
    changes: &mut Changes,
) -> Result<(ClusterUid, String), String> {
    let presented = token::parse(&order.token).map_err(|refusal| refusal.to_string())?;
    if presented.authority != *authority {
        return Err(token::Refusal::Unknown.to_string());
    }
    let row = state.tokens.find(|record| record.id == presented.id);
    let record = row.map(|row| row.record.as_ref());
    let cluster = token::verify(&presented, record, now).map_err(|refusal| refusal.to_string())?;
    let known = state
        .cluster(cluster)
        .ok_or("the cluster of this token was removed; make a new token")?;
    if let Some(row) = row {
        changes.update(
            row,
            &TokenRecord {
                used_at: Some(now),
                ..TokenRecord::clone(&row.record)
            },
        );
    }
    let mut joined = ClusterRecord::clone(&known.record);
    joined.joined = true;
    joined.kubernetes_uid = Some(order.kubernetes_uid.clone());
    let name = joined.cluster.name.clone();
    changes.update(known, &joined);
    Ok((cluster, name))
}

impl EnrollBackend for Enroll {
    async fn join(&self, order: JoinOrder) -> Result<Joined, EnrollError> {
        let now = self.db.clock().now();
        let fingerprint = self.authority.fingerprint();
        // Signed before the token is spent: a bad request must not cost the token.
        let probe = ClusterUid(self.db.clock().id());
        let signed_at = self.db.clock().wall();
        self.sign(&order.csr, probe, signed_at)?;
        let (cluster, name) = self
            .commit(|state| trade(state, &fingerprint, &order, now))
            .await?
            .map_err(EnrollError::Refused)?;
        let certificate = self.sign(&order.csr, cluster, signed_at)?;
        tracing::info!(cluster = name, uid = %cluster, "a cluster joined");
        Ok(Joined {
            cluster,
            name,
            certificate,
        })
    }

    async fn renew(&self, cluster: ClusterUid, csr: Vec<u8>) -> Result<Certificate, EnrollError> {
        let signed_at = self.db.clock().wall();
        let certificate = self.sign(&csr, cluster, signed_at)?;
        self.commit(|state| {
            let mut changes = Changes::default();
            let Some(row) = state.cluster(cluster) else {
                let reason = "this cluster was removed from the fleet; join it anew with a token";
                return (Err(EnrollError::Refused(reason.to_owned())), changes);
            };
            changes.require(row);
            let subject = format!("cluster/{}", row.record.cluster.name);
            changes.decide(Decision::by(
                &subject,
                FLEET,
                "cluster.renew",
                subject.clone(),
                String::new(),
            ));
            (Ok(()), changes)
        })
        .await??;
        Ok(certificate)
    }
}

#[cfg(test)]
mod tests;
