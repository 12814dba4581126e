//! A full pass over an application that is to run: plan, stages, prune.
//!
//! A generation that is not through yet is applied; one that is through is checked, and differences
//! are treated as the policy says. One object that fails does so alone: only what needs it, and the
//! prune, wait.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tidegate_model::{object::ObjectId, policy::Drift, report::Phase};
use tidegate_telemetry::describe;
use tracing::Instrument as _;

use super::{
    Error, Run, Task,
    row::{Drifted, Row, Status},
};
use crate::{
    apply::{Applier, Look, Outcome},
    clock,
    cluster::{self, Class, Discovery, Kind},
    ownership::Claim,
    plan::{Input, Item, Plan, Target},
    stage::Stage,
    state::Record,
    traces,
    watch::Observation,
};

/// Discovery younger than this is used as it is.
const DISCOVERY_AGE: Duration = Duration::from_secs(30);

/// What a pass does with an object that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The generation is new: apply.
    Apply,
    /// It is through: heal, report, or leave alone.
    Verify(Drift),
}

/// What became of one object in a stage.
enum Done {
    Outcome(Outcome, Option<Observation>),
    Look(Look, Option<Observation>),
    NoKind,
    Error(cluster::Error),
}

impl Done {
    /// What became of it, for the metrics.
    fn word(&self) -> &'static str {
        match self {
            Self::Outcome(Outcome::Right { wrote: Some(_), .. }, _) => "applied",
            Self::Outcome(Outcome::Right { wrote: None, .. }, _)
            | Self::Look(Look::Right(_), _) => "unchanged",
            Self::Look(Look::Differs(..) | Look::Missing | Look::Disowned(_), _) => "differs",
            Self::Outcome(Outcome::Foreign(_), _) | Self::Look(Look::Foreign(_), _) => "foreign",
            Self::Outcome(Outcome::Terminating(_), _) | Self::Look(Look::Terminating(_), _) => {
                "terminating"
            }
            Self::NoKind | Self::Error(_) => "failed",
        }
    }
}

impl Task {
    pub(super) async fn run_pass(&mut self, record: &Arc<Record>) -> Result<(), Error> {
        let Some(run) = Run::of(record) else {
            return Ok(());
        };
        let items = self.content(record).await?;
        let discovery = self.env.cluster.discover(DISCOVERY_AGE).await;
        self.find_lost().await?;
        let mut plan = self.plan(record, &run, &items, &discovery);
        if !plan.pending.is_empty() {
            // The definition may have come since, and the next pass may be a minute away.
            let discovery = self.env.cluster.discover(Duration::ZERO).await;
            plan = self.plan(record, &run, &items, &discovery);
        }
        self.env.claims.set(self.app, plan.declared());
        self.take_up(&plan, &items);
        let mode = if record.is_applied() {
            Mode::Verify(run.drift())
        } else {
            self.phase = Phase::Applying;
            Mode::Apply
        };
        // Before the first write: whatever happens after, nothing of ours is forgotten.
        let entered: Vec<_> = plan
            .targets
            .iter()
            .map(|t| (t.id.clone(), t.version.clone()))
            .collect();
        self.store
            .update(move |record| {
                let inventory = Arc::make_mut(&mut record.inventory);
                inventory.enter(entered.iter().map(|(id, version)| (id, version.as_str())));
            })
            .await?;
        self.follow(&plan);
        self.publish_unless_verifying(mode);
        for targets in plan.targets.chunk_by(|a, b| a.stage == b.stage) {
            let stage = targets.first().map_or(Stage::Users, |target| target.stage);
            let span = traces::stage(stage, targets.len());
            self.stage(targets, mode).instrument(span).await;
            if targets
                .first()
                .is_some_and(|target| target.stage == Stage::Definitions)
            {
                self.wait_established(targets).await;
                self.follow(&plan);
            }
        }
        self.follow(&plan);
        self.finish(record, &run, &plan).await
    }

    fn publish_unless_verifying(&mut self, mode: Mode) {
        if mode == Mode::Apply {
            self.publish();
        }
    }

    fn plan(&self, record: &Record, run: &Run, items: &[Item], discovery: &Discovery) -> Plan {
        Plan::of(&Input {
            objects: items,
            owner: run.owner(record),
            agent_namespace: &self.env.options.namespace,
            inventory: &self.store.record().inventory,
            kinds: &|group, version, kind| discovery.known(group, version, kind),
        })
    }

    /// Makes the rows those of this plan, keeping what is known about each.
    fn take_up(&mut self, plan: &Plan, items: &[Item]) {
        let keys: BTreeMap<_, _> = items.iter().map(|item| (item.digest, &item.key)).collect();
        let mut before = std::mem::take(&mut self.rows);
        for target in &plan.targets {
            let Some(key) = keys.get(&target.digest) else {
                continue;
            };
            let fresh = || Row::new((*key).clone(), target.digest);
            let mut row = before.remove(&target.id).unwrap_or_else(fresh);
            row.key = (*key).clone();
            row.digest = target.digest;
            self.rows.insert(target.id.clone(), row);
        }
        let refused = plan.refused.iter().map(|row| (row, Class::Terminal));
        let pending = plan.pending.iter().map(|row| (row, Class::Retryable));
        for ((id, message), class) in refused.chain(pending) {
            if self.rows.contains_key(id) {
                // The same object declared twice: the first one is applied, the second reported.
                self.problems.push((Some(id.clone()), message.clone()));
                continue;
            }
            let Some(item) = items
                .iter()
                .find(|item| item.key.id.name == id.name && item.key.id.kind == id.kind)
            else {
                continue;
            };
            let mut row = Row::new(item.key.clone(), item.digest);
            row.status = Status::Failed {
                message: message.clone(),
                class,
            };
            self.rows.insert(id.clone(), row);
        }
    }

    /// Watches what is declared and what may still be there.
    fn follow(&self, plan: &Plan) {
        let record = self.store.record();
        let discovery = self.env.cluster.discovery();
        let mut interest = plan.declared();
        interest.extend(record.inventory.entries().keys().cloned());
        let versions = plan
            .targets
            .iter()
            .map(|target| (&target.id, &target.version));
        let kept = record
            .inventory
            .entries()
            .iter()
            .map(|(id, entry)| (id, &entry.version));
        let mut kinds: BTreeMap<(String, String), Kind> = BTreeMap::new();
        for (id, version) in versions.chain(kept) {
            let key = (id.group.clone(), id.kind.clone());
            if !kinds.contains_key(&key)
                && let Some(kind) = discovery.any_version(&id.group, version, &id.kind)
            {
                kinds.insert(key, kind.clone());
            }
        }
        let kinds: Vec<_> = kinds.into_values().collect();
        self.env.watches.follow(self.app, interest, &kinds);
    }

    /// Works on the objects of one stage, several at a time.
    async fn stage(&mut self, targets: &[Target], mode: Mode) {
        let mut ready = Vec::new();
        for target in targets {
            match self.blocker(target) {
                Some(why) => {
                    if let Some(row) = self.rows.get_mut(&target.id) {
                        row.status = Status::Waiting(why);
                    }
                }
                None => ready.push(target),
            }
        }
        let (env, app) = (self.env.clone(), self.app);
        let applied: BTreeMap<_, _> = ready
            .iter()
            .filter_map(|target| Some((&target.id, self.rows.get(&target.id)?.applied)))
            .collect();
        let mut work = Vec::with_capacity(ready.len());
        for target in ready {
            let env = env.clone();
            let changed = applied
                .get(&target.id)
                .copied()
                .flatten()
                .is_some_and(|digest| digest != target.digest);
            work.push(async move {
                let claim = |owner| env.claims.claim(owner, &target.id);
                let applier = Applier {
                    cluster: &env.cluster,
                    app,
                    claim: &claim,
                };
                (target, work_on(&applier, target, mode, changed).await)
            });
        }
        let results = super::concurrently(work, self.concurrency()).await;
        for (target, done) in results {
            self.note(target, mode, done);
        }
    }

    /// What keeps an object from being applied now.
    fn blocker(&self, target: &Target) -> Option<String> {
        target.needs.iter().find_map(|need| {
            let row = self.rows.get(need)?;
            match &row.status {
                // It is there, only not ours.
                Status::Right | Status::Foreign(_) => None,
                _ => Some(format!("it waits for {need}")),
            }
        })
    }

    fn note(&mut self, target: &Target, mode: Mode, done: Done) {
        let now = self.now();
        let heals = mode == Mode::Verify(Drift::Heal);
        let Some(row) = self.rows.get_mut(&target.id) else {
            return;
        };
        let metrics = &self.env.metrics;
        metrics.object(done.word());
        match done {
            Done::Outcome(Outcome::Right { wrote, .. }, Some(live)) => {
                row.right(target, &live);
                if wrote.is_some() && heals {
                    metrics.drifted(true);
                }
                if let Some(fields) = wrote.filter(|_| heals) {
                    row.heat.heal(now);
                    row.drift = Some(Drifted::now(fields, true));
                }
            }
            Done::Look(Look::Right(_), Some(live)) => {
                row.drift = row.drift.take().filter(|drift| drift.healed);
                row.right(target, &live);
            }
            Done::Look(Look::Differs(_, fields), Some(live)) => {
                metrics.drifted(false);
                row.leave(&live, Some(Drifted::now(fields, false)));
            }
            Done::Look(Look::Disowned(_), Some(live)) => row.leave(&live, None),
            Done::Look(Look::Missing, _) => {
                metrics.drifted(false);
                row.status = Status::Right;
                row.missing = true;
                row.drift =
                    (mode != Mode::Verify(Drift::Off)).then(|| Drifted::now(Vec::new(), false));
            }
            Done::Outcome(Outcome::Foreign(why), _) | Done::Look(Look::Foreign(why), _) => {
                row.status = Status::Foreign(why);
            }
            Done::Outcome(Outcome::Terminating(why), _) | Done::Look(Look::Terminating(why), _) => {
                row.status = Status::Waiting(why);
            }
            Done::NoKind => {
                row.status = Status::Failed {
                    message: format!(
                        "the cluster serves no kind {} in version {} yet",
                        target.id.kind, target.version
                    ),
                    class: Class::Retryable,
                };
            }
            Done::Error(error) => self.note_error(target, &error),
            Done::Outcome(Outcome::Right { .. }, None) | Done::Look(_, None) => {}
        }
    }

    fn note_error(&mut self, target: &Target, error: &cluster::Error) {
        self.env.metrics.failed("apply", error.class());
        self.retry.note(error.class(), error.retry_after());
        let Some(row) = self.rows.get_mut(&target.id) else {
            return;
        };
        // An API server that cannot be reached says nothing about what was applied before.
        if error.class() == Class::Unreachable && row.is_right() {
            self.problems
                .push((Some(target.id.clone()), describe(error)));
            self.unreachable = true;
        } else {
            row.failed(error);
        }
    }

    /// Waits until definitions are established and their kinds discovered, so that the objects of
    /// these kinds can be applied.
    async fn wait_established(&mut self, targets: &[Target]) {
        let deadline = clock::monotonic() + self.env.options.stage_wait;
        let mut pause = Duration::from_millis(50);
        loop {
            let discovery = self.env.cluster.discover(Duration::ZERO).await;
            let mut waiting = false;
            for target in targets {
                let Some(row) = self.rows.get_mut(&target.id).filter(|row| row.is_right()) else {
                    continue;
                };
                let text = |pointer: &str| {
                    target
                        .body
                        .pointer(pointer)
                        .and_then(serde_json::Value::as_str)
                        .unwrap_or_default()
                };
                let kind = discovery.any_version(text("/spec/group"), "", text("/spec/names/kind"));
                let definitions =
                    discovery.kind(&target.id.group, &target.version, &target.id.kind);
                if let Some(definitions) = definitions
                    && let Ok(Some(live)) = self.env.cluster.get(definitions, &target.id).await
                {
                    row.observe(&Observation::of(&self.env.cluster, &live).await);
                }
                let (health, why) = row.health();
                if health.is_healthy() && kind.is_some() {
                    continue;
                }
                waiting = true;
                if clock::monotonic() >= deadline
                    || health == tidegate_model::health::Health::Degraded
                {
                    row.status = Status::Failed {
                        message: format!("not established: {why}"),
                        class: Class::Retryable,
                    };
                }
            }
            if !waiting || clock::monotonic() >= deadline {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// After the stages: uids, prune, and whether the generation is through.
    async fn finish(&mut self, record: &Arc<Record>, run: &Run, plan: &Plan) -> Result<(), Error> {
        let uids: Vec<(ObjectId, String)> = self
            .rows
            .iter()
            .filter(|(_, row)| row.is_right())
            .filter_map(|(id, row)| Some((id.clone(), row.uid.clone()?)))
            .collect();
        let all_applied = plan.refused.is_empty() && self.rows.values().all(Row::is_right);
        let nothing_left = plan.leftovers.is_empty();
        let through = (all_applied && nothing_left).then_some(self.generation);
        self.store
            .update(move |record| {
                let inventory = Arc::make_mut(&mut record.inventory);
                for (id, uid) in &uids {
                    inventory.confirm(id, uid);
                }
                record.applied = through.or(record.applied);
            })
            .await?;
        let pruned = nothing_left || self.prune(record, run, plan, all_applied).await?;
        if all_applied && pruned && through.is_none() {
            let generation = self.generation;
            self.store
                .update(move |record| record.applied = Some(generation))
                .await?;
        }
        self.conclude(all_applied, pruned);
        Ok(())
    }

    fn conclude(&mut self, all_applied: bool, pruned: bool) {
        if all_applied && pruned {
            self.phase = Phase::Applied;
            if !self.unreachable {
                self.retry.succeeded();
            }
            return;
        }
        if !self.retry.is_noted() {
            let worst = self.rows.values().filter_map(|row| match &row.status {
                Status::Failed { class, .. } => Some(*class),
                // Its owner may let it go, or its need may come: the nudge tells, this is the net.
                Status::Foreign(_) => Some(Class::Terminal),
                Status::Waiting(_) => Some(Class::Retryable),
                Status::Right => None,
            });
            self.retry
                .failed(worst.max().unwrap_or(Class::Retryable), None);
        }
        let failed = |row: &Row| matches!(row.status, Status::Failed { .. } | Status::Foreign(_));
        if self.rows.values().any(failed) {
            self.phase = Phase::Failed;
        } else if self.phase != Phase::Applied {
            self.phase = Phase::Applying;
        }
    }
}

async fn work_on(applier: &Applier<'_>, target: &Target, mode: Mode, changed: bool) -> Done {
    let discovery = applier.cluster.discovery();
    let Some(kind) = discovery.kind(&target.id.group, &target.version, &target.id.kind) else {
        return Done::NoKind;
    };
    if matches!(mode, Mode::Verify(Drift::Warn | Drift::Off)) {
        return match look_only(applier, kind, target, mode).await {
            Ok(done) => done,
            Err(error) => Done::Error(error),
        };
    }
    match applier.converge(kind, target, changed).await {
        Ok(outcome) => {
            let observation = match &outcome {
                Outcome::Right { live, .. } => Some(Observation::of(applier.cluster, live).await),
                _ => None,
            };
            Done::Outcome(outcome, observation)
        }
        Err(error) => Done::Error(error),
    }
}

/// The policy says not to write: compare, or only see how the object is.
async fn look_only(
    applier: &Applier<'_>,
    kind: &Kind,
    target: &Target,
    mode: Mode,
) -> Result<Done, cluster::Error> {
    let look = if mode == Mode::Verify(Drift::Off) {
        match applier.cluster.get(kind, &target.id).await? {
            // Not compared, so nothing of it may count as ours.
            Some(live) => Look::Disowned(live),
            None => Look::Missing,
        }
    } else {
        applier.look(kind, target).await?
    };
    let observation = match &look {
        Look::Right(live) | Look::Differs(live, _) | Look::Disowned(live) => {
            Some(Observation::of(applier.cluster, live).await)
        }
        _ => None,
    };
    Ok(Done::Look(look, observation))
}

/// What another application has to do with an object, for [`Applier`].
pub(super) fn claim_of(
    env: &super::Env,
    id: &ObjectId,
) -> impl Fn(tidegate_model::ids::AppUid) -> Claim {
    move |owner| env.claims.claim(owner, id)
}
