//! How dice make each record.

use rand::Rng as _;
use serde_json::json;
use tidegate_model::{
    application::{Application, InputVersion, Provenance},
    audit::{Context, MemberOutcome, Outcome},
    cluster::Cluster,
    deny::{Deny, Pin},
    ids::{ClusterUid, Epoch, Generation},
    release::SourceCommit,
    report::{DriftItem, HeldPrune, Problem, Report},
    run::{
        self, Analysing, Approval, BrokenGlass, Member, Only, Paused, Plan, PlannedWave,
        ProgressClock, Request, Retry, RollbackBy, Run, RunClock, SoakClock, Tally, WayBack,
    },
    source::{Directory, Source},
};

use super::{Dice, Sample};
use crate::records::{
    AppRecord, AuditHead, AuditRecord, ClusterRecord, DenyRecord, EpochRecord, HoldRecord,
    HomeRecord, MemberRecord, PinRecord, ReissueRecord, Rejection, ReleaseRecord, ReportRecord,
    RestoredRecord, RunRecord, SetRecord, SourceRecord, TokenRecord, UserRecord, WavePlanRecord,
};

impl Sample for EpochRecord {
    fn sample(dice: &mut Dice) -> Self {
        Self {
            epoch: Epoch(dice.number()),
            holder: dice.text(),
            taken_at: dice.time(),
        }
    }
}

impl Sample for ClusterRecord {
    fn sample(dice: &mut Dice) -> Self {
        let cluster = Cluster {
            uid: dice.id(),
            name: dice.label(),
            labels: dice.labels(),
            annotations: dice.labels(),
            servers: dice.some(Dice::text),
        };
        Self {
            cluster,
            kubernetes_uid: dice.maybe(Dice::text),
            agent_version: dice.text(),
            joined: dice.flag(),
            created_at: dice.time(),
            refused_before: dice.maybe(Dice::time),
            renew_before: dice.maybe(Dice::time),
        }
    }
}

impl Sample for TokenRecord {
    fn sample(dice: &mut Dice) -> Self {
        Self {
            id: dice.label(),
            secret_hash: *dice.digest().as_bytes(),
            cluster: dice.id(),
            expires_at: dice.time(),
            used_at: dice.maybe(Dice::time),
            created_by: dice.text(),
        }
    }
}

impl Sample for UserRecord {
    fn sample(dice: &mut Dice) -> Self {
        Self {
            name: dice.label(),
            role: dice.one_of(),
            created_at: dice.time(),
            created_by: dice.text(),
            groups: dice.some(Dice::text),
        }
    }
}

impl Sample for SetRecord {
    fn sample(dice: &mut Dice) -> Self {
        let mut document = json!({"apiVersion": tidegate_model::API_VERSION,
            "kind": "ApplicationSet", "metadata": {"name": "web", "labels": dice.labels()},
            "spec": {"generators": [
                {"list": {"elements": [
                    {"text": dice.text(), "number": dice.number(), "flag": dice.flag(),
                     "float": dice.0.random::<f64>(), "nothing": null, "list": [1, {"a": []}]}]}},
                {"clusters": {"selector": {"matchLabels": {"env": dice.text()}}}},
                {"git": {"repoURL": dice.text(), "files": [{"path": "**", "exclude": dice.flag()}]}}],
              "template": {"metadata": {"name": "{{ .name }}"}, "spec": {
                "source": {"repoURL": dice.text()}, "destination": {"name": dice.text()}}}}});
        document["spec"]["strategy"] = serde_json::to_value(dice.strategy()).unwrap();
        Self {
            uid: dice.id(),
            project: dice.label(),
            name: dice.label(),
            version: dice.number(),
            document: serde_json::from_value(document).unwrap(),
            last_release: dice.number(),
            deleting: dice.flag(),
            problems: dice.some(Dice::text),
            managed_by: dice.text(),
            latest_run: dice.maybe(Dice::id),
            last_succeeded: dice.maybe(Dice::number),
            warnings: dice.some(Dice::text),
            applied_by: dice.text(),
            void_through: dice.number(),
        }
    }
}

impl Sample for WavePlanRecord {
    fn sample(dice: &mut Dice) -> Self {
        let strategy = serde_json::to_value(dice.strategy()).unwrap();
        let document = json!({"apiVersion": tidegate_model::API_VERSION, "kind": "WavePlan",
            "metadata": {"name": dice.text(), "labels": dice.labels()},
            "spec": {"project": dice.label(), "strategy": strategy}});
        Self {
            project: dice.label(),
            name: dice.label(),
            version: dice.number(),
            document: serde_json::from_value(document).unwrap(),
            applied_by: dice.text(),
        }
    }
}

impl Sample for AppRecord {
    fn sample(dice: &mut Dice) -> Self {
        let inputs = dice.some(|d| InputVersion {
            input: d.text(),
            version: d.text(),
        });
        let directory = Directory {
            recurse: dice.flag(),
            include: dice.text(),
            exclude: dice.text(),
        };
        let app = Application {
            project: dice.label(),
            set: dice.label(),
            name: dice.text(),
            cluster: dice.id(),
            cluster_name: dice.text(),
            namespace: dice.text(),
            labels: dice.labels(),
            annotations: dice.labels(),
            source: Source {
                repo_url: dice.text(),
                target_revision: dice.text(),
                path: dice.text(),
                directory,
            },
            policy: dice.policy(),
            provenance: Provenance {
                generator: dice.text(),
                row: dice.0.random(),
                inputs,
            },
        };
        Self {
            uid: dice.id(),
            set: dice.id(),
            app,
            generation: Generation(dice.number()),
            assignment: dice.maybe(Dice::assignment),
            release: dice.number(),
            last_good: dice.maybe(Dice::last_good),
            vanished: dice.flag(),
            rejection: dice.maybe(|d| Rejection {
                generation: Generation(d.number()),
                digest: d.digest(),
                reason: d.text(),
                at: d.time(),
            }),
        }
    }
}

impl Sample for ReportRecord {
    fn sample(dice: &mut Dice) -> Self {
        let report = Report {
            app: dice.id(),
            generation: Generation(dice.number()),
            digest: dice.digest(),
            phase: dice.one_of(),
            health: dice.one_of(),
            healthy_for: dice.span(),
            drift: dice.some(|d| DriftItem {
                object: d.object(),
                fields: d.some(Dice::text),
                healed: d.flag(),
            }),
            problems: dice.some(|d| Problem {
                object: d.maybe(Dice::object),
                message: d.text(),
            }),
            held_prune: dice.maybe(|d| HeldPrune {
                count: d.0.random(),
                reason: d.text(),
            }),
        };
        Self {
            project: dice.label(),
            set: dice.id(),
            report,
            received_at: dice.time(),
            first_healthy_at: dice.maybe(Dice::time),
        }
    }
}

impl Sample for SourceRecord {
    fn sample(dice: &mut Dice) -> Self {
        Self {
            source: dice.revision(),
            commit: dice.maybe(Dice::text),
            checked_at: dice.time(),
            error: dice.maybe(Dice::text),
        }
    }
}

impl Sample for ReleaseRecord {
    fn sample(dice: &mut Dice) -> Self {
        Self {
            project: dice.label(),
            id: dice.id(),
            set: dice.id(),
            number: dice.number(),
            content: dice.digest(),
            entries: dice.digest(),
            sources: dice.some(|d| SourceCommit {
                source: d.revision(),
                commit: d.text(),
            }),
            set_version: dice.number(),
            cause: dice.text(),
            authors: dice.some(Dice::text),
            created_at: dice.time(),
        }
    }
}

impl Dice {
    fn approval(&mut self) -> Approval {
        Approval {
            wave: self.index(),
            position: self.one_of(),
            content: self.digest(),
            verdict: self.one_of(),
            groups: self.some(Dice::text),
            actor: self.text(),
            reason: self.text(),
            at: self.time(),
            soak: u32::try_from(self.index()).unwrap_or_default(),
        }
    }

    fn way(&mut self) -> WayBack {
        let clusters: Vec<ClusterUid> = self.some(Self::id);
        WayBack {
            only: Only {
                wave: self.maybe(|d| u32::try_from(d.index()).unwrap_or_default()),
                since_wave: self.maybe(|d| u32::try_from(d.index()).unwrap_or_default()),
                clusters: clusters.into_iter().collect(),
            },
            to: self.maybe(Self::number),
            pin: self.maybe(Self::one_of),
        }
    }
}

impl Sample for RunRecord {
    fn sample(dice: &mut Dice) -> Self {
        let waves = dice.some(|d| PlannedWave {
            name: d.text(),
            members: d.some(Dice::member_id),
            concurrency: d.index(),
        });
        let excluded = dice.some(Dice::member_id);
        let rollback = |d: &mut Dice| RollbackBy {
            by_person: d.flag(),
            actor: d.text(),
            reason: d.text(),
            way: d.way(),
        };
        let run = Run {
            id: dice.id(),
            set: dice.id(),
            release: dice.id(),
            release_number: dice.number(),
            content: dice.digest(),
            epoch: Epoch(dice.number()),
            started_at: dice.time(),
            finished_at: dice.maybe(Dice::time),
            strategy: dice.strategy(),
            plan: Plan { waves, excluded },
            state: dice.one_of(),
            cause: dice.maybe(Dice::cause),
            wave: dice.index(),
            gate: dice.maybe(Dice::one_of),
            rollback: dice.maybe(rollback),
            broken_glass: dice.some(broken_glass),
            clock: clock(dice),
            owes: dice.flag(),
            paused: dice.maybe(|d| Paused {
                from: d.one_of(),
                by_person: d.flag(),
            }),
            request: dice.maybe(|d| Request {
                verb: d.one_of(),
                actor: d.text(),
                reason: d.text(),
                way: d.way(),
            }),
            retry: dice.maybe(|d| Retry {
                attempt: u32::try_from(d.index()).unwrap_or_default(),
                actor: d.text(),
                reason: d.text(),
                pending: d.flag(),
            }),
            soak: SoakClock {
                done: dice.span(),
                running_since: dice.maybe(Dice::time),
            },
            analysing: dice.maybe(analysing),
            authors: dice.some(Dice::text),
            approvals: dice.some(Dice::approval),
        };
        Self {
            project: dice.label(),
            run,
        }
    }
}

fn clock(dice: &mut Dice) -> RunClock {
    RunClock {
        shows: dice.time(),
        hub: dice.time(),
    }
}

fn analysing(dice: &mut Dice) -> Analysing {
    Analysing {
        soak: count(dice),
        wave: dice.index(),
        since: dice.time(),
        accepted: dice.flag(),
        tallies: dice.some(|d| Tally {
            name: d.text(),
            passed: count(d),
            inconclusive: count(d),
            failed: count(d),
            samples: d.some(|d| run::Sample {
                number: count(d),
                at: d.time(),
                shows: d.time(),
                value: d.maybe(Dice::text),
                reason: d.text(),
                verdict: d.one_of(),
            }),
        }),
    }
}

fn count(dice: &mut Dice) -> u32 {
    u32::try_from(dice.index()).unwrap_or_default()
}

fn broken_glass(dice: &mut Dice) -> BrokenGlass {
    BrokenGlass {
        wave: dice.index(),
        actor: dice.text(),
        reason: dice.text(),
        at: dice.time(),
    }
}

impl Sample for MemberRecord {
    fn sample(dice: &mut Dice) -> Self {
        let member = Member {
            id: dice.member_id(),
            cluster_name: dice.text(),
            apps: dice.some(|d| (d.id(), d.member_app())),
            state: dice.one_of(),
            cause: dice.maybe(Dice::cause),
            healthy_since: dice.maybe(Dice::time),
            reached: dice.flag(),
            progress: ProgressClock {
                used: dice.span(),
                running_since: dice.maybe(Dice::time),
            },
            unreachable_since: dice.maybe(Dice::time),
            deferred: dice.flag(),
        };
        Self {
            project: dice.label(),
            set: dice.id(),
            run: dice.id(),
            member,
        }
    }
}

impl Sample for PinRecord {
    fn sample(dice: &mut Dice) -> Self {
        let pin = Pin {
            app: dice.id(),
            bundle: dice.digest(),
            bad: dice.digest(),
            release: dice.one_of(),
            reason: dice.text(),
            actor: dice.text(),
            run: dice.id(),
            created_at: dice.time(),
        };
        Self {
            project: dice.label(),
            set: dice.id(),
            pin,
        }
    }
}

impl Sample for DenyRecord {
    fn sample(dice: &mut Dice) -> Self {
        let deny = Deny {
            object: dice.object(),
            content: dice.digest(),
        };
        Self {
            project: dice.label(),
            set: dice.id(),
            deny,
        }
    }
}

impl Sample for RestoredRecord {
    fn sample(dice: &mut Dice) -> Self {
        Self {
            project: dice.label(),
            set: dice.id(),
            app: dice.id(),
            term: Epoch(dice.number()),
            astray: dice.flag(),
        }
    }
}

impl Sample for HomeRecord {
    fn sample(dice: &mut Dice) -> Self {
        Self {
            directory: dice.text(),
            authority: dice.text(),
        }
    }
}

impl Sample for ReissueRecord {
    fn sample(dice: &mut Dice) -> Self {
        Self {
            project: dice.label(),
            set: dice.id(),
            reason: dice.text(),
        }
    }
}

impl Sample for HoldRecord {
    fn sample(dice: &mut Dice) -> Self {
        Self {
            id: dice.digest().short(),
            project: dice.label(),
            set: dice.id(),
            kind: dice.one_of(),
            message: dice.text(),
            content: dice.digest(),
            since: dice.time(),
            approvable: dice.flag(),
            approved_by: dice.maybe(Dice::text),
        }
    }
}

impl Sample for AuditRecord {
    fn sample(dice: &mut Dice) -> Self {
        Self {
            project: dice.label(),
            sequence: dice.number(),
            at: dice.time(),
            actor: dice.text(),
            action: dice.text(),
            subject: dice.text(),
            reason: dice.text(),
            before: dice.text(),
            after: dice.text(),
            context: Context {
                invoker: dice.one_of(),
                evidence: dice.some(Dice::text),
                outcome: dice.maybe(outcome),
            },
            hash: dice.digest(),
            previous: dice.digest(),
        }
    }
}

fn outcome(dice: &mut Dice) -> Outcome {
    Outcome {
        run: dice.id(),
        state: dice.one_of(),
        wave: dice.index(),
        gate: dice.maybe(Dice::one_of),
        attempt: dice.0.random(),
        member: dice.maybe(|dice| MemberOutcome {
            id: dice.member_id(),
            cluster_name: dice.text(),
            standing: dice.one_of(),
            wrote: dice.maybe(Dice::id),
        }),
    }
}

impl Sample for AuditHead {
    fn sample(dice: &mut Dice) -> Self {
        Self {
            project: dice.label(),
            sequence: dice.number(),
            hash: dice.digest(),
        }
    }
}
