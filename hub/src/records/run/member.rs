//! How a member of a run is stored.
//!
//! Never moves a member.

use prost::Message as _;
use tidegate_model::{
    ids::{AppUid, Generation, RunId, SetUid},
    release::EntryContent,
    run::{Member, MemberApp, MemberId, ProgressClock},
};
use tidegate_proto::storage::v1::{self, member_app::Target};

use super::{read_member_id, store_member_id};
use crate::records::{
    Error, MemberRecord, Record,
    wire::{Named as _, Reader, millis, store_cause, store_last_good, store_policy},
};

impl MemberRecord {
    /// Where this member of that run is.
    pub(crate) fn path_of(project: &str, set: SetUid, run: RunId, id: &MemberId) -> String {
        format!("{project}/{set}/{run}/{:010}-{}", id.wave, id.cluster)
    }
}

impl Record for MemberRecord {
    const KIND: &'static str = "members";

    fn path(&self) -> String {
        Self::path_of(&self.project, self.set, self.run, &self.member.id)
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            project: _,
            set: _,
            run: _,
            member,
        } = self;
        let Member {
            id,
            cluster_name,
            apps,
            state,
            cause,
            healthy_since,
            reached,
            progress:
                ProgressClock {
                    used,
                    running_since,
                },
            unreachable_since,
            deferred,
        } = member;
        v1::Member {
            id: Some(store_member_id(id)),
            cluster_name: cluster_name.clone(),
            apps: apps.iter().map(|(uid, app)| store_app(*uid, app)).collect(),
            state: state.stored().to_owned(),
            cause: cause.as_ref().map(store_cause),
            healthy_since: healthy_since.map(millis),
            reached: *reached,
            progress: Some(v1::WaitClock {
                done: used.as_millis(),
                running_since: running_since.map(millis),
            }),
            unreachable_since: unreachable_since.map(millis),
            deferred: *deferred,
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let [project, set, run, _] = reader.path()?;
        let v1::Member {
            id,
            cluster_name,
            apps,
            state,
            cause,
            healthy_since,
            reached,
            progress,
            unreachable_since,
            deferred,
        } = reader.message(bytes)?;
        let v1::WaitClock {
            done,
            running_since,
        } = reader.present("progress", progress)?;
        let member = Member {
            id: read_member_id(reader, reader.present("id", id)?)?,
            cluster_name,
            apps: reader.each(apps, read_app)?,
            state: reader.name("state", &state)?,
            cause: reader.maybe(cause, Reader::cause)?,
            healthy_since: reader.time_opt("healthy_since", healthy_since)?,
            reached,
            progress: ProgressClock {
                used: reader.span("progress.done", done)?,
                running_since: reader.time_opt("progress.running_since", running_since)?,
            },
            unreachable_since: reader.time_opt("unreachable_since", unreachable_since)?,
            deferred,
        };
        reader.finish(Self {
            project: project.to_owned(),
            set: reader.parse("key", set)?,
            run: reader.parse("key", run)?,
            member,
        })
    }
}

fn store_app(uid: AppUid, app: &MemberApp) -> v1::MemberApp {
    let MemberApp {
        name,
        target,
        policy,
        namespace,
        prune_approved,
        last_good,
        generation,
        assignment,
        touched,
        revert,
        revert_assignment,
    } = app;
    let target = match target {
        EntryContent::Bundle(digest) => Target::Bundle(digest.to_string()),
        EntryContent::Unrendered { cause } => Target::Unrendered(cause.clone()),
    };
    v1::MemberApp {
        app: uid.to_string(),
        name: name.clone(),
        target: Some(target),
        policy: Some(store_policy(policy)),
        namespace: namespace.clone(),
        prune_approved: *prune_approved,
        last_good: last_good.as_ref().map(store_last_good),
        generation: generation.map(|generation| generation.0),
        assignment: assignment.map(|digest| digest.to_string()),
        touched: *touched,
        revert: revert.map(|generation| generation.0),
        revert_assignment: revert_assignment.map(|digest| digest.to_string()),
    }
}

fn read_app(reader: Reader<'_>, stored: v1::MemberApp) -> Result<(AppUid, MemberApp), Error> {
    let v1::MemberApp {
        app,
        name,
        target,
        policy,
        namespace,
        prune_approved,
        last_good,
        generation,
        assignment,
        touched,
        revert,
        revert_assignment,
    } = stored;
    let target = match reader.present("apps.target", target)? {
        Target::Bundle(digest) => EntryContent::Bundle(reader.parse("apps.bundle", &digest)?),
        Target::Unrendered(cause) => EntryContent::Unrendered { cause },
    };
    let read = MemberApp {
        name,
        target,
        policy: reader.policy("apps.policy", policy)?,
        namespace,
        prune_approved,
        last_good: reader.maybe(last_good, Reader::last_good)?,
        generation: generation.map(Generation),
        assignment: reader.parse_opt("apps.assignment", assignment.as_deref())?,
        touched,
        revert: revert.map(Generation),
        revert_assignment: reader
            .parse_opt("apps.revert_assignment", revert_assignment.as_deref())?,
    };
    Ok((reader.parse("apps.app", &app)?, read))
}
