//! Reading that takes time: following a run, the audit log, what releases hold.

use std::pin::Pin;

use futures::{Stream, stream};
use tidegate_model::{audit::Outcome, ids::SetUid, release::EntryContent};
use tidegate_proto::v1 as wire;
use tidegate_store::Range;
use tokio::sync::watch;
use tonic::Status;

use super::{FleetApi, convert, runs::find};
use crate::{
    garbage::keep,
    records::{AuditRecord, Record as _, wire::Named as _},
};

type Runs = Pin<Box<dyn Stream<Item = Result<wire::Run, Status>> + Send>>;

/// The most audit records of an answer.
const LARGEST_PAGE: u32 = 1_000;

struct Following {
    api: FleetApi,
    named: wire::GetRunRequest,
    changes: watch::Receiver<u64>,
    /// Version of the set when the run was looked at: what others write costs a watcher no more than
    /// the comparison.
    seen: Option<(SetUid, u64)>,
    last: Option<wire::Run>,
}

impl FleetApi {
    /// The run now and after each change until it is terminal. A run named as the latest of its set
    /// is the one that is the latest now; of a set that has none yet, its first one is waited for.
    pub(super) fn follow_run(&self, named: wire::GetRunRequest) -> Result<Runs, Status> {
        let mut following = Following {
            api: self.clone(),
            named,
            changes: self.db.changes(),
            seen: None,
            last: None,
        };
        if following.is_known()? {
            self.show(&following.named)?;
        }
        Ok(Box::pin(stream::unfold(
            Some(following),
            |following| async {
                let mut following = following?;
                match following.next().await {
                    Ok(None) => None,
                    Ok(Some(run)) => Some((Ok(run), Some(following))),
                    Err(status) => Some((Err(status), None)),
                }
            },
        )))
    }

    /// Audit records of a project, oldest first.
    pub(super) async fn audit_records(
        &self,
        request: &wire::ListAuditRequest,
    ) -> Result<wire::ListAuditResponse, Status> {
        let project = super::project_or_default(&request.project);
        let limit = match request.limit {
            0 => LARGEST_PAGE,
            limit => limit.min(LARGEST_PAGE),
        };
        let prefix = format!("/tidegate/v1/{}/{project}/", AuditRecord::KIND);
        let after = format!("{prefix}{:020}", request.after);
        let range = Range::prefix(prefix).after(after).limit(limit as usize);
        let page = self
            .db
            .store()
            .range(range)
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let records = page
            .entries
            .iter()
            .map(|entry| AuditRecord::decode(&entry.key, &entry.value));
        let records = records
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Status::data_loss(error.to_string()))?;
        Ok(wire::ListAuditResponse {
            items: records.iter().map(audit_record).collect(),
        })
    }

    /// Fills in what the listed releases hold.
    pub(super) async fn add_entries(
        &self,
        request: &wire::ListRequest,
        answer: &mut wire::ListReleasesResponse,
    ) -> Result<(), Status> {
        // Only where one release is asked for: a list of them would be as long as the fleet.
        if request.name.is_empty() {
            return Ok(());
        }
        for release in &mut answer.items {
            let digest = {
                let state = self.db.read();
                let set = state.set(&release.project, &release.set);
                // What older ones held may be swept: then nobody can say.
                set.filter(|set| keep::keeps_release(&state, &set.record, release.number))
                    .and_then(|set| state.release(&set.record, release.number))
                    .map(|row| row.record.entries)
            };
            let Some(digest) = digest else { continue };
            let entries = self.previewer().entries(digest).await;
            let entries = entries
                .map_err(|error| Status::data_loss(format!("failed to read a release: {error}")))?;
            let state = self.db.read();
            release.entries = entries
                .iter()
                .map(|entry| wire::ReleaseEntry {
                    app_uid: entry.app.to_string(),
                    app: entry.name.clone(),
                    cluster: convert::cluster_name(&state, entry.cluster),
                    bundle: entry
                        .content
                        .bundle()
                        .map(|digest| digest.to_string())
                        .unwrap_or_default(),
                    unrendered: match &entry.content {
                        EntryContent::Unrendered { cause } => cause.clone(),
                        EntryContent::Bundle(_) => String::new(),
                    },
                })
                .collect();
        }
        Ok(())
    }
}

impl Following {
    /// Whether the run is there; from then on it is named by its id.
    fn is_known(&mut self) -> Result<bool, Status> {
        if self.named.run_id.is_empty() {
            let state = self.api.db.read();
            let set = super::list::find_set(&state, &self.named.project, &self.named.set)?;
            let Some(id) = set.record.latest_run else {
                return Ok(false);
            };
            self.named.run_id = id.to_string();
        }
        Ok(true)
    }

    /// The run, if it looks otherwise than the last time.
    fn changed(&mut self) -> Result<Option<wire::Run>, Status> {
        let state = self.api.db.read();
        if let Some((set, seen)) = self.seen
            && state.version_of(set) == seen
        {
            return Ok(None);
        }
        let row = find(&state, &self.named)?;
        let set = row.record.run.set;
        self.seen = Some((set, state.version_of(set)));
        let run = convert::run(&state, &row.record);
        Ok((self.last.as_ref() != Some(&run)).then_some(run))
    }

    async fn next(&mut self) -> Result<Option<wire::Run>, Status> {
        if self.last.as_ref().is_some_and(|run| run.terminal) {
            return Ok(None);
        }
        loop {
            self.changes.borrow_and_update();
            if self.is_known()?
                && let Some(run) = self.changed()?
            {
                self.last = Some(run.clone());
                return Ok(Some(run));
            }
            if self.changes.changed().await.is_err() {
                return Err(Status::unavailable("the hub is stopping"));
            }
        }
    }
}

fn audit_record(record: &AuditRecord) -> wire::AuditRecord {
    let context = &record.context;
    wire::AuditRecord {
        sequence: record.sequence,
        at_ms: convert::millis(Some(record.at)),
        actor: record.actor.clone(),
        action: record.action.clone(),
        subject: record.subject.clone(),
        reason: record.reason.clone(),
        before: record.before.clone(),
        after: record.after.clone(),
        hash: record.hash.to_string(),
        previous: record.previous.to_string(),
        invoker: context.invoker.name().to_owned(),
        evidence: context.evidence.clone(),
        outcome: context.outcome.as_ref().map(outcome),
    }
}

fn outcome(outcome: &Outcome) -> wire::AuditOutcome {
    wire::AuditOutcome {
        run: outcome.run.to_string(),
        state: convert::run_state(outcome.state).to_owned(),
        wave: convert::count(outcome.wave),
        gate: outcome
            .gate
            .map(|gate| gate.stored().to_owned())
            .unwrap_or_default(),
        attempt: outcome.attempt,
        member: outcome.member.as_ref().map(|member| wire::AuditMember {
            wave: member.id.wave,
            cluster_uid: member.id.cluster.to_string(),
            cluster: member.cluster_name.clone(),
            standing: member.standing.stored().to_owned(),
            wrote: member.wrote.map(|app| app.to_string()).unwrap_or_default(),
        }),
    }
}
