//! How runs are stored: a header, and one record per member.
//!
//! Never moves a run.

mod analysis;
mod member;

use prost::Message as _;
use tidegate_model::{
    ids::{ClusterUid, Epoch},
    run::{
        Approval, BrokenGlass, MemberId, Only, Paused, Plan, PlannedWave, Request, Retry,
        RollbackBy, Run, RunClock, SoakClock, Verdict, WayBack,
    },
};
use tidegate_proto::storage::v1;

use super::{
    Error, Record, RunRecord,
    wire::{self, Named as _, Reader, millis, store_cause},
};

impl Record for RunRecord {
    const KIND: &'static str = "runs";

    fn path(&self) -> String {
        format!("{}/{}/{}", self.project, self.run.set, self.run.id)
    }

    fn encode(&self) -> Vec<u8> {
        let Self { project: _, run } = self;
        store_run(run).encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let [project, _, _] = reader.path()?;
        let run = read_run(reader, reader.message(bytes)?)?;
        reader.finish(Self {
            project: project.to_owned(),
            run,
        })
    }
}

fn store_run(run: &Run) -> v1::Run {
    let Run {
        id,
        set,
        release,
        release_number,
        content,
        epoch,
        started_at,
        finished_at,
        strategy,
        plan: Plan { waves, excluded },
        state,
        cause,
        wave,
        paused,
        request,
        soak,
        authors,
        approvals,
        gate,
        rollback,
        broken_glass,
        retry,
        clock,
        owes,
        analysing,
    } = run;
    v1::Run {
        id: id.to_string(),
        set_uid: set.to_string(),
        release_id: release.to_string(),
        release: *release_number,
        content: content.to_string(),
        epoch: epoch.0,
        started_at: millis(*started_at),
        finished_at: finished_at.map(millis),
        strategy: wire::document(strategy),
        waves: waves.iter().map(store_wave).collect(),
        excluded: excluded.iter().map(store_member_id).collect(),
        state: state.stored().to_owned(),
        cause: cause.as_ref().map(store_cause),
        wave: *wave as u64,
        paused: paused.map(store_paused),
        request: request.as_ref().map(store_request),
        soak: Some(store_soak(*soak)),
        approvals: approvals.iter().map(store_approval).collect(),
        gate: gate.map(|gate| gate.stored().to_owned()),
        rollback: rollback.as_ref().map(store_rollback),
        broken_glass: broken_glass.iter().map(store_glass).collect(),
        clock: Some(store_clock(*clock)),
        authors: authors.clone(),
        owes: *owes,
        retry: retry.as_ref().map(store_retry),
        analysing: analysing.as_ref().map(analysis::store),
    }
}

fn read_run(reader: Reader<'_>, stored: v1::Run) -> Result<Run, Error> {
    let v1::Run {
        id,
        set_uid,
        release_id,
        release,
        content,
        epoch,
        started_at,
        finished_at,
        strategy,
        waves,
        excluded,
        state,
        cause,
        wave,
        paused,
        request,
        soak,
        approvals,
        gate,
        rollback,
        broken_glass,
        clock,
        authors,
        owes,
        retry,
        analysing,
    } = stored;
    let waves = reader.each(waves, read_wave)?;
    let excluded = reader.each(excluded, read_member_id)?;
    Ok(Run {
        id: reader.parse("id", &id)?,
        set: reader.parse("set_uid", &set_uid)?,
        release: reader.parse("release_id", &release_id)?,
        release_number: release,
        content: reader.parse("content", &content)?,
        epoch: Epoch(epoch),
        started_at: reader.time("started_at", started_at)?,
        finished_at: reader.time_opt("finished_at", finished_at)?,
        strategy: reader.document("strategy", &strategy)?,
        plan: Plan { waves, excluded },
        state: reader.name("state", &state)?,
        cause: reader.maybe(cause, Reader::cause)?,
        wave: reader.index("wave", wave)?,
        paused: reader.maybe(paused, read_paused)?,
        request: reader.maybe(request, read_request)?,
        soak: read_soak(reader, reader.present("soak", soak)?)?,
        analysing: reader.maybe(analysing, analysis::read)?,
        authors,
        approvals: reader.each(approvals, read_approval)?,
        gate: reader.maybe(gate, |reader, gate| reader.name("gate", &gate))?,
        rollback: reader.maybe(rollback, read_rollback)?,
        broken_glass: reader.each(broken_glass, read_glass)?,
        retry: retry.map(read_retry),
        clock: read_clock(reader, reader.present("clock", clock)?)?,
        owes,
    })
}

fn store_soak(soak: SoakClock) -> v1::WaitClock {
    let SoakClock {
        done,
        running_since,
    } = soak;
    v1::WaitClock {
        done: done.as_millis(),
        running_since: running_since.map(millis),
    }
}

fn read_soak(reader: Reader<'_>, stored: v1::WaitClock) -> Result<SoakClock, Error> {
    let v1::WaitClock {
        done,
        running_since,
    } = stored;
    Ok(SoakClock {
        done: reader.span("soak.done", done)?,
        running_since: reader.time_opt("soak.running_since", running_since)?,
    })
}

fn store_wave(wave: &PlannedWave) -> v1::PlannedWave {
    let PlannedWave {
        name,
        members,
        concurrency,
    } = wave;
    v1::PlannedWave {
        name: name.clone(),
        members: members.iter().map(store_member_id).collect(),
        concurrency: *concurrency as u64,
    }
}

fn read_wave(reader: Reader<'_>, stored: v1::PlannedWave) -> Result<PlannedWave, Error> {
    let v1::PlannedWave {
        name,
        members,
        concurrency,
    } = stored;
    Ok(PlannedWave {
        name,
        members: reader.each(members, read_member_id)?,
        concurrency: reader.index("waves.concurrency", concurrency)?,
    })
}

pub(super) fn store_member_id(id: &MemberId) -> v1::MemberId {
    let MemberId { wave, cluster } = id;
    v1::MemberId {
        wave: *wave,
        cluster: cluster.to_string(),
    }
}

pub(super) fn read_member_id(reader: Reader<'_>, stored: v1::MemberId) -> Result<MemberId, Error> {
    let v1::MemberId { wave, cluster } = stored;
    let cluster: ClusterUid = reader.parse("member.cluster", &cluster)?;
    Ok(MemberId { wave, cluster })
}

fn store_paused(paused: Paused) -> v1::Paused {
    let Paused { from, by_person } = paused;
    v1::Paused {
        from: from.stored().to_owned(),
        by_person,
    }
}

fn read_paused(reader: Reader<'_>, stored: v1::Paused) -> Result<Paused, Error> {
    let v1::Paused { from, by_person } = stored;
    Ok(Paused {
        from: reader.name("paused.from", &from)?,
        by_person,
    })
}

fn store_request(request: &Request) -> v1::Request {
    let Request {
        verb,
        actor,
        reason,
        way,
    } = request;
    v1::Request {
        verb: verb.stored().to_owned(),
        actor: actor.clone(),
        reason: reason.clone(),
        way: store_way(way),
    }
}

fn read_request(reader: Reader<'_>, stored: v1::Request) -> Result<Request, Error> {
    let v1::Request {
        verb,
        actor,
        reason,
        way,
    } = stored;
    Ok(Request {
        verb: reader.name("request.verb", &verb)?,
        actor,
        reason,
        way: reader.maybe(way, read_way)?.unwrap_or_default(),
    })
}

/// Absent where it says nothing.
fn store_way(way: &WayBack) -> Option<v1::WayBack> {
    let WayBack {
        only: Only {
            wave,
            since_wave,
            clusters,
        },
        to,
        pin,
    } = way;
    (*way != WayBack::default()).then(|| v1::WayBack {
        wave: *wave,
        since_wave: *since_wave,
        clusters: clusters.iter().map(ToString::to_string).collect(),
        to: *to,
        pin: pin.map(|pin| pin.stored().to_owned()),
    })
}

fn read_way(reader: Reader<'_>, stored: v1::WayBack) -> Result<WayBack, Error> {
    let v1::WayBack {
        wave,
        since_wave,
        clusters,
        to,
        pin,
    } = stored;
    let read = |reader: Reader<'_>, cluster: String| -> Result<ClusterUid, Error> {
        reader.parse("way.clusters", &cluster)
    };
    Ok(WayBack {
        only: Only {
            wave,
            since_wave,
            clusters: reader.each(clusters, read)?,
        },
        to,
        pin: reader.maybe(pin, |reader, pin| reader.name("way.pin", &pin))?,
    })
}

fn store_approval(approval: &Approval) -> v1::Approval {
    let Approval {
        wave,
        position,
        content,
        verdict,
        actor,
        groups,
        reason,
        at,
        soak,
    } = approval;
    v1::Approval {
        wave: *wave as u64,
        position: position.stored().to_owned(),
        content: content.to_string(),
        actor: actor.clone(),
        reason: reason.clone(),
        at: millis(*at),
        verdict: verdict.stored().to_owned(),
        groups: groups.clone(),
        soak: *soak,
    }
}

fn read_approval(reader: Reader<'_>, stored: v1::Approval) -> Result<Approval, Error> {
    let v1::Approval {
        wave,
        position,
        content,
        actor,
        reason,
        at,
        verdict,
        groups,
        soak,
    } = stored;
    // What was stored before there was a no is a yes.
    let verdict = if verdict.is_empty() {
        Verdict::Approve
    } else {
        reader.name("approvals.verdict", &verdict)?
    };
    Ok(Approval {
        verdict,
        groups,
        soak,
        wave: reader.index("approvals.wave", wave)?,
        position: reader.name("approvals.position", &position)?,
        content: reader.parse("approvals.content", &content)?,
        actor,
        reason,
        at: reader.time("approvals.at", at)?,
    })
}

fn store_rollback(rollback: &RollbackBy) -> v1::RollbackBy {
    let RollbackBy {
        by_person,
        actor,
        reason,
        way,
    } = rollback;
    v1::RollbackBy {
        by_person: *by_person,
        actor: actor.clone(),
        reason: reason.clone(),
        way: store_way(way),
    }
}

fn read_rollback(reader: Reader<'_>, stored: v1::RollbackBy) -> Result<RollbackBy, Error> {
    let v1::RollbackBy {
        by_person,
        actor,
        reason,
        way,
    } = stored;
    Ok(RollbackBy {
        by_person,
        actor,
        reason,
        way: reader.maybe(way, read_way)?.unwrap_or_default(),
    })
}

fn store_retry(retry: &Retry) -> v1::Retry {
    let Retry {
        attempt,
        actor,
        reason,
        pending,
    } = retry.clone();
    v1::Retry {
        attempt,
        actor,
        reason,
        pending,
    }
}

fn read_retry(stored: v1::Retry) -> Retry {
    let v1::Retry {
        attempt,
        actor,
        reason,
        pending,
    } = stored;
    Retry {
        attempt,
        actor,
        reason,
        pending,
    }
}

fn store_glass(broken: &BrokenGlass) -> v1::BrokenGlass {
    let BrokenGlass {
        wave,
        actor,
        reason,
        at,
    } = broken;
    v1::BrokenGlass {
        wave: *wave as u64,
        actor: actor.clone(),
        reason: reason.clone(),
        at: millis(*at),
    }
}

fn read_glass(reader: Reader<'_>, stored: v1::BrokenGlass) -> Result<BrokenGlass, Error> {
    let v1::BrokenGlass {
        wave,
        actor,
        reason,
        at,
    } = stored;
    Ok(BrokenGlass {
        wave: reader.index("broken_glass.wave", wave)?,
        actor,
        reason,
        at: reader.time("broken_glass.at", at)?,
    })
}

fn store_clock(clock: RunClock) -> v1::RunClock {
    let RunClock { shows, hub } = clock;
    v1::RunClock {
        shows: millis(shows),
        hub: millis(hub),
    }
}

fn read_clock(reader: Reader<'_>, stored: v1::RunClock) -> Result<RunClock, Error> {
    let v1::RunClock { shows, hub } = stored;
    Ok(RunClock {
        shows: reader.time("clock.shows", shows)?,
        hub: reader.time("clock.hub", hub)?,
    })
}
