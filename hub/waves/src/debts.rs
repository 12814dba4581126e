//! How two runs of a set stand to one another over an application that the older one still owes.
//!
//! Pure, for the facts of both: the hub and the proof gather them here, so that neither run ever
//! decides on what it imagines of the other. Never moves a run.

use std::collections::BTreeMap;

use tidegate_model::{
    ids::AppUid,
    run::{Member, MemberId, MemberState, Run, RunState},
};

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

/// Whether a newer run has taken the place of what an older one owes this application: it has written
/// it, or runs it as it is, or it ended well and so decides for everybody in it.
///
/// A newer run that is under way, failed, was cancelled or went back elsewhere changes nothing: what
/// the older one brought is the last content that went all the way.
pub fn overtaken(newer: Side<'_>, app: AppUid) -> bool {
    newer.member(app).is_some_and(|member| {
        let known = member.apps.get(&app);
        let word = known.is_some_and(|app| app.generation.is_some() || app.revert.is_some());
        word || newer.run.state == RunState::Succeeded
    })
}

/// Number of the release that `older` must bring to this application before `newer` may write it.
pub fn owed(older: Side<'_>, newer: Side<'_>, app: AppUid) -> Option<u64> {
    let owes = older.run.owes
        && older
            .member(app)
            .is_some_and(|member| member.state == MemberState::Deferred);
    (owes && !overtaken(newer, app)).then_some(older.run.release_number)
}
