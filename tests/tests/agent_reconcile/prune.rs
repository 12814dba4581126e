//! Prune: only with proof, and only as much as nobody has to be asked for.

use serde_json::json;
use tidegate_agent::port::Rejected;
use tidegate_model::{
    digest::Digest,
    ids::Epoch,
    policy::Drift,
    report::{Phase, Problem, Report},
};

use super::{
    kinds,
    support::{Agent, App, World, config, configs, said},
};

#[tokio::test(flavor = "multi_thread")]
async fn leftovers_go_only_with_proof() {
    let Some(world) = World::start("leftovers_go_only_with_proof").await else {
        return;
    };
    let agent = world.agent().await;
    t36_what_left_the_content_is_deleted(&world, &agent).await;
    t37_a_finalizer_is_named_and_waited_for(&world, &agent).await;
    t39_empty_content_deletes_nothing_until_it_is_approved(&world, &agent).await;
    t40_content_that_is_not_what_it_says_changes_nothing(&world, &agent).await;
    t41_many_wait_for_a_person(&world, &agent).await;
    t42_what_holds_others_waits_for_a_person(&world, &agent).await;
    t43_a_failed_apply_stops_the_prune(&world, &agent).await;
    t46_an_object_that_somebody_made_anew_stays(&world, &agent).await;
    agent.stop().await;
    t44_what_a_killed_agent_made_is_not_forgotten(&world).await;
}

async fn t36_what_left_the_content_is_deleted(world: &World, agent: &Agent) {
    let mut app = App::new(world, "leftover").await;
    let objects = configs(3);
    agent.run(&mut app, &objects).await;
    let report = agent.run(&mut app, &objects[..2]).await;
    assert!(
        report.held_prune.is_none() && report.problems.is_empty(),
        "{report:?}"
    );
    assert!(!world.exists("configmap", &app.namespace, "c002").await);
    assert!(world.exists("configmap", &app.namespace, "c001").await);
    // The entry went with the object: made by a person, it is not touched again.
    world
        .kubectl(&["create", "configmap", "c002", "-n", &app.namespace])
        .await;
    agent.pass_again(&app).await;
    assert!(world.exists("configmap", &app.namespace, "c002").await);
}

async fn t37_a_finalizer_is_named_and_waited_for(world: &World, agent: &Agent) {
    let mut app = App::new(world, "finalizer").await;
    let mut stuck = config("stuck", &json!({}));
    stuck["metadata"]["finalizers"] = json!(["test.tidegate.dev/stay"]);
    agent
        .run(&mut app, &[stuck, config("other", &json!({}))])
        .await;
    let before = world.writes("configmaps").await;
    agent
        .accept(&app.order(&[config("other", &json!({}))]))
        .await
        .unwrap();
    let waits = |report: &Report| said(report).contains("finalizers test.tidegate.dev/stay");
    let report = agent.until(&app, "the finalizer is named", waits).await;
    assert_ne!(report.phase, Phase::Applied);
    agent.pass_again(&app).await;
    assert_eq!(
        world.writes("configmaps").await,
        before + 1,
        "the delete was repeated"
    );
    world
        .kubectl(&[
            "patch",
            "configmap",
            "stuck",
            "-n",
            &app.namespace,
            "--type=merge",
            "-p",
            r#"{"metadata":{"finalizers":null}}"#,
        ])
        .await;
    agent.until_healthy(&app).await;
    assert!(!world.exists("configmap", &app.namespace, "stuck").await);
}

async fn t39_empty_content_deletes_nothing_until_it_is_approved(world: &World, agent: &Agent) {
    let mut app = App::new(world, "empty").await;
    agent.run(&mut app, &configs(2)).await;
    let report = agent.run(&mut app, &[]).await;
    let held = report.held_prune.expect("a held prune");
    assert!(held.count == 2 && held.reason.contains("empty"), "{held:?}");
    agent.pass_again(&app).await;
    assert!(world.exists("configmap", &app.namespace, "c000").await);
    app.approved = true;
    agent.run(&mut app, &[]).await;
    assert!(!world.exists("configmap", &app.namespace, "c000").await);
    assert!(!world.exists("configmap", &app.namespace, "c001").await);
}

async fn t40_content_that_is_not_what_it_says_changes_nothing(world: &World, agent: &Agent) {
    let mut app = App::new(world, "truncated").await;
    let objects = configs(3);
    agent.run(&mut app, &objects).await;
    let held = agent.handle.held();

    let whole = app.order(&objects);
    let mut truncated = app.order(&objects[..1]);
    truncated.assignment = whole.assignment.clone();
    assert!(matches!(
        agent.accept(&truncated).await,
        Err(Rejected::DigestMismatch { .. })
    ));

    let mut forged = app.order(&objects);
    let first = *forged.objects.keys().next().unwrap();
    forged.objects.insert(first, config("evil", &json!({})));
    assert!(matches!(
        agent.accept(&forged).await,
        Err(Rejected::DigestMismatch { .. })
    ));

    let mut partial = app.order(&[config("never-sent", &json!({}))]);
    partial.objects.clear();
    let Err(Rejected::MissingBlobs(missing)) = agent.accept(&partial).await else {
        panic!("accepted without content")
    };
    assert_eq!(agent.handle.missing(&missing), missing);

    let mut old = whole.clone();
    old.assignment.generation = tidegate_model::ids::Generation(0);
    assert!(matches!(
        agent.accept(&old).await,
        Err(Rejected::StaleGeneration { .. })
    ));
    let mut other = app.order(&objects[..2]);
    other.assignment.generation = tidegate_model::ids::Generation(1);
    assert!(matches!(
        agent.accept(&other).await,
        Err(Rejected::StaleGeneration { .. })
    ));

    agent.handle.raise_epoch(Epoch(1)).await.unwrap();
    let stale = agent
        .handle
        .accept(Epoch(0), whole.assignment, whole.bundle, whole.objects)
        .await;
    assert!(matches!(stale, Err(Rejected::StaleEpoch { .. })));
    assert_eq!(
        agent.handle.held(),
        held,
        "a refused assignment changed what is held"
    );
    assert_eq!(
        agent.handle.missing(&[Digest::of("object", &objects[0])]),
        []
    );
    app.generation = tidegate_model::ids::Generation(1);
    let report = agent.until_healthy(&app).await;
    assert!(report.held_prune.is_none());
    assert!(world.exists("configmap", &app.namespace, "c002").await);
}

async fn t41_many_wait_for_a_person(world: &World, agent: &Agent) {
    let mut app = App::new(world, "many").await;
    let objects = configs(100);
    agent.run(&mut app, &objects).await;
    let report = agent.run(&mut app, &objects[..90]).await;
    assert!(report.held_prune.is_none(), "{report:?}");
    assert!(!world.exists("configmap", &app.namespace, "c095").await);
    let report = agent.run(&mut app, &objects[..50]).await;
    let held = report.held_prune.expect("a held prune");
    assert!(
        held.count == 40 && held.reason.contains("40 of 90"),
        "{held:?}"
    );
    assert!(world.exists("configmap", &app.namespace, "c060").await);
}

/// What takes more with it than itself.
const HELD_BACK: [(&str, &str); 3] = [
    ("namespace", "held-back"),
    ("pvc", "data"),
    ("crd", "relics.test.tidegate.dev"),
];

async fn t42_what_holds_others_waits_for_a_person(world: &World, agent: &Agent) {
    let mut app = App::new(world, "protected").await;
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "held-back"}});
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let plain = config("plain", &json!({}));
    let stays = config("stays", &json!({}));
    agent
        .run(
            &mut app,
            &[
                namespace,
                claim,
                kinds::definition("Relic"),
                plain,
                stays.clone(),
            ],
        )
        .await;
    let report = agent.run(&mut app, std::slice::from_ref(&stays)).await;
    let held = report.held_prune.expect("a held prune");
    assert_eq!(held.count, 3, "{held:?}");
    assert!(
        !world.exists("configmap", &app.namespace, "plain").await,
        "an ordinary object was held too"
    );
    for (kind, name) in HELD_BACK {
        assert!(
            world.exists(kind, &app.namespace, name).await,
            "{kind} is gone"
        );
    }
    app.approved = true;
    agent.accept(&app.order(&[stays])).await.unwrap();
    // No controller takes the protection off a claim here.
    let waits = |report: &Report| said(report).contains("pvc-protection");
    agent.until(&app, "the claim is named", waits).await;
    let release = r#"{"metadata":{"finalizers":null}}"#;
    let namespace = app.namespace.clone();
    world
        .kubectl(&[
            "patch",
            "pvc",
            "data",
            "-n",
            &namespace,
            "--type=merge",
            "-p",
            release,
        ])
        .await;
    agent
        .until(&app, "applied", |report| report.phase == Phase::Applied)
        .await;
    for (kind, name) in HELD_BACK {
        world.until_gone(kind, &app.namespace, name).await;
    }
}

async fn t43_a_failed_apply_stops_the_prune(world: &World, agent: &Agent) {
    let mut app = App::new(world, "failed").await;
    let [old, good] = [config("old", &json!({})), config("good", &json!({}))];
    agent.run(&mut app, &[old, good.clone()]).await;
    let mut bad = config("bad", &json!({}));
    bad["data"] = json!({"not allowed!": "x"});
    agent
        .accept(&app.order(&[good.clone(), bad]))
        .await
        .unwrap();
    let report = agent
        .until(&app, "failed", |report| report.phase == Phase::Failed)
        .await;
    assert!(
        report
            .held_prune
            .is_some_and(|held| held.reason.contains("not every object"))
    );
    agent.pass_again(&app).await;
    assert!(
        world.exists("configmap", &app.namespace, "old").await,
        "pruned in spite of a failure"
    );
    agent.run(&mut app, &[good]).await;
    assert!(!world.exists("configmap", &app.namespace, "old").await);
}

async fn t46_an_object_that_somebody_made_anew_stays(world: &World, agent: &Agent) {
    // Only reporting drift, so that the agent does not adopt what it finds.
    let mut app = App::new(world, "replaced").await.drift(Drift::Warn);
    let objects = configs(3);
    agent.run(&mut app, &objects).await;
    for name in ["c001", "c002"] {
        world
            .kubectl(&["delete", "configmap", name, "-n", &app.namespace])
            .await;
        world
            .kubectl(&["create", "configmap", name, "-n", &app.namespace])
            .await;
    }
    // T47: our label, copied by hand.
    let label = format!("tidegate.dev/app-id={}", app.uid);
    world
        .kubectl(&["label", "configmap", "c002", &label, "-n", &app.namespace])
        .await;
    let report = agent.run(&mut app, &objects[..1]).await;
    for name in ["c001", "c002"] {
        assert!(
            world.exists("configmap", &app.namespace, name).await,
            "{name} was deleted"
        );
        let named = |problem: &&Problem| problem.object.as_ref().is_some_and(|id| id.name == name);
        let problem = report
            .problems
            .iter()
            .find(named)
            .unwrap_or_else(|| panic!("{name}: {report:?}"));
        assert!(
            problem.message.contains("is not the one that was applied"),
            "{problem:?}"
        );
    }
}

async fn t44_what_a_killed_agent_made_is_not_forgotten(world: &World) {
    let agent = world
        .agent_with(tempfile::TempDir::new().unwrap(), |options| {
            options.concurrency = 1;
        })
        .await;
    let mut app = App::new(world, "killed").await;
    let objects = configs(60);
    agent.accept(&app.order(&objects)).await.unwrap();
    let client = world.cluster().kube_client().unwrap();
    let maps: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
        kube::Api::namespaced(client, &app.namespace);
    while maps.get_opt("c004").await.unwrap().is_none() {}
    agent.stop().await;
    assert!(
        !world.exists("configmap", &app.namespace, "c059").await,
        "the agent was done before it was killed"
    );

    // A new agent on a new node.
    let agent = world.agent().await;
    app.approved = true;
    agent
        .run(&mut app, &[objects[0].clone(), objects[4].clone()])
        .await;
    for (name, stays) in [
        ("c000", true),
        ("c001", false),
        ("c002", false),
        ("c003", false),
        ("c004", true),
    ] {
        assert_eq!(
            world.exists("configmap", &app.namespace, name).await,
            stays,
            "{name}"
        );
    }
    let record = world
        .kubectl(&["get", "secrets", "-n", "tidegate-system", "-o", "name"])
        .await;
    assert!(record.contains(&app.uid.to_string()));
    agent.stop().await;
}
