//! How two runs of a set stand to one another over an application that the older one still owes.
//!
//! Pure, for the facts of both: the hub and the proof gather them here, so that neither run ever
//! decides on what it imagines of the other. Never moves a run.

use std::collections::BTreeMap;

use tidegate_model::{
    ids::AppUid,
    run::{Member, MemberId, MemberState, Run, RunState},
};

use crate::facts::Overtaken;

/// A run with its members.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The header.
    pub run: &'a Run,
    /// Its members, or those of them that are of interest.
    pub members: &'a BTreeMap<MemberId, Member>,
}

impl Side<'_> {
    fn member(&self, app: AppUid) -> Option<&Member> {
        self.members
            .values()
            .find(|member| member.apps.contains_key(&app))
    }
}

/// What a newer run means to what `older` owes this application: nothing while it has not come to
/// it, and the end of the debt once it has it where it wants it.
///
/// A newer wave that went on without the member too is ahead of it: it has proven newer content, so
/// the debt waits. It ends when the newer run ends well, and comes back to life when that goes back.
pub fn overtaken(newer: Side<'_>, app: AppUid) -> Option<Overtaken> {
    let member = newer.member(app)?;
    let written = member
        .apps
        .get(&app)
        .is_some_and(|app| app.generation.is_some());
    let passed = member.state == MemberState::Deferred
        && (member.id.wave as usize) < newer.run.wave
        && !newer.run.state.is_terminal()
        && newer.run.rollback.is_none();
    let for_good = written || newer.run.state == RunState::Succeeded;
    (for_good || passed).then_some(Overtaken {
        release: newer.run.release_number,
        for_good,
    })
}

/// Number of the release that `older` must bring to this application before `newer` may write it.
pub fn owed(older: Side<'_>, newer: Side<'_>, app: AppUid) -> Option<u64> {
    let owes = older.run.owes
        && older
            .member(app)
            .is_some_and(|member| member.state == MemberState::Deferred);
    (owes && overtaken(newer, app).is_none()).then_some(older.run.release_number)
}
