//! Wave plans: with the sets that name them, and never away from under them.

use serde_json::Value;

use super::*;

fn plan(waves: &Value) -> String {
    json!({"apiVersion": "tidegate.dev/v1alpha1", "kind": "WavePlan",
        "metadata": {"name": "standard"}, "spec": {"strategy": waves}})
    .to_string()
}

fn set(strategy: &Value) -> String {
    json!({"apiVersion": "tidegate.dev/v1alpha1", "kind": "ApplicationSet",
    "metadata": {"name": "web"}, "spec": {
        "generators": [{"clusters": {}}],
        "template": {"metadata": {"name": "web-{{.name}}"}, "spec": {
            "source": {"repoURL": "https://git.example.org/a.git", "path": "a"},
            "destination": {"name": "{{.name}}"}}},
        "strategy": strategy}})
    .to_string()
}

fn named() -> Value {
    json!({"wavePlan": "standard"})
}

/// Documents in the order in which they are given.
async fn apply(hub: &Hub, documents: &[&str]) -> Result<Vec<(String, wire::ApplyOutcome)>, Status> {
    let files = (1..).zip(documents).map(|(n, content)| wire::SourceFile {
        name: format!("{n}.yaml"),
        content: (*content).to_owned().into(),
    });
    let request = wire::ApplyRequest {
        files: files.collect(),
        dry_run: false,
    };
    let answer = hub.api().apply(ada(request)).await?.into_inner();
    let objects = answer.objects.into_iter();
    Ok(objects
        .map(|object| (object.kind.clone(), object.outcome()))
        .collect())
}

fn delete() -> Request<wire::DeleteWavePlanRequest> {
    ada(wire::DeleteWavePlanRequest {
        name: "standard".to_owned(),
        reason: "nobody uses it".to_owned(),
        ..Default::default()
    })
}

/// A hub with a cluster in dev.
async fn hub() -> Hub {
    let hub = Hub::new().await;
    let mut dev = cluster(1);
    let labels = &mut dev.cluster.labels;
    labels.insert("env".to_owned(), "dev".to_owned());
    hub.create([dev]).await;
    hub
}

#[tokio::test]
async fn a_set_may_come_with_its_plan_and_not_without() {
    let hub = hub().await;
    let before = hub.revision().await;
    refused(
        apply(&hub, &[&set(&named())]).await,
        Code::InvalidArgument,
        &[
            "1.yaml:1",
            "there is no WavePlan standard",
            "strategy.wavePlan",
        ],
    );
    assert_eq!(hub.revision().await, before);
    let plan = plan(&waves(&["dev"], &json!({})));
    let applied = apply(&hub, &[&set(&named()), &plan]).await.unwrap();
    let created = |kind: &str| (kind.to_owned(), wire::ApplyOutcome::Created);
    assert_eq!(applied, [created("WavePlan"), created("ApplicationSet")]);
    let again = apply(&hub, &[&plan]).await.unwrap();
    assert_eq!(again[0].1, wire::ApplyOutcome::Unchanged);

    let listed = hub
        .api()
        .list_wave_plans(ada(wire::ListRequest::default()))
        .await;
    let listed = listed.unwrap().into_inner().items;
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (listed[0].sets.join(","), listed[0].waves.join(",")),
        ("web".to_owned(), "dev".to_owned())
    );
    assert_eq!((listed[0].version, &*listed[0].applied_by), (1, "ada"));
}

#[tokio::test]
async fn a_plan_that_a_set_could_not_roll_out_by_is_refused() {
    let hub = hub().await;
    let good = plan(&waves(&["dev"], &json!({})));
    apply(&hub, &[&good, &set(&named())]).await.unwrap();
    let before = hub.revision().await;
    let narrow = plan(&waves(&["prod"], &json!({})));
    refused(
        apply(&hub, &[&narrow]).await,
        Code::InvalidArgument,
        &["1.yaml:1", "set web names this plan", "no wave picks c1"],
    );
    refused(
        apply(
            &hub,
            &[&plan(
                &json!({"type": "Waves", "waves": [{"name": "a", "maxConcurrency": 0}]}),
            )],
        )
        .await,
        Code::InvalidArgument,
        &["strategy.waves[0].maxConcurrency"],
    );
    assert_eq!(hub.revision().await, before);
    // What the set becomes with the same request is what counts.
    let own = set(&waves(&["dev"], &json!({})));
    let applied = apply(&hub, &[&narrow, &own]).await.unwrap();
    assert!(
        applied
            .iter()
            .all(|(_, outcome)| *outcome == wire::ApplyOutcome::Configured)
    );
    let decided = hub.audit("default").await;
    let actions: Vec<_> = decided.iter().map(|it| it.action.as_str()).collect();
    let wanted = [
        "waveplan.create",
        "set.create",
        "waveplan.change",
        "set.change",
    ];
    assert_eq!(actions, wanted);
    assert_eq!(decided[2].subject, "waveplan/standard");
}

#[tokio::test]
async fn a_plan_goes_when_no_set_names_it() {
    let hub = hub().await;
    refused(
        hub.api().delete_wave_plan(delete()).await,
        Code::NotFound,
        &["no wave plan standard", "tidegate get waveplans"],
    );
    let strategy = waves(&["dev"], &json!({}));
    apply(&hub, &[&plan(&strategy), &set(&named())])
        .await
        .unwrap();
    refused(
        hub.api().delete_wave_plan(delete()).await,
        Code::FailedPrecondition,
        &["web", "give them another first"],
    );
    apply(&hub, &[&set(&strategy)]).await.unwrap();
    hub.api().delete_wave_plan(delete()).await.unwrap();
    assert!(hub.db.read().wave_plans.is_empty());
    let (actor, action, subject) = hub.last_decision("default").await;
    assert_eq!(
        (&*actor, &*action, &*subject),
        ("ada", "waveplan.delete", "waveplan/standard")
    );
}

#[tokio::test]
async fn a_plan_alone_has_no_preview_and_says_so() {
    let hub = hub().await;
    let file = wire::SourceFile {
        name: "plan.yaml".to_owned(),
        content: plan(&waves(&["dev"], &json!({}))).into(),
    };
    let request = wire::PreviewApplyRequest {
        files: vec![file],
        filter: None,
    };
    refused(
        hub.api().preview_apply(ada(request)).await,
        Code::InvalidArgument,
        &["no application set", "a wave plan changes"],
    );
}
