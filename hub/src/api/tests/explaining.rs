//! Why an application is in its state: each reason with what clears it.

use tidegate_model::{
    health::Health,
    object::ObjectId,
    report::{DriftItem, HeldPrune, Phase, Problem, Report},
};

use super::*;
use crate::{
    backend::Backend,
    link::{port::LinkBackend as _, testing::Agent},
    records::{AppRecord, Rejection, SourceRecord},
    testing::{assigned, report},
};

struct Asked {
    hub: Hub,
    api: FleetApi,
    set: crate::records::SetRecord,
    agent: Agent,
}

impl Asked {
    /// One application in a connected cluster.
    async fn new(fill: impl FnOnce(&mut AppRecord)) -> Self {
        let hub = Hub::new().await;
        let set = set(1, "web", &json!({}));
        let mut app = assigned(app(&set, 1, 1), 2, bundle("a"));
        fill(&mut app);
        hub.create([cluster(1)]).await;
        hub.create([set.clone()]).await;
        hub.create([app]).await;
        let mut agent = Agent::connect(&hub.sessions, cluster_uid(1));
        agent.confirm();
        Self {
            api: hub.api(),
            hub,
            set,
            agent,
        }
    }

    fn app(&self) -> AppRecord {
        let state = self.hub.db.read();
        AppRecord::clone(state.apps.iter().next().unwrap())
    }

    async fn reported(&mut self, change: impl FnOnce(&mut Report)) {
        let mut said = report(&self.app(), Health::Healthy);
        change(&mut said);
        let backend = Backend::new(self.hub.db.clone());
        backend.report(cluster_uid(1), said).await.unwrap();
        self.agent.confirm();
    }

    async fn why(&self) -> wire::ExplainApplicationResponse {
        let request = ada(wire::ExplainApplicationRequest {
            project: String::new(),
            name: "web-1".to_owned(),
        });
        self.api
            .explain_application(request)
            .await
            .unwrap()
            .into_inner()
    }

    /// Codes of all reasons; each says what clears it.
    async fn codes(&self) -> Vec<String> {
        let reasons = self.why().await.reasons;
        for reason in &reasons {
            assert!(
                !reason.clears.is_empty() && !reason.message.is_empty(),
                "{reason:?}"
            );
        }
        reasons.into_iter().map(|reason| reason.code).collect()
    }
}

#[tokio::test]
async fn nothing_is_in_the_way_of_what_runs_as_told() {
    let mut asked = Asked::new(|_| ()).await;
    asked.reported(|_| ()).await;
    let answer = asked.why().await;
    assert_eq!(answer.reasons, []);
    assert_eq!(answer.application.unwrap().health(), wire::Health::Healthy);
    let unknown = ada(wire::ExplainApplicationRequest {
        project: String::new(),
        name: "wbe-1".to_owned(),
    });
    let answer = asked.api.explain_application(unknown).await;
    refused(
        answer,
        Code::NotFound,
        &["no application \"wbe-1\"", "project default"],
    );
}

#[tokio::test]
async fn the_way_to_the_cluster_is_looked_at_first() {
    let mut asked = Asked::new(|_| ()).await;
    asked.reported(|_| ()).await;
    asked.hub.clock.wind(jiff::SignedDuration::from_mins(5));
    assert_eq!(asked.codes().await, ["NotConfirmed"]);
    drop(asked.agent);
    asked.agent = Agent::connect(&asked.hub.sessions, cluster_uid(9));
    assert_eq!(asked.codes().await, ["Disconnected"]);
    let row = asked.hub.db.read().cluster(cluster_uid(1)).unwrap().clone();
    let mut record = crate::records::ClusterRecord::clone(&row.record);
    record.joined = false;
    asked
        .hub
        .write(|changes| changes.update(&row, &record))
        .await;
    let answer = asked.why().await;
    assert_eq!(answer.reasons[0].code, "NotJoined");
    assert!(
        answer.reasons[0]
            .clears
            .contains("tidegate cluster join-token c1")
    );
}

#[tokio::test]
async fn what_its_agent_took_is_compared_with_what_it_was_told() {
    let never = Asked::new(|app| app.assignment = None).await;
    assert_eq!(never.codes().await, ["NotAssigned"]);
    let mut asked = Asked::new(|_| ()).await;
    assert_eq!(asked.codes().await, ["NotApplied"]);
    asked.reported(|said| said.phase = Phase::Applying).await;
    let reasons = asked.why().await.reasons;
    assert!(
        reasons[0]
            .message
            .contains("generation 2 through: Applying"),
        "{reasons:?}"
    );

    let rejected = Asked::new(|app| {
        let last = app.assignment.as_ref().unwrap();
        app.rejection = Some(Rejection {
            generation: last.generation,
            digest: last.digest(),
            reason: "its disk is full".to_owned(),
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
        });
    })
    .await;
    let reasons = rejected.why().await.reasons;
    assert_eq!((reasons.len(), reasons[0].code.as_str()), (1, "Rejected"));
    assert!(reasons[0].message.contains("its disk is full") && reasons[0].since_ms > 0);
}

#[tokio::test]
async fn what_is_wrong_with_objects_is_named() {
    let mut asked = Asked::new(|_| ()).await;
    let object = ObjectId {
        group: "apps".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
    };
    asked
        .reported(|said| {
            said.health = Health::Degraded;
            said.problems = vec![Problem {
                object: Some(object.clone()),
                message: "ImagePullBackOff".to_owned(),
            }];
            let drift = |healed| DriftItem {
                object: object.clone(),
                fields: vec!["/spec/replicas".to_owned()],
                healed,
            };
            said.drift = vec![drift(true), drift(true), drift(false)];
            said.held_prune = Some(HeldPrune {
                count: 30,
                reason: "more than 20 of 40".to_owned(),
            });
        })
        .await;
    assert_eq!(asked.codes().await, ["ObjectProblem", "Drift", "PruneHeld"]);
    let reasons = asked.why().await.reasons;
    assert_eq!(
        reasons[0].message,
        "Deployment.apps shop/web: ImagePullBackOff"
    );
}

#[tokio::test]
async fn what_keeps_new_content_away_is_named() {
    let mut asked = Asked::new(|_| ()).await;
    asked.reported(|_| ()).await;
    let source = asked.app().app.source.repo_revision();
    let at = asked.hub.clock.now();
    let failed = SourceRecord {
        source,
        commit: None,
        checked_at: at,
        error: Some("no route to host".to_owned()),
    };
    asked.hub.create([failed]).await;
    let row = asked.hub.db.read().set("default", "web").unwrap().clone();
    let mut set = asked.set.clone();
    set.problems = [
        "application web-1: a.yaml:3: bad",
        "application web-12: b.yaml:3: bad",
    ]
    .map(str::to_owned)
    .into();
    asked.hub.write(|changes| changes.update(&row, &set)).await;
    asked.hub.create([pinned(&asked.hub, &set, 1)]).await;
    let holds = [
        held(&asked.hub, &set, "h1", true),
        held(&asked.hub, &set, "h2", false),
    ];
    asked.hub.create(holds).await;
    assert_eq!(
        asked.codes().await,
        ["SourceError", "SetProblem", "Pinned", "Held", "Held"]
    );
    let clears: Vec<_> = asked
        .why()
        .await
        .reasons
        .into_iter()
        .map(|reason| reason.clears)
        .collect();
    assert!(
        clears[2].contains("tidegate unpin web --app web-1"),
        "{clears:?}"
    );
    assert!(clears[3].contains("tidegate hold approve h1"), "{clears:?}");
    assert!(clears[4].contains("tidegate unpin web"), "{clears:?}");
}

#[tokio::test]
async fn the_run_says_what_it_waits_for() {
    let strategy = waves(
        &["dev", "prod"],
        &json!({"gates": {"before": [{"approval": {}}]}}),
    );
    let mut world = World::new(&strategy, 2, 1).await;
    world.label(1, "dev").await;
    world.label(2, "prod").await;
    world.publish("a").await;
    world.connect();
    world.agents.iter_mut().for_each(Agent::confirm);
    world.settle().await;
    let api = world.hub.api();
    let why = async |name: &str| {
        let request = ada(wire::ExplainApplicationRequest {
            project: String::new(),
            name: name.to_owned(),
        });
        api.explain_application(request).await.unwrap().into_inner()
    };
    let answer = why("web-2").await;
    let codes: Vec<_> = answer
        .reasons
        .iter()
        .map(|reason| reason.code.as_str())
        .collect();
    assert_eq!(codes, ["NotAssigned", "WaitsForTurn", "Approval"]);
    assert_eq!(
        (answer.wave.as_str(), answer.member_state.as_str()),
        ("prod", "Queued")
    );
    assert_eq!(
        (answer.run_state.as_str(), answer.latest_release),
        ("WaitingGate", 1)
    );

    let cancel = wire::ControlRunRequest {
        run: Some(latest()),
        verb: wire::RunVerb::Cancel.into(),
        reason: "wrong commit".to_owned(),
        cluster: String::new(),
    };
    api.control_run(ada(cancel)).await.unwrap();
    world.settle().await;
    let reasons = why("web-2").await.reasons;
    let ended = reasons
        .iter()
        .find(|reason| reason.code == "RunEnded")
        .unwrap();
    assert!(ended.message.contains("ended as Cancelled"), "{ended:?}");
}
