//! Whom a rollback takes back, and to what.
//!
//! Owns the words of a [`WayBack`]: without any, everybody whom the run wrote goes back to its own
//! last known good. Where it names a release, everybody meant gets that release's content, written
//! by this run or not. Never writes.

use std::collections::BTreeMap;

use tidegate_model::{
    assignment::{Assignment, Desired},
    deny::PinRelease,
    digest::Digest,
    ids::AppUid,
    run::{LastGood, Member, MemberApp, Only, RollbackBy, Run, RunState, WayBack},
};

use crate::{
    Facts,
    mutant::{self, Mutant},
    rollback::is_begun,
    step::member::is_touched,
};

/// Where an application goes back to.
pub(crate) enum Goal {
    /// The content of the release that was named is not read yet.
    Unknown,
    /// Nowhere: it has no last known good, or was not in that release.
    Nowhere,
    /// This.
    At(LastGood),
}

/// Whether a rollback that goes this way takes the member back.
pub(crate) fn is_meant(way: &WayBack, member: &Member) -> bool {
    (way.only.has(&member.id) || mutant::on(Mutant::ScopeIgnored))
        && (is_touched(member) || way.to.is_some())
}

/// Whether it takes this application of such a member back.
pub(crate) fn is_written(way: &WayBack, app: &MemberApp) -> bool {
    app.touched || way.to.is_some() || mutant::on(Mutant::RollbackWritesUntouched)
}

/// Where the application goes.
pub(crate) fn goal(facts: &Facts, way: &WayBack, uid: AppUid, app: &MemberApp) -> Goal {
    let at = |good: Option<&LastGood>| good.cloned().map_or(Goal::Nowhere, Goal::At);
    if way.to.is_none() || mutant::on(Mutant::ReleaseIgnored) {
        return at(app.last_good.as_ref());
    }
    match &facts.back {
        Some(back) => at(back.get(&uid)),
        None => Goal::Unknown,
    }
}

/// Whether the hub's last word asks for exactly this.
pub(crate) fn runs(last: Option<&Assignment>, good: &LastGood) -> bool {
    match last.map(|last| &last.desired) {
        Some(Desired::Run {
            bundle,
            policy,
            namespace,
            ..
        }) => *bundle == good.bundle && *policy == good.policy && *namespace == good.namespace,
        _ => false,
    }
}

/// What is denied of an application that goes there: what the run brings and, on the way to a
/// release, what it runs now.
pub(crate) fn bad(
    way: &WayBack,
    app: &MemberApp,
    last: Option<&Assignment>,
    good: &LastGood,
) -> Vec<Digest> {
    let now = last
        .and_then(Assignment::bundle)
        .filter(|_| way.to.is_some());
    let mut bad: Vec<_> = app.target.bundle().into_iter().chain(now).collect();
    bad.dedup();
    bad.retain(|bad| *bad != good.bundle);
    bad
}

/// What opens the pins.
pub(crate) fn pin_release(by: &RollbackBy) -> PinRelease {
    let usual = if by.by_person {
        PinRelease::Converged
    } else {
        PinRelease::Changed
    };
    by.way.pin.unwrap_or(usual)
}

/// Why a person cannot have a run go back this way.
pub fn may_go_back<'a>(
    run: &Run,
    members: impl IntoIterator<Item = &'a Member>,
    newer_run: bool,
    way: &WayBack,
) -> Result<(), &'static str> {
    match run.state {
        RunState::RollingBack => return Err("the run is going back already"),
        RunState::Superseded => return Err("a newer release took over; roll that one back"),
        _ if newer_run => return Err("a newer run began; roll that one back"),
        _ => {}
    }
    let gone_back = matches!(run.state, RunState::RolledBack | RunState::RollbackFailed);
    let meant = members.into_iter().filter(|member| is_meant(way, member));
    let meant: Vec<_> = meant.collect();
    let reverts = |member: &&Member| member.apps.values().any(|app| app.revert.is_some());
    if way.to.is_some() && meant.iter().any(reverts) {
        return Err(
            "some of it went back already, and goes nowhere else in this run; mend or revert the \
             source instead",
        );
    }
    let mut left = meant
        .iter()
        .filter(|member| !(gone_back && is_begun(member)));
    match left.next() {
        Some(_) => Ok(()),
        None if gone_back => Err("the run went back already"),
        // A run that wrote nothing is ended all the same: nothing more goes out.
        None if way.only == Only::default() => Ok(()),
        None => Err("the run wrote nothing there"),
    }
}

/// The contents of a release as places to go back to.
pub fn back_to(
    release: u64,
    entries: &[tidegate_model::release::ReleaseEntry],
) -> BTreeMap<AppUid, LastGood> {
    let good = |entry: &tidegate_model::release::ReleaseEntry| {
        Some(LastGood {
            bundle: entry.content.bundle()?,
            policy: entry.policy.clone(),
            namespace: entry.namespace.clone(),
            release,
        })
    };
    entries
        .iter()
        .filter_map(|entry| Some((entry.app, good(entry)?)))
        .collect()
}
