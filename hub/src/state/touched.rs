//! What changed of which set, so that a change costs only whom it concerns.
//!
//! Counts; never says what a change means. A kind that it does not know touches every set: too much
//! is looked at rather than too little.

use std::collections::BTreeMap;

use tidegate_model::ids::SetUid;

use crate::records::{
    AppRecord, AuditHead, AuditRecord, DenyRecord, EpochRecord, HoldRecord, MemberRecord,
    PinRecord, Record as _, ReissueRecord, ReleaseRecord, ReportRecord, RestoredRecord, RunRecord,
    TokenRecord, UserRecord,
};

/// Records of the fleet that no set depends on.
const NOBODY: [&str; 5] = [
    EpochRecord::KIND,
    TokenRecord::KIND,
    UserRecord::KIND,
    AuditHead::KIND,
    AuditRecord::KIND,
];

/// Records that belong to the set whose uid is in their key, after the project.
const OF_A_SET: [&str; 10] = [
    AppRecord::KIND,
    ReportRecord::KIND,
    ReleaseRecord::KIND,
    RunRecord::KIND,
    MemberRecord::KIND,
    PinRecord::KIND,
    DenyRecord::KIND,
    HoldRecord::KIND,
    RestoredRecord::KIND,
    ReissueRecord::KIND,
];

/// Versions of sets; they rise with every change that concerns the set.
#[derive(Clone, Debug, Default)]
pub(super) struct Touched {
    count: u64,
    /// The last change that concerns every set.
    all: u64,
    sets: BTreeMap<SetUid, u64>,
}

impl Touched {
    /// The version of a set.
    pub(super) fn version(&self, set: SetUid) -> u64 {
        let own = self.sets.get(&set).copied().unwrap_or_default();
        own.max(self.all)
    }

    /// This set changed.
    pub(super) fn set(&mut self, set: SetUid) {
        self.count += 1;
        self.sets.insert(set, self.count);
    }

    /// This set is gone.
    pub(super) fn forget(&mut self, set: SetUid) {
        self.sets.remove(&set);
    }

    /// The record of another kind than a set at this key changed, came or went.
    pub(super) fn record(&mut self, kind: &str, key: &str) {
        if NOBODY.contains(&kind) {
            return;
        }
        let of_a_set = OF_A_SET.contains(&kind);
        // `/tidegate/v1/<kind>/<project>/<set uid>/…`
        let uid = || key.split('/').nth(5)?.parse().ok();
        if let Some(set) = uid().filter(|_| of_a_set) {
            self.set(set);
        } else {
            self.count += 1;
            self.all = self.count;
        }
    }
}
