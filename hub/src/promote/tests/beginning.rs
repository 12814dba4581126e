//! How runs begin: in batches, with one plan, or not at all.

use super::*;
use tidegate_model::run::MemberState;

#[tokio::test]
async fn members_come_in_batches_and_a_hub_that_dies_in_between_carries_on() {
    let mut world = World::new(&json!({}), 130, 1).await;
    world.publish("a").await;
    assert!(world.pass().await);
    let begun = world.run();
    assert_eq!((begun.state, world.members().len()), (RunState::Planned, 0));
    assert!(world.pass().await);
    let first = world.members();
    assert_eq!(first.len(), 60);

    let mut world = world.restart().await;
    world.connect();
    assert!(world.pass().await);
    assert_eq!(world.members().len(), 120);
    assert!(
        world.running().values().all(Option::is_none),
        "nothing moves before all are there"
    );
    assert!(world.pass().await);
    assert_eq!(world.members().len(), 130);
    assert_eq!(world.run(), begun, "the header is the one that was begun");
    let planned: BTreeSet<_> = begun.plan.waves[0].members.iter().cloned().collect();
    let stored: BTreeSet<_> = world
        .members()
        .into_iter()
        .map(|record| record.member.id)
        .collect();
    assert_eq!(stored, planned);
    assert!(first.iter().all(|member| world.members().contains(member)));

    world.settle().await;
    assert!(world.all_run("a"));
    assert!(world.largest < 100, "{}", world.largest);
    let audit = world.hub.audit("default").await;
    let create = audit
        .iter()
        .find(|record| record.action == "run.create")
        .unwrap();
    assert_eq!(
        (create.actor.as_str(), create.reason.as_str()),
        ("system", "release 1 is new")
    );
    let begun = audit
        .iter()
        .filter(|record| record.action == "run.create")
        .count();
    assert_eq!(begun, 1);
}

#[tokio::test]
async fn the_plan_stays_when_fleet_and_labels_change_in_between() {
    let mut world = World::new(&waves(&["dev", "prod"], &json!({})), 4, 1).await;
    for (n, env) in [(1, "dev"), (2, "dev"), (3, "prod"), (4, "prod")] {
        world.label(n, env).await;
    }
    world.publish("a").await;
    world.pass().await;
    let plan = world.run().plan;
    // Before its members are stored, one cluster leaves and another moves.
    let gone = world.hub.db.read().cluster(cluster_uid(4)).unwrap().clone();
    world.hub.write(|changes| changes.delete(&gone)).await;
    world.label(2, "prod").await;
    let mut world = world.restart().await;
    world.settle().await;
    assert_eq!(world.run().plan, plan);
    let members = world.members();
    let waves: BTreeMap<_, _> = members
        .iter()
        .map(|record| (record.member.id.cluster, record.member.id.wave))
        .collect();
    let expected = [(1, 0), (2, 0), (3, 1), (4, 1)].map(|(n, wave)| (cluster_uid(n), wave));
    assert_eq!(waves, expected.into());
    assert!(members.iter().all(|record| record.member.apps.len() == 1));

    world.recover().await;
    assert_eq!(world.run().state, RunState::Succeeded);
    let state = |n| {
        let mut members = world.members().into_iter();
        members
            .find(|record| record.member.id.cluster == cluster_uid(n))
            .unwrap()
            .member
            .state
    };
    assert_eq!(
        (state(2), state(4)),
        (MemberState::Soaked, MemberState::Skipped)
    );
}

#[tokio::test]
async fn a_member_without_applications_left_is_left_out() {
    let mut world = World::new(&json!({}), 2, 1).await;
    world.publish("a").await;
    world.pass().await;
    let gone = world.apps().remove(1);
    let row = world.hub.db.read().apps.get(&gone.key()).unwrap().clone();
    world.hub.write(|changes| changes.delete(&row)).await;
    world.settle().await;
    assert_eq!(world.members().len(), 2);
    world.recover().await;
    assert_eq!(world.run().state, RunState::Succeeded);
}

#[tokio::test]
async fn a_cluster_that_left_is_left_out_of_every_wave_it_was_in() {
    let wave = |tier: &str| {
        json!({"name": tier, "maxConcurrency": "100%", "failureBudget": {"mode": "fast"},
            "select": {"applications": {"matchLabels": {"tier": tier}}}})
    };
    let strategy = json!({"type": "Waves", "waves": [wave("1"), wave("2")]});
    let mut world = World::new(&strategy, 2, 2).await;
    for (n, app) in world.apps().into_iter().enumerate() {
        let row = world.hub.db.read().apps.get(&app.key()).unwrap().clone();
        let mut record = app;
        let tier = (n % 2 + 1).to_string();
        record.app.labels.insert("tier".to_owned(), tier);
        world
            .hub
            .write(|changes| changes.update(&row, &record))
            .await;
    }
    world.publish("a").await;
    world.pass().await;
    let gone = world.hub.db.read().cluster(cluster_uid(2)).unwrap().clone();
    world.hub.write(|changes| changes.delete(&gone)).await;
    world.settle().await;
    assert_eq!(world.members().len(), 4, "one cluster, two waves, twice");
    world.recover().await;
    world.recover().await;
    assert_eq!(world.run().state, RunState::Succeeded);
    let skipped = world
        .members()
        .into_iter()
        .filter(|record| record.member.state == MemberState::Skipped);
    assert_eq!(skipped.count(), 2);
    assert_eq!(world.running()["web-2"], Some(bundle("a")));
}

#[tokio::test]
async fn too_many_applications_in_one_member_are_refused_with_their_number() {
    let mut world = World::new(&json!({}), 1, 31).await;
    world.publish("a").await;
    assert_eq!(
        world.settle().await,
        1,
        "it is noted once and comes to rest"
    );
    let set = world.set();
    let [problem] = &set.record.problems[..] else {
        panic!("{:?}", set.record.problems)
    };
    assert!(
        is_problem(problem) && problem.contains("cluster c1 has 31 applications"),
        "{problem}"
    );
    assert!(problem.contains("at most 30 can move together: split the set"));
    assert_eq!(
        (set.record.latest_run, world.hub.db.read().runs.len()),
        (None, 0)
    );

    let apps = world.apps();
    world.publish_to("a", &apps[..30]).await;
    world.settle().await;
    assert_eq!(
        world.set().record.problems,
        Vec::<String>::new(),
        "it is over"
    );
    assert_eq!(world.members()[0].member.apps.len(), 30);
}

#[tokio::test]
async fn unmatched_members_stop_the_first_run_and_are_left_out_of_later_ones() {
    let mut world = World::new(&waves(&["dev"], &json!({})), 3, 1).await;
    world.label(1, "dev").await;
    world.label(2, "dev").await;
    world.publish("a").await;
    assert_eq!(world.settle().await, 1);
    let problems = world.set().record.problems.clone();
    assert!(problems[0].contains("no wave picks c3"), "{problems:?}");
    assert!(world.set().record.latest_run.is_none());

    world.label(3, "dev").await;
    world.roll_out("b").await;
    assert_eq!(world.set().record.problems, Vec::<String>::new());
    world.label(3, "lab").await;
    world.publish("c").await;
    world.settle().await;
    let problems = world.set().record.problems.clone();
    assert!(problems[0].contains("no wave picks c3"), "{problems:?}");
    let run = world.run();
    assert_eq!(run.release_number, 3);
    let excluded: Vec<_> = run.plan.excluded.iter().map(|id| id.cluster).collect();
    assert_eq!(excluded, [cluster_uid(3)]);
    assert_eq!(
        world.running()["web-3"],
        Some(bundle("b")),
        "it keeps what it runs"
    );
    assert_eq!(world.running()["web-1"], Some(bundle("c")));
}

#[tokio::test]
async fn problems_of_publication_and_promotion_leave_each_other_alone() {
    let mut world = World::new(&json!({}), 1, 31).await;
    let row = world.set();
    let problems = vec!["row 3: no such cluster".to_owned()];
    let record = SetRecord {
        problems,
        ..SetRecord::clone(&row.record)
    };
    world
        .hub
        .write(|changes| changes.update(&row, &record))
        .await;
    world.publish("a").await;
    world.settle().await;
    let noted = world.set();
    assert_eq!(noted.record.problems.len(), 2);

    // The next publication finds the same problem of its own, and later none.
    let passed = |problems: Vec<String>| {
        let state = world.hub.db.read();
        let candidate = crate::publish::Candidate {
            problems,
            incomplete: true,
            ..Default::default()
        };
        let view = crate::publish::pass::View {
            state: &state,
            set: &noted,
            candidate: &candidate,
            epoch: world.hub.db.epoch(),
            now: world.hub.clock.now(),
        };
        crate::publish::pass::pass(&view, &mut || world.hub.clock.id()).changes
    };
    assert!(
        passed(record.problems.clone()).is_empty(),
        "the two would write for ever"
    );
    world.hub.db.commit(passed(Vec::new())).await.unwrap();
    let left = world.set().record.problems.clone();
    assert!(left.len() == 1 && is_problem(&left[0]), "{left:?}");
}

#[tokio::test]
async fn a_set_that_is_being_deleted_begins_no_run() {
    let mut world = World::new(&json!({}), 1, 1).await;
    world.publish("a").await;
    let row = world.set();
    let record = SetRecord {
        deleting: true,
        ..SetRecord::clone(&row.record)
    };
    world
        .hub
        .write(|changes| changes.update(&row, &record))
        .await;
    assert_eq!(world.settle().await, 0);
}

#[tokio::test]
async fn entries_are_asked_for_while_a_run_begins_and_not_after() {
    let mut world = World::new(&json!({}), 1, 1).await;
    let wanted = |world: &World| wanted_release(&world.hub.db.read(), &world.set());
    assert_eq!(wanted(&world), None);
    world.publish("a").await;
    let entries = *world.entries.keys().next().unwrap();
    assert_eq!(wanted(&world), Some(entries), "to begin");
    world.pass().await;
    assert_eq!(wanted(&world), Some(entries), "to complete");
    world.pass().await;
    assert_eq!(wanted(&world), None, "to step");
    world.recover().await;
    assert_eq!(world.run().state, RunState::Succeeded);
    assert_eq!((wanted(&world), world.settle().await), (None, 0));
}

#[test]
fn candidates_are_named_by_name_and_need_a_cluster() {
    let set = set(1, "web", &json!({}));
    let clusters = [cluster(1).cluster];
    let apps = [app(&set, 1, 1).app, app(&set, 2, 2).app];
    let candidates = candidates_of(&clusters, &apps);
    let [one] = &candidates[..] else {
        panic!("{candidates:?}")
    };
    assert_eq!(
        (one.cluster, one.cluster_name.as_str()),
        (cluster_uid(1), "c1")
    );
    assert_eq!(one.cluster_labels["rank"], "1");
    assert_eq!(candidates_of(&clusters, &apps), candidates);
    let renamed = Application {
        name: "x".to_owned(),
        ..apps[0].clone()
    };
    assert_ne!(candidates_of(&clusters, &[renamed])[0].app, one.app);
}

#[tokio::test]
async fn a_run_is_never_made_from_what_another_release_holds() {
    let mut world = World::new(&json!({}), 2, 1).await;
    world.connect();
    world.publish("a").await;
    let former = world.wanted();
    world.publish("b").await;
    assert!(former.is_some() && former != world.wanted());
    assert!(
        !world.pass_with(former).await,
        "a run of b from a's entries"
    );
    assert!(world.pass().await);
    // Its members are not stored yet: the same holds for them.
    let run = world.run();
    assert_eq!(run.release_number, 2);
    assert!(world.members().is_empty());
    assert!(
        !world.pass_with(former).await,
        "members of b from a's entries"
    );
    assert!(world.pass().await);
    assert_eq!(world.members().len(), 2);
}
