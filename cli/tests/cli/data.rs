//! What the canned hub knows: long and short names, problems, things that never happened.

use tidegate::clock::Clock;
use tidegate_proto::v1 as wire;

pub(crate) const RUN: &str = "0197f1c2-6a90-7cc3-98c5-aeb0cf6f5c0e";
pub(crate) const OLD_RUN: &str = "0197e0aa-1b20-7d11-8a44-10c2f3a4b5c6";
const REPO: &str = "https://git.example/platform/web.git";
const COMMIT: &str = "8f14e45fceea167a5a36dedd4bea2543c1a9e7d2";

/// The document of set web, as the hub keeps it.
const DOCUMENT: &str = r#"{"apiVersion":"tidegate.dev/v1alpha1","kind":"ApplicationSet",
"metadata":{"name":"web"},"spec":{"generators":[{"clusters":{}}],"strategy":{"waves":[
{"name":"canary","select":{"matchLabels":{"env":"dev"}}},{"name":"prod","approval":true}]}}}"#;

/// Some while ago: 45 minutes and a half, which stays "45m" however slow the test is.
pub(crate) fn ago() -> i64 {
    Clock::default().now_ms() - 45 * 60_000 - 30_000
}

pub(crate) fn digest(byte: char) -> String {
    format!("sha256:{}", byte.to_string().repeat(64))
}

pub(crate) fn wave_plans() -> Vec<wire::WavePlan> {
    let plan = |name: &str, sets: &[&str], waves: &[&str]| {
        wire::WavePlan {
        project: "default".to_owned(),
        name: name.to_owned(),
        version: 2,
        document: r#"{"apiVersion":"tidegate.dev/v1alpha1","kind":"WavePlan","metadata":{"name":"standard"},"spec":{"project":"default","strategy":{"type":"Waves","waves":[{"name":"dev"},{"name":"prod"}]}}}"#.to_owned(),
        sets: sets.iter().map(ToString::to_string).collect(),
        waves: waves.iter().map(ToString::to_string).collect(),
        applied_by: "ada".to_owned(),
    }
    };
    vec![
        plan(
            "standard",
            &["web", "ingress-controllers"],
            &["dev", "prod"],
        ),
        plan("unused", &[], &[]),
    ]
}

pub(crate) fn sets() -> Vec<wire::ApplicationSet> {
    vec![
        wire::ApplicationSet {
            uid: "0197aaaa-0000-7000-8000-000000000001".to_owned(),
            project: "default".to_owned(),
            name: "web".to_owned(),
            version: 3,
            document: DOCUMENT.to_owned(),
            applications: 2,
            release: 7,
            run_id: RUN.to_owned(),
            run_state: "WaitingGate".to_owned(),
            holds: 1,
            warnings: vec![
                "https://git/web.git at main: web/secret.yaml:1: Secret web/db is a Secret in plain text".to_owned(),
                "https://git/web.git at main: web/latest: symbolic links are not followed".to_owned(),
            ],
            ..wire::ApplicationSet::default()
        },
        wire::ApplicationSet {
            project: "default".to_owned(),
            name: "ingress-controllers".to_owned(),
            version: 1,
            problems: vec![
                "generators[0] row 3: template: spec.source.path: map has no entry for key \"rank\"".to_owned(),
                "another".to_owned(),
            ],
            ..wire::ApplicationSet::default()
        },
    ]
}

/// The report of an application with everything wrong that there can be.
fn ill() -> wire::Report {
    wire::Report {
        generation: 3,
        digest: digest('9'),
        phase: wire::Phase::Failed.into(),
        health: wire::Health::Degraded.into(),
        problems: vec![wire::Problem {
            object: None,
            message: "Deployment web: ImagePullBackOff".to_owned(),
        }],
        drift: vec![wire::DriftItem {
            object: Some(wire::ObjectId {
                group: "apps".to_owned(),
                kind: "Deployment".to_owned(),
                namespace: "web".to_owned(),
                name: "web".to_owned(),
            }),
            fields: vec!["/spec/replicas".to_owned()],
            healed: true,
        }],
        held_prune: Some(wire::HeldPrune {
            count: 9,
            reason: "the source is empty".to_owned(),
        }),
        ..wire::Report::default()
    }
}

/// An application that is as it should be.
fn app(name: &str, cluster: &str) -> wire::Application {
    wire::Application {
        uid: format!("uid-{name}"),
        project: "default".to_owned(),
        set: "web".to_owned(),
        name: name.to_owned(),
        cluster: cluster.to_owned(),
        namespace: "web".to_owned(),
        labels: [
            ("tier".to_owned(), "front".to_owned()),
            ("app".to_owned(), "web".to_owned()),
        ]
        .into(),
        repo_url: REPO.to_owned(),
        revision: "main".to_owned(),
        path: "web".to_owned(),
        policy: Some(wire::Policy {
            prune: true,
            drift: wire::Drift::Heal.into(),
        }),
        generator: "generators[0].clusters".to_owned(),
        row: 2,
        inputs: vec![wire::InputVersion {
            input: format!("git {REPO} at main"),
            version: COMMIT.to_owned(),
        }],
        run_id: RUN.to_owned(),
        report: Some(wire::Report {
            generation: 4,
            digest: digest('a'),
            phase: wire::Phase::Applied.into(),
            health: wire::Health::Healthy.into(),
            healthy_for_ms: 2_400_000,
            ..wire::Report::default()
        }),
        generation: 4,
        release: 7,
        bundle: digest('a'),
        synced: true,
        health: wire::Health::Healthy.into(),
        report_at_ms: ago(),
        ..wire::Application::default()
    }
}

pub(crate) fn apps() -> Vec<wire::Application> {
    vec![
        app("web-dev-eu-central-1", "dev-eu-central-1"),
        wire::Application {
            synced: false,
            health: wire::Health::Degraded.into(),
            report: Some(ill()),
            ..app("web-prod-eu-central-1", "prod-eu-central-1")
        },
        wire::Application {
            pin: pins().pop(),
            ..app("web-prod-us-east-2", "prod-us-east-2")
        },
        wire::Application {
            generation: 0,
            report: None,
            run_id: String::new(),
            bundle: String::new(),
            release: 0,
            report_at_ms: 0,
            synced: false,
            health: wire::Health::Unspecified.into(),
            ..app("web-new", "new")
        },
    ]
}

pub(crate) fn clusters() -> Vec<wire::Cluster> {
    vec![
        wire::Cluster {
            uid: "c-1".to_owned(),
            name: "dev-eu-central-1".to_owned(),
            labels: [
                ("env".to_owned(), "dev".to_owned()),
                ("rank".to_owned(), "1".to_owned()),
            ]
            .into(),
            joined: true,
            connected: true,
            last_seen_ms: ago(),
            agent_version: "0.1.0".to_owned(),
            applications: 12,
            servers: vec!["https://10.0.0.1:6443".to_owned()],
            health: wire::Health::Healthy.into(),
            ..wire::Cluster::default()
        },
        wire::Cluster {
            uid: "c-2".to_owned(),
            name: "prod-eu-central-1".to_owned(),
            labels: [
                ("env".to_owned(), "prod".to_owned()),
                (
                    "fact.tidegate.dev/kubernetes-version".to_owned(),
                    "v1.34.2".to_owned(),
                ),
            ]
            .into(),
            joined: true,
            last_seen_ms: ago(),
            ..wire::Cluster::default()
        },
        wire::Cluster {
            uid: "c-3".to_owned(),
            name: "new".to_owned(),
            ..wire::Cluster::default()
        },
    ]
}

fn commit() -> wire::SourceCommit {
    wire::SourceCommit {
        repo_url: REPO.to_owned(),
        revision: "main".to_owned(),
        commit: COMMIT.to_owned(),
    }
}

pub(crate) fn releases() -> Vec<wire::Release> {
    vec![wire::Release {
        id: "0197f1c2-0000-7000-8000-000000000007".to_owned(),
        project: "default".to_owned(),
        set: "web".to_owned(),
        number: 7,
        content: digest('b'),
        sources: vec![commit()],
        cause: "commit 8f14e45fceea by kim: raise the memory limit of the front end".to_owned(),
        created_at_ms: ago(),
        entries: vec![
            wire::ReleaseEntry {
                app: "web-dev-eu-central-1".to_owned(),
                cluster: "dev-eu-central-1".to_owned(),
                bundle: digest('a'),
                ..wire::ReleaseEntry::default()
            },
            wire::ReleaseEntry {
                app: "web-prod-eu-central-1".to_owned(),
                cluster: "prod-eu-central-1".to_owned(),
                unrendered: "web/kustomization.yaml:3: no such file base".to_owned(),
                ..wire::ReleaseEntry::default()
            },
        ],
    }]
}

pub(crate) fn member(cluster: &str, state: &str, cause: &str) -> wire::RunMember {
    wire::RunMember {
        cluster: cluster.to_owned(),
        state: state.to_owned(),
        cause: (!cause.is_empty()).then(|| wire::Cause {
            code: "Degraded".to_owned(),
            message: cause.to_owned(),
        }),
        applications: vec![format!("web-{cluster}")],
    }
}

pub(crate) fn wave(name: &str, state: &str, members: Vec<wire::RunMember>) -> wire::RunWave {
    wire::RunWave {
        name: name.to_owned(),
        state: state.to_owned(),
        members,
        concurrency: 1,
        analyses: Vec::new(),
    }
}

/// A run at the gate of its second wave.
pub(crate) fn run() -> wire::Run {
    wire::Run {
        id: RUN.to_owned(),
        project: "default".to_owned(),
        set: "web".to_owned(),
        release: 7,
        content: digest('b'),
        state: "WaitingGate".to_owned(),
        cause: Some(wire::Cause {
            code: "ApprovalMissing".to_owned(),
            message: "wave prod waits for an approval".to_owned(),
        }),
        started_at_ms: ago(),
        waves: vec![
            wave(
                "canary",
                "Done",
                vec![member("dev-eu-central-1", "Soaked", "")],
            ),
            wave(
                "prod",
                "WaitingGate",
                vec![member("prod-eu-central-1", "Queued", "")],
            ),
        ],
        sources: vec![commit()],
        ..wire::Run::default()
    }
}

/// The run in another state.
pub(crate) fn run_in(state: &str, cause: &str) -> wire::Run {
    let ended = [
        "Succeeded",
        "Failed",
        "RolledBack",
        "Cancelled",
        "Superseded",
    ]
    .contains(&state);
    wire::Run {
        state: state.to_owned(),
        terminal: ended,
        cause: (!cause.is_empty()).then(|| wire::Cause {
            code: "Budget".to_owned(),
            message: cause.to_owned(),
        }),
        finished_at_ms: if ended { ago() + 60_000 } else { 0 },
        ..run()
    }
}

pub(crate) fn runs() -> Vec<wire::Run> {
    vec![
        run(),
        wire::Run {
            id: OLD_RUN.to_owned(),
            release: 6,
            ..run_in("RolledBack", "the budget is used up")
        },
    ]
}

pub(crate) fn sources() -> Vec<wire::Source> {
    vec![
        wire::Source {
            repo_url: REPO.to_owned(),
            revision: "main".to_owned(),
            commit: COMMIT.to_owned(),
            checked_at_ms: ago(),
            error: String::new(),
        },
        wire::Source {
            repo_url: "https://git.example/platform/a-repository-with-a-rather-long-name.git"
                .to_owned(),
            revision: "release-2026.11".to_owned(),
            commit: String::new(),
            checked_at_ms: ago(),
            error: "failed to fetch: could not resolve host git.example".to_owned(),
        },
    ]
}

pub(crate) fn holds() -> Vec<wire::Hold> {
    vec![wire::Hold {
        id: "3f9a1c0b77de".to_owned(),
        project: "default".to_owned(),
        set: "web".to_owned(),
        kind: "ApplicationsVanish".to_owned(),
        message: "9 of 10 applications would be deleted: row 4 of generators[0] is gone".to_owned(),
        content: digest('c'),
        since_ms: ago(),
        approvable: true,
    }]
}

pub(crate) fn pins() -> Vec<wire::Pin> {
    vec![wire::Pin {
        app: "web-prod-us-east-2".to_owned(),
        cluster: "prod-us-east-2".to_owned(),
        bundle: digest('d'),
        release: "converged".to_owned(),
        reason: "checkout answers 500 since the last release".to_owned(),
        actor: "kim".to_owned(),
        created_at_ms: ago(),
        project: "default".to_owned(),
        set: "web".to_owned(),
    }]
}

pub(crate) fn explanation() -> wire::ExplainRunResponse {
    let opens = "2026-10-25T02:30:00Z".parse::<jiff::Timestamp>().unwrap();
    let window = "deny window sunday-night (\"30 1 * * SUN\" for 2h, Europe/Berlin)";
    wire::ExplainRunResponse {
        run: Some(run()),
        blocking: blocking(),
        windows: vec![wire::RunWindows {
            wave: "prod".to_owned(),
            windows: vec![window.to_owned()],
            open: false,
            next_open_ms: opens.as_millisecond(),
            next_close_ms: 0,
        }],
    }
}

pub(crate) fn way_back() -> Vec<wire::RollbackChange> {
    let change = |cluster: &str| wire::RollbackChange {
        app: format!("web-{cluster}"),
        cluster: cluster.to_owned(),
        wave: "prod".to_owned(),
        from: digest('b'),
        to: digest('d'),
        pinned: true,
        denied: vec![
            "Deployment.apps shop/web".to_owned(),
            "ConfigMap shop/settings".to_owned(),
        ],
        left: String::new(),
    };
    let left = wire::RollbackChange {
        to: digest('b'),
        pinned: false,
        denied: Vec::new(),
        left: "default/web-new is not in release 5, or was not rendered; what runs was left"
            .to_owned(),
        ..change("new")
    };
    vec![change("prod-eu-central-1"), change("prod-us-east-2"), left]
}

pub(crate) fn blocking() -> Vec<wire::Blocking> {
    vec![
        wire::Blocking {
            code: "ApprovalMissing".to_owned(),
            message: "wave prod waits for an approval of content bbbbbbbbbbbb".to_owned(),
            clears: "tidegate run approve --set web --wave prod".to_owned(),
            wave: "prod".to_owned(),
            since_ms: ago(),
            ..wire::Blocking::default()
        },
        wire::Blocking {
            code: "Unreachable".to_owned(),
            message:
                "the agent of prod-eu-central-1 has not been heard of since its last heartbeat, \
                      and the policy of the wave is to wait for it"
                    .to_owned(),
            clears: "its agent connects again, or `tidegate cluster remove prod-eu-central-1`"
                .to_owned(),
            wave: "prod".to_owned(),
            cluster: "prod-eu-central-1".to_owned(),
            since_ms: ago(),
        },
    ]
}

/// A cluster whose agent is to use a new certificate.
pub(crate) fn rotating(name: &str) -> wire::Cluster {
    let known = clusters().into_iter().find(|cluster| cluster.name == name);
    wire::Cluster {
        name: name.to_owned(),
        rotating: true,
        ..known.unwrap_or_default()
    }
}
