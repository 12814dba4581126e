//! Answers events between passes: health at once, drift as the policy says.
//!
//! An event whose owned fields are as they were applied costs no call. Only a suspicion reads, asks
//! the server what an apply would change, and heals or reports.

use std::{collections::BTreeMap, sync::Arc};

use tidegate_model::{object::ObjectId, policy::Drift};

use super::{
    Run, Task,
    row::{Drifted, Row, Status},
};
use crate::{
    apply::{Applier, Look, Outcome},
    clock,
    cluster::{self, Class, Kind},
    plan::Target,
    state::Record,
    watch::{Observation, Seen},
};

impl Task {
    pub(super) async fn on_seen(&mut self, seen: BTreeMap<ObjectId, Seen>) {
        let record = self.store.record();
        let Some(run) = Run::of(&record) else {
            // Something a tombstone waits for has moved.
            return self.pass().await;
        };
        let mut suspects = Vec::new();
        let mut leftover_moved = false;
        for (id, seen) in seen {
            let Some(row) = self.rows.get_mut(&id) else {
                let kept = record.inventory.entries().contains_key(&id);
                leftover_moved |= kept && matches!(seen, Seen::Left);
                continue;
            };
            match seen {
                Seen::Live(live) => {
                    if row.is_right() {
                        row.observe(&live);
                    }
                    if is_suspicious(row, &live) && run.drift() != Drift::Off {
                        suspects.push(id);
                    }
                }
                Seen::Left if row.is_right() => suspects.push(id),
                // It was being deleted and is gone: it can be made anew.
                Seen::Left => leftover_moved = true,
            }
        }
        for id in suspects {
            self.check(&record, &run, &id).await;
        }
        if leftover_moved {
            self.pass().await;
        }
    }

    pub(super) async fn on_timer(&mut self) {
        self.expire_drift();
        if self.retry.is_due() || self.full_check <= clock::monotonic() {
            return self.pass().await;
        }
        let record = self.store.record();
        let Some(run) = Run::of(&record) else { return };
        let (now, wall) = (self.now(), clock::wall());
        let mut due = Vec::new();
        let mut recheck = Vec::new();
        for (id, row) in &self.rows {
            if run.drift() == Drift::Heal
                && row.is_right()
                && row.drift.as_ref().is_some_and(|drift| !drift.healed)
                && row.heat.next() <= now
            {
                due.push(id.clone());
            } else if row.recheck().is_some_and(|at| at <= wall) {
                recheck.push(id.clone());
            }
        }
        for id in due {
            self.check(&record, &run, &id).await;
        }
        for id in recheck {
            self.look_again(&id).await;
        }
    }

    /// Health of an object whose time has come; nothing else of it changed.
    async fn look_again(&mut self, id: &ObjectId) {
        let Some(kind) = self.kind_of(id) else { return };
        let live = match self.env.cluster.get(&kind, id).await {
            Ok(Some(live)) => Observation::of(&self.env.cluster, &live).await,
            // The watch tells what became of it.
            _ => return,
        };
        if let Some(row) = self.rows.get_mut(id) {
            row.observe(&live);
        }
    }

    fn kind_of(&self, id: &ObjectId) -> Option<Kind> {
        let version = &self.rows.get(id)?.key.version;
        self.env
            .cluster
            .discovery()
            .kind(&id.group, version, &id.kind)
            .cloned()
    }

    /// Finds out about one object and does what the policy says.
    async fn check(&mut self, record: &Arc<Record>, run: &Run, id: &ObjectId) {
        let Some(kind) = self.kind_of(id) else { return };
        let Some(row) = self.rows.get(id) else { return };
        let (heals, now) = (
            run.drift() == Drift::Heal && row.heat.next() <= self.now(),
            self.now(),
        );
        let Some(target) = self.target(run, record, id, row) else {
            // The disk cache lost it; the pass takes it from the cluster.
            return self.pass().await;
        };
        match self.look_and_heal(run, &kind, &target, heals).await {
            Ok((look, healed)) => {
                let new_uid = self.found(&target, look, healed, now);
                self.keep_uid(id, new_uid).await;
            }
            Err(error) => {
                self.retry.failed(error.class(), error.retry_after());
                if error.class() == Class::Unreachable {
                    self.unreachable = true;
                } else if let Some(row) = self.rows.get_mut(id) {
                    row.failed(&error);
                }
            }
        }
    }

    async fn look_and_heal(
        &self,
        run: &Run,
        kind: &Kind,
        target: &Target,
        heals: bool,
    ) -> Result<(Checked, Option<Observation>), cluster::Error> {
        let claim = super::pass::claim_of(&self.env, &target.id);
        let applier = Applier {
            cluster: &self.env.cluster,
            app: self.app,
            claim: &claim,
        };
        if run.drift() == Drift::Off {
            return Ok(match self.env.cluster.get(kind, &target.id).await? {
                Some(live) => (
                    Checked::Untouched(Observation::of(&self.env.cluster, &live).await),
                    None,
                ),
                None => (Checked::Gone, None),
            });
        }
        let (fields, live) = match applier.look(kind, target).await? {
            Look::Right(live) => {
                let live = Observation::of(&self.env.cluster, &live).await;
                return Ok((Checked::Right(live), None));
            }
            Look::Foreign(why) => return Ok((Checked::Foreign(why), None)),
            Look::Terminating(_) => return Ok((Checked::Terminating, None)),
            Look::Disowned(live) => {
                let checked = if !heals {
                    Checked::Disowned(Observation::of(&self.env.cluster, &live).await)
                } else if let Outcome::Right { live, .. } =
                    applier.converge(kind, target, true).await?
                {
                    Checked::Right(Observation::of(&self.env.cluster, &live).await)
                } else {
                    Checked::Terminating
                };
                return Ok((checked, None));
            }
            Look::Missing => (Vec::new(), None),
            Look::Differs(live, fields) => (
                fields,
                Some(Observation::of(&self.env.cluster, &live).await),
            ),
        };
        let mut healed = None;
        if heals && let Outcome::Right { live, .. } = applier.converge(kind, target, true).await? {
            healed = Some(Observation::of(&self.env.cluster, &live).await);
        }
        Ok((Checked::Differs { fields, live }, healed))
    }

    /// Notes what was found; returns the uid of an object that was made anew.
    fn found(
        &mut self,
        target: &Target,
        checked: Checked,
        healed: Option<Observation>,
        now: std::time::Duration,
    ) -> Option<String> {
        let row = self.rows.get_mut(&target.id)?;
        let uid = row.uid.clone();
        match checked {
            Checked::Right(live) => {
                row.drift = row.drift.take().filter(|drift| drift.healed);
                row.right(target, &live);
            }
            Checked::Untouched(live) => row.observe(&live),
            Checked::Disowned(live) => row.leave(&live, None),
            Checked::Gone => row.missing = true,
            Checked::Foreign(why) => {
                row.status = Status::Foreign(why);
                self.retry.failed(Class::Terminal, None);
            }
            Checked::Terminating => row.drift = None,
            Checked::Differs { fields, live } => {
                self.env.metrics.drifted(healed.is_some());
                let drift = Some(Drifted::now(fields, healed.is_some()));
                match (healed, live) {
                    (Some(healed), _) => {
                        row.right(target, &healed);
                        row.drift = drift;
                        row.heat.heal(now);
                        tracing::info!(app = %self.app, object = %target.id, "healed a difference");
                    }
                    (None, Some(live)) => row.leave(&live, drift),
                    (None, None) => {
                        row.missing = true;
                        row.drift = drift;
                    }
                }
            }
        }
        row.uid.clone().filter(|new| Some(new) != uid.as_ref())
    }

    async fn keep_uid(&mut self, id: &ObjectId, uid: Option<String>) {
        let Some(uid) = uid else { return };
        let id = id.clone();
        let kept = self
            .store
            .update(move |record| Arc::make_mut(&mut record.inventory).confirm(&id, &uid))
            .await;
        if let Err(error) = kept {
            // The label and the annotation are proof enough until the next pass keeps the uid.
            tracing::warn!(%error, "failed to keep the uid of a healed object");
            self.retry.failed(Class::Retryable, None);
        }
    }
}

/// What a check found.
enum Checked {
    Right(Observation),
    /// The policy says not to compare.
    Untouched(Observation),
    Gone,
    Foreign(String),
    Terminating,
    /// Values are right, owners are not, and the policy or the backoff says not to write.
    Disowned(Observation),
    Differs {
        fields: Vec<String>,
        live: Option<Observation>,
    },
}

/// Whether an event may mean that owned fields changed. Clears a difference that somebody undid.
fn is_suspicious(row: &mut Row, live: &Observation) -> bool {
    if !row.is_right() || live.terminating {
        return false;
    }
    let seen = Some(live.fingerprint);
    if row.fingerprint == seen && row.uid.as_deref() == Some(&live.uid) {
        row.examined = None;
        row.drift = row.drift.take().filter(|drift| drift.healed);
        return false;
    }
    row.examined != Some(live.content)
}
