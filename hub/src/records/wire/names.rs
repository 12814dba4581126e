//! The stable names under which enums are stored.
//!
//! Written out by hand: renaming a variant must not change what is stored. A new variant does not
//! compile before it has a name here.

use tidegate_model::{
    audit::{Invoker, Standing},
    deny::PinRelease,
    health::Health,
    policy::Drift,
    report::Phase,
    run::{CauseCode, GatePosition, MemberState, RequestVerb, RunState, SampleVerdict, Verdict},
};

use crate::records::{HoldKind, Role};

/// An enum with a stored name for every value.
pub(crate) trait Named: Copy + 'static {
    /// Every value.
    const ALL: &'static [Self];

    /// Its name.
    fn stored(self) -> &'static str;
}

macro_rules! named {
    ($type:ident { $($variant:ident => $name:literal),+ $(,)? }) => {
        impl Named for $type {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn stored(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

named!(Role { Viewer => "Viewer", Operator => "Operator", Admin => "Admin" });

named!(HoldKind {
    EmptyBundle => "EmptyBundle",
    ShrunkBundle => "ShrunkBundle",
    ApplicationsVanish => "ApplicationsVanish",
    DeniedContent => "DeniedContent",
    Pinned => "Pinned",
});

named!(Drift { Heal => "heal", Warn => "warn", Off => "off" });

named!(PinRelease { Converged => "converged", Changed => "changed", Manual => "manual" });

named!(Invoker {
    Unknown => "Unknown",
    Person => "Person",
    Automation => "Automation",
    Cluster => "Cluster",
});

named!(Standing {
    Forward => "Forward",
    Failed => "Failed",
    TimedOut => "TimedOut",
    Skipped => "Skipped",
    Deferred => "Deferred",
    Back => "Back",
});

named!(Health {
    Healthy => "Healthy",
    Suspended => "Suspended",
    Progressing => "Progressing",
    Missing => "Missing",
    Degraded => "Degraded",
    Unknown => "Unknown",
});

named!(Phase {
    Accepted => "Accepted",
    Applying => "Applying",
    Applied => "Applied",
    Failed => "Failed",
    Removed => "Removed",
});

named!(Verdict { Approve => "Approve", Reject => "Reject" });

named!(RunState {
    Planned => "Planned",
    WaitingGate => "WaitingGate",
    Rolling => "Rolling",
    Soaking => "Soaking",
    Succeeded => "Succeeded",
    Paused => "Paused",
    Breached => "Breached",
    RollingBack => "RollingBack",
    RolledBack => "RolledBack",
    RollbackFailed => "RollbackFailed",
    Superseded => "Superseded",
    Cancelled => "Cancelled",
    Failed => "Failed",
});

named!(MemberState {
    Queued => "Queued",
    Unchanged => "Unchanged",
    Assigned => "Assigned",
    Accepted => "Accepted",
    Applying => "Applying",
    Verifying => "Verifying",
    Healthy => "Healthy",
    Soaked => "Soaked",
    Failed => "Failed",
    TimedOut => "TimedOut",
    Unreachable => "Unreachable",
    Deferred => "Deferred",
    Skipped => "Skipped",
    Reverting => "Reverting",
    Reverted => "Reverted",
});

named!(CauseCode {
    MemberFailed => "MemberFailed",
    Degraded => "Degraded",
    ApplyFailed => "ApplyFailed",
    Unrendered => "Unrendered",
    DeadlineExceeded => "DeadlineExceeded",
    MinHealthy => "MinHealthy",
    Unreachable => "Unreachable",
    Regression => "Regression",
    Requested => "Requested",
    NewerRelease => "NewerRelease",
    NoLastKnownGood => "NoLastKnownGood",
    ClusterRemoved => "ClusterRemoved",
    ApplicationRemoved => "ApplicationRemoved",
    NotHealthy => "NotHealthy",
    PruneHeld => "PruneHeld",
    DebtVoid => "DebtVoid",
    AnalysisFailed => "AnalysisFailed",
});

named!(RequestVerb {
    Pause => "Pause",
    Resume => "Resume",
    Cancel => "Cancel",
    Rollback => "Rollback",
    BreakGlass => "BreakGlass",
    Retry => "Retry",
    Skip => "Skip",
});

named!(GatePosition { Before => "Before", After => "After", Analysis => "Analysis" });

named!(SampleVerdict { Pass => "Pass", Inconclusive => "Inconclusive", Fail => "Fail" });

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fmt::Debug};

    use super::*;

    fn distinct<T: Named + Debug>() {
        let names: BTreeSet<_> = T::ALL.iter().map(|value| value.stored()).collect();
        assert_eq!(names.len(), T::ALL.len(), "{:?}", T::ALL);
        assert!(!names.contains(""), "{:?}", T::ALL);
    }

    #[test]
    fn no_two_values_share_a_name_and_none_is_empty() {
        distinct::<Role>();
        distinct::<HoldKind>();
        distinct::<Drift>();
        distinct::<PinRelease>();
        distinct::<Health>();
        distinct::<Phase>();
        distinct::<Invoker>();
        distinct::<Standing>();
        distinct::<RunState>();
        distinct::<MemberState>();
        distinct::<CauseCode>();
        distinct::<RequestVerb>();
        distinct::<GatePosition>();
        distinct::<SampleVerdict>();
    }
}
