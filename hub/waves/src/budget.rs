//! How much one step may move.
//!
//! A step is one store transaction of at most 100 operations (design, decision "Store"): members
//! and effects count one each, and the header, the audit chain's end and the run's own decisions
//! have the rest.

use crate::Step;

const OPERATIONS: usize = 90;

/// What is left of a step. The first member always fits: applications of one cluster move together
/// however many they are.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    members: usize,
    operations: usize,
}

impl Budget {
    /// Takes room for one more member with so many effects, if there is any.
    pub(crate) fn take(&mut self, effects: usize) -> bool {
        let operations = self.operations + 1 + effects;
        let full = self.members >= Step::MAX_MEMBERS || operations > OPERATIONS;
        if full && self.members > 0 {
            return false;
        }
        self.members += 1;
        self.operations = operations;
        true
    }

    /// Takes room for more effects of a member that was counted already.
    pub(crate) fn take_more(&mut self, effects: usize) -> bool {
        if self.operations + effects > OPERATIONS && self.members > 0 {
            return false;
        }
        self.operations += effects;
        true
    }
}
