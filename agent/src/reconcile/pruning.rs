//! The prune of a pass: what another application took over changes hands, the rest passes the gate.

use std::{collections::BTreeSet, sync::Arc};

use tidegate_model::{object::ObjectId, report::HeldPrune};

use super::{Error, Run, Task};
use crate::{
    plan::Plan,
    prune::{self, Decision},
    state::Record,
};

impl Task {
    /// Deletes the leftovers that may go. Returns whether everything that had to go is gone; what
    /// is held back does not have to.
    pub(super) async fn prune(
        &mut self,
        record: &Arc<Record>,
        run: &Run,
        plan: &Plan,
        all_applied: bool,
    ) -> Result<bool, Error> {
        let decision = self.decide(record, run, plan, all_applied).await?;
        self.held.clone_from(&decision.held);
        if decision.delete.is_empty() {
            return Ok(true);
        }
        // An assignment that takes one of these over may be on its way.
        tokio::time::sleep(self.env.options.prune_delay).await;
        let decision = self.decide(record, run, plan, all_applied).await?;
        self.held.clone_from(&decision.held);
        let current = self.store.record();
        self.kept.clear();
        let gone = self.delete_all(&current, decision.delete).await?;
        self.show_kept();
        Ok(gone)
    }

    async fn decide(
        &self,
        record: &Record,
        run: &Run,
        plan: &Plan,
        all_applied: bool,
    ) -> Result<Decision, Error> {
        let taken: BTreeSet<ObjectId> = plan
            .leftovers
            .iter()
            .filter(|id| self.env.claims.other(self.app, id).is_some())
            .cloned()
            .collect();
        let leftovers: Vec<ObjectId> = plan
            .leftovers
            .iter()
            .filter(|id| !taken.contains(*id))
            .cloned()
            .collect();
        self.drop_entries(taken).await?;
        let discovery = self
            .env
            .cluster
            .discover(std::time::Duration::from_secs(30))
            .await;
        let inventory = self.store.record().inventory.clone();
        Ok(prune::decide(&prune::Input {
            leftovers: &leftovers,
            inventory: &inventory,
            generation: self.generation,
            declared: record
                .bundle
                .as_ref()
                .map_or(0, |bundle| bundle.objects().len()),
            prune: run.policy.prune,
            approved: run.approved,
            all_applied,
            blocked: &|id| self.blocked(&discovery, id),
        }))
    }

    /// Objects that a person's annotation keeps count as held.
    fn show_kept(&mut self) {
        let kept = std::mem::take(&mut self.kept);
        let Some((id, why)) = kept.first() else {
            return;
        };
        let reason = format!("{id}: {why}");
        let count = u32::try_from(kept.len()).unwrap_or(u32::MAX);
        self.held = Some(match self.held.take() {
            Some(held) => HeldPrune {
                count: held.count + count,
                reason: format!("{}; {reason}", held.reason),
            },
            None => HeldPrune { count, reason },
        });
    }
}
