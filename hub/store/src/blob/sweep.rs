//! Which unreferenced blobs may go: the bookkeeping behind [`super::BlobStore::sweep`].
//!
//! No clock: a blob's grace is the time between two sweeps. Lost at a restart, which only delays
//! deletion. Never deletes anything itself.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::BlobId;

/// Candidates for deletion.
#[derive(Debug, Default)]
pub(super) struct Sweeper {
    state: Mutex<State>,
    /// Held for the whole of a sweep: two at once would count as two in a row.
    running: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Found unreferenced by the last sweep and not put since.
    candidates: BTreeSet<BlobId>,
    /// Put since the running sweep began.
    touched: Option<BTreeSet<BlobId>>,
}

impl Sweeper {
    /// Notes that a blob is being put. Call before looking whether it is there.
    pub(super) fn touch(&self, id: &BlobId) {
        let mut state = self.state();
        state.candidates.remove(id);
        if let Some(touched) = &mut state.touched {
            touched.insert(id.clone());
        }
    }

    /// Runs one sweep over `listed`, which is called after the sweep began. Returns how many were
    /// deleted and how many wait.
    pub(super) fn run<E>(
        &self,
        keep: &BTreeSet<BlobId>,
        list: impl FnOnce() -> Result<Vec<BlobId>, E>,
        mut delete: impl FnMut(&BlobId) -> Result<(), E>,
    ) -> Result<super::Swept, E> {
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.state().touched = Some(BTreeSet::new());
        let unreferenced = list().map(|listed| {
            let mut listed: BTreeSet<_> = listed.into_iter().collect();
            listed.retain(|id| !keep.contains(id));
            listed
        });
        let mut deleted = 0;
        let result = unreferenced.and_then(|mut unreferenced| {
            let condemned: Vec<_> = unreferenced.iter().cloned().collect();
            for id in condemned {
                // A put that comes now waits for the lock, finds the blob gone and writes it.
                let state = self.state();
                if state.candidates.contains(&id) {
                    delete(&id)?;
                    unreferenced.remove(&id);
                    deleted += 1;
                }
            }
            Ok(unreferenced)
        });
        let mut state = self.state();
        let touched = state.touched.take().unwrap_or_default();
        state.candidates = result?.difference(&touched).cloned().collect();
        Ok(super::Swept {
            deleted,
            pending: state.candidates.len(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
