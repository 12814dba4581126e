//! How far the controller has come: up to which revision of the store it did all there was to do.
//!
//! For whoever answers a person only when what follows from a write can be seen. A level, not an
//! event: whoever comes late is not kept waiting. Never says what was done.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

/// The longest that anybody is kept waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// The level. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    revision: Arc<watch::Sender<u64>>,
}

impl Settled {
    /// Every set was settled over a view that showed at least this revision.
    pub fn note(&self, revision: u64) {
        self.revision.send_if_modified(|known| {
            let news = revision > *known;
            *known = revision.max(*known);
            news
        });
    }

    /// Waits until that revision is settled, a few seconds at most; says whether it is.
    pub async fn reach(&self, revision: u64) -> bool {
        let mut known = self.revision.subscribe();
        let reached = known.wait_for(|known| *known >= revision);
        matches!(tokio::time::timeout(PATIENCE, reached).await, Ok(Ok(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_level_that_never_falls() {
        let settled = Settled::default();
        settled.note(7);
        settled.note(5);
        assert!(settled.reach(7).await);
        let waiting = tokio::spawn({
            let settled = settled.clone();
            async move { settled.reach(9).await }
        });
        settled.note(9);
        assert!(waiting.await.unwrap());
    }
}
