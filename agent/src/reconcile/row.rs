//! What a task remembers of one object between passes: small, and never the object itself.

use tidegate_model::{
    digest::Digest,
    health::Health,
    object::ObjectKey,
    tree::{ObjectState, Standing},
};
use tidegate_telemetry::describe;
use tokio::time::Instant;

use crate::{
    clock,
    cluster::{self, Class},
    heal::Heat,
    health::Assessment,
    plan::Target,
    watch::Observation,
};

/// Where one object stands in this generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It waits for something; the text says what.
    Waiting(String),
    /// It could not be applied.
    Failed { message: String, class: Class },
    /// It belongs to somebody else.
    Foreign(String),
    /// It was applied, or found right.
    Right,
}

/// A difference that was found.
#[derive(Clone, Debug)]
pub(super) struct Drifted {
    /// JSON pointers; empty if the object is missing.
    pub(super) fields: Vec<String>,
    pub(super) healed: bool,
    /// When it was found, or healed.
    pub(super) at: Instant,
}

impl Drifted {
    /// Found now.
    pub(super) fn now(fields: Vec<String>, healed: bool) -> Self {
        Self {
            fields,
            healed,
            at: clock::monotonic(),
        }
    }
}

/// One object.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Its name in the bundle.
    pub(super) key: ObjectKey,
    pub(super) digest: Digest,
    pub(super) status: Status,
    pub(super) uid: Option<String>,
    /// Content that was applied last by this process.
    pub(super) applied: Option<Digest>,
    /// `metadata.generation` after that.
    applied_generation: Option<i64>,
    /// Fingerprint of the object as it should be, all its fields ours.
    pub(super) fingerprint: Option<Digest>,
    /// Content that was looked into and is not as applied, or not ours any more. Fields that
    /// somebody took over are not in the fingerprint, so any edit has to be looked into then.
    pub(super) examined: Option<Digest>,
    observed: Option<(Option<i64>, Assessment)>,
    pub(super) missing: bool,
    pub(super) drift: Option<Drifted>,
    pub(super) heat: Heat,
}

impl Row {
    pub(super) fn new(key: ObjectKey, digest: Digest) -> Self {
        Self {
            key,
            digest,
            status: Status::Waiting("it was not applied yet".to_owned()),
            uid: None,
            applied: None,
            applied_generation: None,
            fingerprint: None,
            examined: None,
            observed: None,
            missing: false,
            drift: None,
            heat: Heat::default(),
        }
    }

    pub(super) fn new_generation(&mut self) {
        self.status = Status::Waiting("it was not applied yet".to_owned());
        self.drift = None;
        self.examined = None;
        self.fingerprint = None;
        self.heat = Heat::default();
    }

    /// The object stands as its manifest says.
    pub(super) fn right(&mut self, target: &Target, live: &Observation) {
        self.status = Status::Right;
        self.uid = Some(live.uid.clone());
        self.applied = Some(target.digest);
        self.applied_generation = live.generation;
        self.fingerprint = Some(live.fingerprint);
        self.examined = None;
        self.observe(live);
    }

    /// Takes what was seen of the object.
    pub(super) fn observe(&mut self, live: &Observation) {
        self.missing = false;
        self.observed = Some((live.generation, live.assessment.clone()));
    }

    /// The object was looked into and left as it is. Its uid is not taken: only an object that
    /// was applied is ours to delete.
    pub(super) fn leave(&mut self, live: &Observation, drift: Option<Drifted>) {
        self.status = Status::Right;
        self.examined = Some(live.content);
        self.drift = drift;
        self.observe(live);
    }

    pub(super) fn failed(&mut self, error: &cluster::Error) {
        let is_secret = self.key.id.group.is_empty() && self.key.id.kind == "Secret";
        self.status = Status::Failed {
            message: if is_secret {
                error.without_values()
            } else {
                describe(error)
            },
            class: error.class(),
        };
    }

    pub(super) fn is_right(&self) -> bool {
        self.status == Status::Right
    }

    /// When time alone can change its health.
    pub(super) fn recheck(&self) -> Option<jiff::Timestamp> {
        self.observed.as_ref()?.1.recheck
    }

    /// Its health at the content of this generation, with the reason.
    pub(super) fn health(&self) -> (Health, String) {
        match &self.status {
            Status::Waiting(why) => (Health::Progressing, why.clone()),
            Status::Foreign(why) => (Health::Degraded, why.clone()),
            Status::Failed { message, class } => (
                match class {
                    Class::Terminal => Health::Degraded,
                    Class::Retryable => Health::Progressing,
                    Class::Unreachable => Health::Unknown,
                },
                message.clone(),
            ),
            Status::Right if self.missing => {
                (Health::Missing, "it is not in the cluster".to_owned())
            }
            Status::Right => self.observed_health(),
        }
    }

    /// Its health, and all there is to say about it.
    pub(super) fn told(&self) -> (Health, String) {
        let (health, mut message) = self.health();
        if self.heat.is_contested() {
            if !message.is_empty() {
                message.push_str("; ");
            }
            message.push_str("somebody keeps changing it back");
        }
        (health, message)
    }

    /// The object for whoever looks at the application.
    pub(super) fn state(&self) -> ObjectState {
        let (health, message) = self.told();
        let drift = self.drift.as_ref().filter(|drift| !drift.healed);
        let standing = match &self.status {
            Status::Waiting(_) => Standing::Waiting,
            Status::Failed { .. } => Standing::Failed,
            Status::Foreign(_) => Standing::Foreign,
            Status::Right if self.missing => Standing::Missing,
            Status::Right if drift.is_some() => Standing::Drifted,
            Status::Right => Standing::Synced,
        };
        ObjectState {
            id: self.key.id.clone(),
            version: self.key.version.clone(),
            standing,
            health,
            message,
            drifted: drift.map(|drift| drift.fields.clone()).unwrap_or_default(),
        }
    }

    fn observed_health(&self) -> (Health, String) {
        let Some((generation, assessment)) = &self.observed else {
            return (Health::Unknown, "it was not seen yet".to_owned());
        };
        if let (Some(seen), Some(applied)) = (generation, self.applied_generation)
            && *seen < applied
        {
            // An event from before our apply: evidence for old content.
            return (
                Health::Progressing,
                format!("seen at generation {seen}, {applied} was applied"),
            );
        }
        (assessment.health, assessment.message.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{fields, health};

    fn seen(generation: i64, health: Health) -> Observation {
        Observation {
            uid: "u".into(),
            generation: Some(generation),
            fingerprint: fields::fingerprint(&json!({})),
            content: crate::drift::content(&json!({})),
            assessment: health::Assessment {
                health,
                message: String::new(),
                recheck: None,
            },
            terminating: false,
        }
    }

    #[test]
    fn an_event_from_before_the_apply_is_no_evidence() {
        let manifest =
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}});
        let key = ObjectKey::of(&manifest).unwrap();
        let digest = Digest::of("object", &manifest);
        let target = Target {
            id: key.id.clone(),
            version: "v1".into(),
            digest,
            stage: crate::stage::Stage::Workloads,
            body: manifest,
            needs: Vec::new(),
        };
        let mut row = Row::new(key, digest);
        assert_eq!(row.health().0, Health::Progressing);
        row.right(&target, &seen(4, Health::Progressing));
        row.observe(&seen(3, Health::Healthy));
        assert_eq!(
            row.health().0,
            Health::Progressing,
            "a stale Healthy passed"
        );
        row.observe(&seen(4, Health::Healthy));
        assert_eq!(row.health().0, Health::Healthy);
        row.missing = true;
        assert_eq!(row.health().0, Health::Missing);
        row.new_generation();
        assert_eq!(row.health().0, Health::Progressing);
    }

    #[test]
    fn whoever_looks_is_told_where_the_object_stands() {
        let manifest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}});
        let key = ObjectKey::of(&manifest).unwrap();
        let mut row = Row::new(key.clone(), Digest::of("object", &manifest));
        let standing = |row: &Row| row.state().standing;
        assert_eq!(
            (standing(&row), row.state().health),
            (Standing::Waiting, Health::Progressing)
        );
        row.leave(&seen(1, Health::Healthy), None);
        assert_eq!(
            (standing(&row), row.state().health),
            (Standing::Synced, Health::Healthy)
        );
        let drift = |healed| Some(Drifted::now(vec!["/data/a".to_owned()], healed));
        row.leave(&seen(1, Health::Healthy), drift(true));
        assert_eq!(standing(&row), Standing::Synced, "it was put back");
        row.leave(&seen(1, Health::Healthy), drift(false));
        assert_eq!(
            (standing(&row), row.state().drifted),
            (Standing::Drifted, vec!["/data/a".to_owned()])
        );
        row.missing = true;
        assert_eq!(standing(&row), Standing::Missing);
        row.status = Status::Foreign("it belongs to helm".to_owned());
        let state = row.state();
        assert_eq!(
            (state.standing, state.message.as_str()),
            (Standing::Foreign, "it belongs to helm")
        );
        assert_eq!((state.id, state.version.as_str()), (key.id, "v1"));
    }

    #[test]
    fn the_failure_of_a_secret_quotes_nothing() {
        let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}});
        let mut row = Row::new(
            ObjectKey::of(&manifest).unwrap(),
            Digest::of("object", &manifest),
        );
        row.failed(&cluster::Error::Api {
            code: 422,
            reason: "Invalid".into(),
            message: "Invalid value: hunter2".into(),
            fields: Vec::new(),
            named: true,
            retry_after: None,
        });
        assert!(!format!("{:?}", row.health()).contains("hunter2"));
        assert_eq!(row.health().0, Health::Degraded);
    }
}
