//! What becomes of a set, pass by pass, over a state that only the passes themselves write.

mod causes;

use std::{collections::BTreeMap, sync::Arc};

use tidegate_model::{
    application::{Application, Provenance},
    bundle::{Bundle, BundleEntry, OBJECT_TAG},
    deny::{self, PinRelease},
    ids::{Generation, RunId, SetUid},
    object::ObjectKey,
    policy::Policy,
    source::{Directory, Source},
};

use super::*;
use crate::{
    publish::{
        Content,
        inputs::{Inputs, Rest},
    },
    records::{DenyRecord, HoldRecord, PinRecord, Record as _},
};

/// A hub of one set, driven by hand.
struct World {
    state: State,
    candidate: Candidate,
    ids: u128,
}

impl World {
    fn new() -> Self {
        let document = serde_json::json!({
            "apiVersion": "tidegate.dev/v1alpha1", "kind": "ApplicationSet",
            "metadata": {"name": "web"},
            "spec": {"generators": [{"clusters": {}}], "template": {"metadata": {"name": "x"},
                "spec": {"source": {"repoURL": "https://git"}, "destination": {"name": "x"}}}}});
        let record = SetRecord {
            uid: SetUid(Uuid::from_u128(1)),
            project: "default".to_owned(),
            name: "web".to_owned(),
            version: 1,
            document: serde_json::from_value(document).unwrap(),
            last_release: 0,
            deleting: false,
            problems: Vec::new(),
            managed_by: "api".to_owned(),
            latest_run: None,
            last_succeeded: None,
            warnings: Vec::new(),
            applied_by: "ada".to_owned(),
            void_through: 0,
        };
        let mut world = Self {
            state: State::default(),
            candidate: Candidate::default(),
            ids: 100,
        };
        let mut changes = Changes::default();
        changes.create(&record);
        for n in 1..=9 {
            changes.create(&cluster(n));
        }
        world.fold(changes);
        world
    }

    fn fold(&mut self, changes: Changes) {
        self.state.revision += 1;
        for (key, value) in changes.writes {
            let change = value.as_deref().map(|bytes| (bytes, self.state.revision));
            self.state.apply(&key, change).unwrap();
        }
    }

    /// Candidates by cluster number and the names of their objects.
    fn want(&mut self, apps: &[(u128, &[&str])]) {
        self.candidate.apps = apps
            .iter()
            .map(|(n, objects)| {
                let app = application(*n);
                let content = Ok(Arc::new(content(objects)));
                (app.name.clone(), CandidateApp { app, content })
            })
            .collect();
    }

    fn pass(&mut self) -> Publication {
        let state = self.state.clone();
        let view = View {
            state: &state,
            set: state.set("default", "web").unwrap(),
            candidate: &self.candidate,
            epoch: Epoch(1),
            now: Timestamp::from_second(1_000).unwrap(),
        };
        let mut next = self.ids;
        let publication = pass(&view, &mut || {
            next += 1;
            Uuid::from_u128(next)
        });
        self.ids = next;
        publication
    }

    /// Passes until nothing changes; says how many passes did.
    fn settle(&mut self) -> usize {
        for passes in 0..20 {
            let publication = self.pass();
            if publication.changes.is_empty() {
                return passes;
            }
            let operations = publication.changes.operations();
            assert!(
                operations < 99,
                "{operations} operations and the fence in one transaction"
            );
            self.fold(publication.changes);
        }
        panic!("the passes never come to rest");
    }

    fn inputs(&self) -> Inputs {
        Inputs::of(&self.state, self.state.set("default", "web").unwrap())
    }

    /// Passes to rest.
    fn rest(&mut self) -> Rest {
        self.settle();
        let quiet = self.pass().quiet;
        Rest::new(self.inputs(), quiet)
    }

    fn set(&self) -> SetRecord {
        SetRecord::clone(&self.state.set("default", "web").unwrap().record)
    }

    fn approve(&mut self, hold: &HoldRecord) {
        let row = self.state.holds.get(&hold.key()).unwrap().clone();
        let mut approved = hold.clone();
        approved.approved_by = Some("alice".to_owned());
        let mut changes = Changes::default();
        changes.update(&row, &approved);
        self.fold(changes);
    }

    fn holds(&self) -> Vec<HoldRecord> {
        self.state
            .holds
            .iter()
            .map(|hold| HoldRecord::clone(hold))
            .collect()
    }

    /// Every application runs what the candidate says now.
    fn run_all(&mut self) {
        self.run("");
    }

    /// Those whose name ends so do.
    fn run(&mut self, name: &str) {
        let set = self.set();
        let rows = self.state.apps_of(&set);
        let named = |row: &&Row<AppRecord>| row.record.app.name.ends_with(name);
        let rows: Vec<_> = rows.filter(named).cloned().collect();
        let mut changes = Changes::default();
        for row in rows {
            let bundle = content_of(&self.candidate, &row.record.app.name);
            let mut record = AppRecord::clone(&row.record);
            record.generation = Generation(1);
            record.assignment = Some(Assignment {
                cluster: record.app.cluster,
                app: record.uid,
                app_name: record.app.name.clone(),
                generation: Generation(1),
                epoch: Epoch(1),
                desired: Desired::Run {
                    bundle: bundle.digest(),
                    policy: Policy::default(),
                    namespace: String::new(),
                    run: RunId(Uuid::nil()),
                    prune_approved: false,
                },
            });
            self.candidate.running.insert(record.uid, bundle.into());
            changes.update(&row, &record);
        }
        self.fold(changes);
    }

    fn tombstones(&self) -> usize {
        self.state.apps.iter().filter(|app| app.vanished).count()
    }
}

fn cluster(n: u128) -> crate::records::ClusterRecord {
    crate::records::ClusterRecord {
        cluster: tidegate_model::cluster::Cluster {
            uid: ClusterUid(Uuid::from_u128(n)),
            name: format!("c{n}"),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            servers: Vec::new(),
        },
        kubernetes_uid: None,
        agent_version: String::new(),
        joined: true,
        created_at: Timestamp::UNIX_EPOCH,
        refused_before: None,
        renew_before: None,
    }
}

fn application(n: u128) -> Application {
    Application {
        project: "default".to_owned(),
        set: "web".to_owned(),
        name: format!("web-c{n}"),
        cluster: ClusterUid(Uuid::from_u128(n)),
        cluster_name: format!("c{n}"),
        namespace: String::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        source: Source {
            repo_url: "https://git".to_owned(),
            target_revision: "main".to_owned(),
            path: ".".to_owned(),
            directory: Directory::default(),
        },
        policy: Policy::default(),
        provenance: Provenance::default(),
    }
}

fn manifest(name: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": name}})
}

fn content(objects: &[&str]) -> Content {
    let manifests: Vec<_> = objects.iter().map(|name| manifest(name)).collect();
    let entries = manifests.iter().map(|manifest| BundleEntry {
        key: ObjectKey::of(manifest).unwrap(),
        digest: Digest::of(OBJECT_TAG, manifest),
    });
    let bundle = Bundle::new(entries.collect());
    Content {
        digest: bundle.digest(),
        bundle,
        denies: manifests.iter().filter_map(deny::deny_of).collect(),
        warnings: Vec::new(),
    }
}

fn content_of(candidate: &Candidate, name: &str) -> Bundle {
    candidate.apps[name].content.clone().unwrap().bundle.clone()
}

#[test]
fn new_content_becomes_one_release_and_then_nothing_more() {
    let mut world = World::new();
    world.want(&[(1, &["a"]), (2, &["a"])]);
    assert!(world.settle() > 0);
    assert_eq!(world.set().last_release, 1);
    assert_eq!(world.state.apps.len(), 2);
    assert_eq!(
        world.settle(),
        0,
        "the same candidate again changes nothing"
    );
    world.want(&[(1, &["a", "b"]), (2, &["a"])]);
    world.settle();
    assert_eq!(world.set().last_release, 2);
}

#[test]
fn an_empty_result_waits_for_an_approval_of_exactly_it() {
    let mut world = World::new();
    world.want(&[(1, &["a"]), (2, &["a"])]);
    world.settle();
    world.run_all();
    world.want(&[(1, &[]), (2, &["a", "b"])]);
    world.settle();
    assert_eq!(world.set().last_release, 1, "the whole set waits");
    let [hold] = &world.holds()[..] else {
        panic!("one hold: {:?}", world.holds())
    };
    assert_eq!((hold.kind, hold.approvable), (HoldKind::EmptyBundle, true));
    world.approve(hold);
    world.settle();
    assert_eq!(world.set().last_release, 2);
}

#[test]
fn a_run_asks_for_a_pass_only_where_the_brake_had_objected() {
    let mut world = World::new();
    world.want(&[(1, &["a"]), (2, &["a"])]);
    let first = world.rest();
    assert!(first.holds(&world.inputs()));
    world.run("c1");
    assert!(first.holds(&world.inputs()) && world.settle() == 0);
    world.run_all();
    assert!(first.holds(&world.inputs()) && world.settle() == 0);

    world.want(&[(1, &[]), (2, &["a", "b"])]);
    world.settle();
    assert!(!first.holds(&world.inputs()), "there is a hold");
    let hold = world.holds().remove(0);
    world.approve(&hold);
    let second = world.rest();
    assert_eq!(world.set().last_release, 2);
    world.run("c2");
    assert!(second.holds(&world.inputs()) && world.settle() == 0);
    world.run("c1");
    assert!(!second.holds(&world.inputs()), "the hold has had its day");
    assert!(world.settle() > 0 && world.holds().is_empty());
}

#[test]
fn a_row_that_vanished_gets_a_tombstone_and_all_of_them_wait() {
    let mut world = World::new();
    world.want(&[(1, &["a"]), (2, &["a"]), (3, &["a"])]);
    world.settle();
    world.run_all();
    world.want(&[]);
    world.settle();
    assert_eq!(world.tombstones(), 0);
    assert_eq!(world.holds()[0].kind, HoldKind::ApplicationsVanish);
    world.want(&[(1, &["a"]), (2, &["a"])]);
    world.settle();
    assert_eq!((world.tombstones(), world.holds().len()), (1, 0));
}

#[test]
fn what_failed_or_may_be_missing_is_never_taken_for_vanished() {
    for failed in [true, false] {
        let mut world = World::new();
        world.want(&[(1, &["a"]), (2, &["a"])]);
        world.settle();
        world.run_all();
        world.want(&[(1, &["a"])]);
        if failed {
            world.candidate.failed.insert("web-c2".to_owned());
        } else {
            world.candidate.incomplete = true;
        }
        world.settle();
        assert_eq!(world.tombstones(), 0, "failed: {failed}");
    }
}

#[test]
fn an_application_that_never_ran_goes_without_a_tombstone() {
    let mut world = World::new();
    world.want(&[(1, &["a"]), (2, &["a"])]);
    world.settle();
    world.want(&[(1, &["a"])]);
    world.settle();
    assert_eq!((world.tombstones(), world.state.apps.len()), (0, 1));
}

#[test]
fn denied_content_holds_the_set_and_changed_content_opens_its_pin() {
    let mut world = World::new();
    world.want(&[(1, &["good"]), (2, &["good"])]);
    world.settle();
    world.run_all();
    let set = world.set();
    let app = world
        .state
        .apps
        .iter()
        .find(|app| app.app.name == "web-c1")
        .unwrap()
        .uid;
    let (bad, good) = (content(&["bad"]), content(&["good"]));
    let mut changes = Changes::default();
    let (project, uid) = (set.project.clone(), set.uid);
    changes.create(&DenyRecord {
        project: project.clone(),
        set: uid,
        deny: bad.denies[0].clone(),
    });
    let pin = tidegate_model::deny::Pin {
        app,
        bundle: good.bundle.digest(),
        bad: bad.bundle.digest(),
        release: PinRelease::Changed,
        reason: String::new(),
        actor: "system".to_owned(),
        run: RunId(Uuid::nil()),
        created_at: Timestamp::UNIX_EPOCH,
    };
    changes.create(&PinRecord {
        project,
        set: uid,
        pin,
    });
    world.fold(changes);
    // Another object changes with it: the bad one stays away.
    world.want(&[(1, &["bad", "other"]), (2, &["bad", "other"])]);
    world.settle();
    assert_eq!(world.set().last_release, 1);
    assert!(
        world.holds().iter().all(|hold| !hold.approvable),
        "{:?}",
        world.holds()
    );
    assert_eq!(world.state.pins.len(), 1);
    world.want(&[(1, &["mended"]), (2, &["mended"])]);
    world.settle();
    assert_eq!((world.set().last_release, world.state.pins.len()), (2, 0));
}

#[test]
fn many_applications_come_in_transactions_of_bounded_size() {
    let mut world = World::new();
    let names: Vec<Vec<&str>> = (0..9).map(|_| vec!["a"]).collect();
    let mut apps = BTreeMap::new();
    for n in 1..=200_u128 {
        let mut app = application(n % 9 + 1);
        app.name = format!("web-{n}");
        let content = Ok(Arc::new(content(&names[0])));
        apps.insert(app.name.clone(), CandidateApp { app, content });
    }
    world.candidate.apps = apps;
    assert!(world.settle() >= 4);
    assert_eq!((world.state.apps.len(), world.set().last_release), (200, 1));
    // A change of all of them, and of one to nothing.
    world.run_all();
    for candidate in world.candidate.apps.values_mut() {
        candidate
            .app
            .labels
            .insert("team".to_owned(), "a".to_owned());
        candidate.content = Ok(Arc::new(content(&[])));
    }
    world.settle();
    assert_eq!((world.holds().len(), world.set().last_release), (200, 1));
}

/// Gives the application of cluster `n` these warnings.
fn warn(world: &mut World, n: u128, warnings: &[String]) {
    let app = world.candidate.apps.get_mut(&format!("web-c{n}")).unwrap();
    Arc::make_mut(app.content.as_mut().unwrap()).warnings = warnings.into();
}

#[test]
fn warnings_are_told_once_and_hold_nothing_back() {
    let mut world = World::new();
    world.want(&[(1, &["a"]), (2, &["a"])]);
    let (secret, link) = ("a Secret".to_owned(), "a link".to_owned());
    warn(&mut world, 1, std::slice::from_ref(&secret));
    warn(&mut world, 2, &[secret.clone(), link.clone()]);
    world.settle();
    let shown = crate::api::convert::set(&world.state, &world.set());
    assert_eq!(shown.warnings, [secret, link]);
    assert_eq!(shown.problems, Vec::<String>::new());
    assert_eq!(world.set().last_release, 1, "a warning holds nothing back");

    warn(&mut world, 1, &[]);
    warn(&mut world, 2, &[]);
    assert!(world.settle() > 0);
    assert_eq!(world.set().warnings, Vec::<String>::new(), "it was mended");
}

#[test]
fn a_set_tells_twenty_warnings_and_how_many_more_there_are() {
    let mut world = World::new();
    world.want(&[(1, &["a"]), (2, &["a"])]);
    let lines = |range: std::ops::Range<usize>| -> Vec<String> {
        range.map(|n| format!("warning {n:02}")).collect()
    };
    warn(&mut world, 1, &lines(0..20));
    world.settle();
    assert_eq!(world.set().warnings, lines(0..20));

    warn(&mut world, 2, &lines(15..27));
    world.settle();
    let mut expected = lines(0..20);
    expected.push("and 7 more".to_owned());
    assert_eq!(world.set().warnings, expected);
}
