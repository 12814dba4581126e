//! People: sign a certificate, say who asks.

use std::collections::BTreeSet;

use tidegate_proto::v1 as wire;
use tonic::Status;

use super::FleetApi;
use crate::{
    changes::{Changes, Decision},
    identity::check_user_name,
    records::{FLEET, Record as _, Role, UserRecord},
    state::Row,
};

impl FleetApi {
    pub(super) async fn sign_up(
        &self,
        actor: &str,
        request: &wire::CreateUserRequest,
    ) -> Result<wire::CreateUserResponse, Status> {
        let role = match request.role() {
            wire::Role::Viewer => Role::Viewer,
            wire::Role::Operator => Role::Operator,
            wire::Role::Admin => Role::Admin,
            wire::Role::Unspecified => {
                return Err(Status::invalid_argument(
                    "the request names no role: viewer, operator or admin",
                ));
            }
        };
        let groups = groups(&request.groups)?;
        let named = request.no_groups || !groups.is_empty();
        let now = self.db.clock().now();
        let signed = self
            .authority
            .sign_user(&request.csr, &request.name, self.db.clock().wall())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.write(|state| {
            let record = UserRecord {
                name: request.name.clone(),
                role,
                created_at: now,
                created_by: actor.to_owned(),
                groups: groups.clone(),
            };
            let known = state.users.get(&record.key());
            if let Some(row) = known.filter(|row| row.record.role != role) {
                return Err(Status::already_exists(format!(
                    "{} is a {} already; roles are not changed by signing another certificate",
                    request.name,
                    row.record.role.as_str()
                )));
            }
            let mut changes = Changes::default();
            match known {
                None => changes.create(&record),
                Some(row) if named && row.record.groups != groups => {
                    regroup(row, &groups, actor, &mut changes);
                }
                Some(_) => {}
            }
            let subject = format!("user/{} role/{}", request.name, role.as_str());
            changes.decide(Decision::by(
                actor,
                FLEET,
                "user.sign",
                subject,
                String::new(),
            ));
            Ok(((), changes))
        })
        .await?;
        Ok(wire::CreateUserResponse {
            certificate_pem: signed.certificate_pem,
            ca_pem: self.authority.ca_pem().to_owned(),
            not_after_ms: signed.not_after.as_millisecond(),
        })
    }

    pub(super) fn who(&self, name: &str) -> Result<wire::WhoAmIResponse, Status> {
        let state = self.db.read();
        let user = state.users.find(|user| user.name == name).ok_or_else(|| {
            Status::permission_denied(format!("{name} is not a user of this hub"))
        })?;
        let role = match user.record.role {
            Role::Viewer => wire::Role::Viewer,
            Role::Operator => wire::Role::Operator,
            Role::Admin => wire::Role::Admin,
        };
        Ok(wire::WhoAmIResponse {
            name: name.to_owned(),
            role: role.into(),
            trust_domain: self.authority.trust_domain().to_string(),
            groups: user.record.groups.clone(),
        })
    }
}

/// Another certificate for the same person: groups that are named are theirs from now.
fn regroup(row: &Row<UserRecord>, groups: &[String], actor: &str, changes: &mut Changes) {
    let mut record = UserRecord::clone(&row.record);
    record.groups = groups.to_vec();
    changes.update(row, &record);
    let (before, after) = (row.record.groups.join(","), groups.join(","));
    let subject = format!("user/{}", record.name);
    let decision = Decision::by(actor, FLEET, "user.groups", subject, String::new());
    changes.decide(decision.from_to(before, after));
}

/// The groups of a request: names like those of users, sorted, each once.
fn groups(named: &[String]) -> Result<Vec<String>, Status> {
    let groups: BTreeSet<_> = named.iter().cloned().collect();
    for group in &groups {
        check_user_name(group)
            .map_err(|error| Status::invalid_argument(format!("group {group:?}: {error}")))?;
    }
    Ok(groups.into_iter().collect())
}
