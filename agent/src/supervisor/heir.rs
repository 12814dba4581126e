//! An application that comes under a new uid takes over from its earlier life.
//!
//! A name is unique in its project, so one name under two uids is one application told twice: its
//! hub lost the store and was given the sets again, or a set was deleted and made anew. The later
//! one inherits the inventory and the earlier one is forgotten; no object is deleted and none is
//! left without an owner. Owns who comes later and the order in which it becomes durable. A
//! tombstone neither inherits nor is inherited: it is the hub's word that something ends.

use std::sync::{Arc, PoisonError};

use tidegate_model::{
    assignment::Assignment,
    ids::{AppUid, Epoch},
};

use super::{Slot, Supervisor};
use crate::{
    port::Rejected,
    state::{self, AppStore, Record, Store},
};

/// Whether both are the same application under two uids, both meant to run.
fn is_same(a: &Assignment, b: &Assignment) -> bool {
    let run = a.bundle().is_some() && b.bundle().is_some();
    run && a.app_name == b.app_name && a.app != b.app
}

/// The order of lives: by the hub's term, then by uid, which sorts by the time it was made.
fn age(assignment: &Assignment) -> (Epoch, AppUid) {
    (assignment.epoch, assignment.app)
}

/// Refuses an assignment whose application has a later life among those that are held.
pub(super) fn check<'a>(
    given: &Assignment,
    mut held: impl Iterator<Item = &'a Assignment>,
) -> Result<(), Rejected> {
    match held.find(|held| is_same(held, given) && age(held) > age(given)) {
        Some(later) => Err(Rejected::Succeeded {
            app: given.app,
            name: given.app_name.clone(),
            by: later.app,
        }),
        None => Ok(()),
    }
}

/// Ends what a crash left half done: of two lives that were kept, the later has it all.
pub(super) async fn settle(
    store: &Arc<Store>,
    mut records: Vec<(Record, Option<String>)>,
) -> Result<Vec<(Record, Option<String>)>, state::Error> {
    records.sort_by_key(|(record, _)| age(&record.assignment));
    let mut settled: Vec<(Record, Option<String>)> = Vec::with_capacity(records.len());
    for (record, version) in records {
        let at = settled
            .iter()
            .position(|(earlier, _)| is_same(&earlier.assignment, &record.assignment));
        let Some(at) = at else {
            settled.push((record, version));
            continue;
        };
        let (earlier, its_version) = settled.swap_remove(at);
        let later = AppStore::kept(store.clone(), record, version);
        let old = earlier.clone();
        later.update(move |record| record.inherit(&old)).await?;
        AppStore::kept(store.clone(), earlier, its_version)
            .erase()
            .await?;
        settled.push(later.into_parts().await);
    }
    Ok(settled)
}

impl Supervisor {
    /// Lets a new record take over from earlier lives of its application. Until all of it is done
    /// an error leaves both, and doing it again ends it.
    pub(super) async fn inherit(&self, heir: &Arc<AppStore>) -> Result<(), state::Error> {
        let assignment = heir.record().assignment.clone();
        for slot in self.earlier_lives(&assignment) {
            let _taking = slot.taking.lock().await;
            let Some(store) = slot.store() else { continue };
            if !is_same(&store.record().assignment, &assignment) {
                continue;
            }
            let app = store.record().assignment.app;
            tracing::info!(name = assignment.app_name, from = %app, to = %assignment.app, "an application takes over from its earlier life");
            // Nothing may be entered into the old inventory once it was copied.
            slot.cancel.cancel();
            slot.running.close();
            slot.running.wait().await;
            store.update(|_| {}).await?;
            let old = store.record();
            heir.update(move |record| record.inherit(&old)).await?;
            // From here on its label is the heir's, after a restart too.
            self.env.claims.set(app, std::collections::BTreeSet::new());
            store.erase().await?;
            self.drop_slot(app);
        }
        Ok(())
    }

    fn earlier_lives(&self, assignment: &Assignment) -> Vec<Arc<Slot>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = slots.values().filter(|slot| {
            slot.record()
                .is_some_and(|record| is_same(&record.assignment, assignment))
        });
        earlier.cloned().collect()
    }
}
