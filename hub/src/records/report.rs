//! How an agent's last report on an application is stored: evidence survives a restart.
//!
//! Never says whether it is fresh: that lives in memory.

use prost::Message as _;
use tidegate_model::{
    ids::Generation,
    report::{DriftItem, HeldPrune, Problem, Report},
};
use tidegate_proto::storage::v1;

use super::{
    Error, Record, ReportRecord,
    wire::{Named as _, Reader, millis, read_object, store_object},
};

impl Record for ReportRecord {
    const KIND: &'static str = "reports";

    fn path(&self) -> String {
        format!("{}/{}/{}", self.project, self.set, self.report.app)
    }

    fn encode(&self) -> Vec<u8> {
        let Self {
            project: _,
            set: _,
            report,
            received_at,
            first_healthy_at,
        } = self;
        let Report {
            app,
            generation,
            digest,
            phase,
            health,
            healthy_for,
            drift,
            problems,
            held_prune,
        } = report;
        v1::Report {
            app: app.to_string(),
            generation: generation.0,
            digest: digest.to_string(),
            phase: phase.stored().to_owned(),
            health: health.stored().to_owned(),
            healthy_for: healthy_for.as_millis(),
            drift: drift.iter().map(store_drift).collect(),
            problems: problems.iter().map(store_problem).collect(),
            held_prune: held_prune.as_ref().map(store_held_prune),
            received_at: millis(*received_at),
            first_healthy_at: first_healthy_at.map(millis),
        }
        .encode_to_vec()
    }

    fn decode(key: &str, bytes: &[u8]) -> Result<Self, Error> {
        let reader = Reader::new(key);
        let [project, set, _] = reader.path()?;
        let v1::Report {
            app,
            generation,
            digest,
            phase,
            health,
            healthy_for,
            drift,
            problems,
            held_prune,
            received_at,
            first_healthy_at,
        } = reader.message(bytes)?;
        let report = Report {
            app: reader.parse("app", &app)?,
            generation: Generation(generation),
            digest: reader.parse("digest", &digest)?,
            phase: reader.name("phase", &phase)?,
            health: reader.name("health", &health)?,
            healthy_for: reader.span("healthy_for", healthy_for)?,
            drift: reader.each(drift, read_drift)?,
            problems: problems.into_iter().map(read_problem).collect(),
            held_prune: held_prune.map(read_held_prune),
        };
        reader.finish(Self {
            project: project.to_owned(),
            set: reader.parse("key", set)?,
            report,
            received_at: reader.time("received_at", received_at)?,
            first_healthy_at: reader.time_opt("first_healthy_at", first_healthy_at)?,
        })
    }
}

fn store_drift(item: &DriftItem) -> v1::DriftItem {
    let DriftItem {
        object,
        fields,
        healed,
    } = item;
    v1::DriftItem {
        object: Some(store_object(object)),
        fields: fields.clone(),
        healed: *healed,
    }
}

fn read_drift(reader: Reader<'_>, stored: v1::DriftItem) -> Result<DriftItem, Error> {
    let v1::DriftItem {
        object,
        fields,
        healed,
    } = stored;
    let object = read_object(reader.present("drift.object", object)?);
    Ok(DriftItem {
        object,
        fields,
        healed,
    })
}

fn store_problem(problem: &Problem) -> v1::Problem {
    let Problem { object, message } = problem;
    v1::Problem {
        object: object.as_ref().map(store_object),
        message: message.clone(),
    }
}

fn read_problem(stored: v1::Problem) -> Problem {
    let v1::Problem { object, message } = stored;
    Problem {
        object: object.map(read_object),
        message,
    }
}

fn store_held_prune(held: &HeldPrune) -> v1::HeldPrune {
    let HeldPrune { count, reason } = held;
    v1::HeldPrune {
        count: *count,
        reason: reason.clone(),
    }
}

fn read_held_prune(stored: v1::HeldPrune) -> HeldPrune {
    let v1::HeldPrune { count, reason } = stored;
    HeldPrune { count, reason }
}
