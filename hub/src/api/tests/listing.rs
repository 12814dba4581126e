//! Lists: filtered by name, and read page by page without a gap or a repetition.

use super::*;
use crate::records::AuditRecord;
use crate::records::{ReleaseRecord, SourceRecord};

/// Two sets whose names and uids sort in opposite order, with a few of everything.
async fn hub() -> Hub {
    let hub = Hub::new().await;
    let sets = [set(9, "api", &json!({})), set(3, "web", &json!({}))];
    hub.create((1..=7).map(cluster)).await;
    hub.create(sets.clone()).await;
    for set in &sets {
        hub.create((1..=7).map(|n| app(set, n, n))).await;
        hub.create((1..=7).map(|n| pinned(&hub, set, n))).await;
        hub.create((1..=3).map(|n| held(&hub, set, &format!("{}-h{n}", set.name), true)))
            .await;
        hub.create((1..=5).map(|number| ReleaseRecord {
            project: set.project.clone(),
            id: tidegate_model::ids::ReleaseId(hub.clock.id()),
            set: set.uid,
            number,
            content: bundle("c"),
            entries: bundle("e"),
            sources: Vec::new(),
            set_version: 1,
            cause: "git".to_owned(),
            authors: Vec::new(),
            created_at: hub.clock.now(),
        }))
        .await;
    }
    hub.create((1..=5).map(|n| SourceRecord {
        source: tidegate_model::source::RepoRevision {
            repo_url: format!("https://git.example.org/{n}"),
            revision: "main".to_owned(),
        },
        commit: None,
        checked_at: hub.clock.now(),
        error: None,
    }))
    .await;
    hub
}

/// Every item of a list, by name, read two at a time.
macro_rules! visit {
    ($api:expr, $call:ident, $item:ident => $name:expr) => {{
        let (mut names, mut token) = (Vec::<String>::new(), String::new());
        loop {
            let request = wire::ListRequest {
                limit: 2,
                page_token: token,
                ..Default::default()
            };
            let page = $api.$call(ada(request)).await.unwrap().into_inner();
            assert!(page.items.len() <= 2 && names.len() < 100);
            names.extend(page.items.iter().map(|$item| $name));
            token = page.next_page_token;
            if token.is_empty() {
                break names;
            }
        }
    }};
}

/// The same names, each once.
fn once(mut names: Vec<String>, count: usize) {
    assert_eq!(names.len(), count, "{names:?}");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "some came twice");
}

#[tokio::test]
async fn pages_visit_everything_once() {
    let hub = hub().await;
    let api = hub.api();
    once(
        visit!(api, list_application_sets, item => item.name.clone()),
        2,
    );
    once(
        visit!(api, list_applications, item => item.name.clone()),
        14,
    );
    once(visit!(api, list_clusters, item => item.name.clone()), 7);
    once(
        visit!(api, list_releases, item => format!("{} {}", item.set, item.number)),
        10,
    );
    once(visit!(api, list_holds, item => item.id.clone()), 6);
    once(visit!(api, list_pins, item => item.app.clone()), 14);
    once(visit!(api, list_sources, item => item.repo_url.clone()), 5);
}

#[tokio::test]
async fn runs_and_releases_come_newest_first() {
    let mut world = World::new(&json!({}), 1, 1).await;
    for content in ["a", "b", "c"] {
        world.roll_out(content).await;
    }
    let api = world.hub.api();
    let runs = visit!(api, list_runs, item => item.release.to_string());
    assert_eq!(runs, ["3", "2", "1"]);
    assert_eq!(
        visit!(api, list_releases, item => item.number.to_string()),
        runs
    );
}

fn filter(set: &str, name: &str, cluster: &str) -> Request<wire::ListRequest> {
    let (set, name, cluster) = (set.to_owned(), name.to_owned(), cluster.to_owned());
    ada(wire::ListRequest {
        set,
        name,
        cluster,
        ..Default::default()
    })
}

#[tokio::test]
async fn filters_pick_by_set_name_and_cluster() {
    let hub = hub().await;
    let api = hub.api();
    let apps = |request| async {
        api.list_applications(request)
            .await
            .unwrap()
            .into_inner()
            .items
    };
    assert_eq!(apps(filter("web", "", "")).await.len(), 7);
    assert_eq!(apps(filter("", "", "c3")).await.len(), 2);
    let one = apps(filter("", "web-3", "")).await;
    assert_eq!(
        (one.len(), one[0].name.as_str(), one[0].cluster.as_str()),
        (1, "web-3", "c3")
    );
    assert_eq!(apps(filter("web", "api-1", "")).await, []);
    let project = wire::ListRequest {
        project: "other".to_owned(),
        ..Default::default()
    };
    assert_eq!(apps(ada(project)).await, []);
}

#[tokio::test]
async fn filters_are_the_same_for_every_list() {
    let hub = hub().await;
    let api = hub.api();
    let clusters = api
        .list_clusters(filter("", "c2", ""))
        .await
        .unwrap()
        .into_inner()
        .items;
    assert_eq!(
        clusters.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
        ["c2"]
    );
    let sets = api
        .list_application_sets(filter("", "web", ""))
        .await
        .unwrap()
        .into_inner()
        .items;
    assert_eq!((sets.len(), sets[0].applications, sets[0].holds), (1, 7, 3));
    let holds = api
        .list_holds(filter("web", "", ""))
        .await
        .unwrap()
        .into_inner()
        .items;
    assert!(
        holds.len() == 3 && holds.iter().all(|hold| hold.set == "web"),
        "{holds:?}"
    );
    let pins = api
        .list_pins(filter("web", "web-2", ""))
        .await
        .unwrap()
        .into_inner()
        .items;
    assert_eq!(
        (pins.len(), pins[0].app.as_str(), pins[0].cluster.as_str()),
        (1, "web-2", "c2")
    );
}

#[tokio::test]
async fn a_release_that_is_asked_for_by_number_tells_what_it_holds() {
    let hub = hub().await;
    let api = hub.api();
    let request = wire::ListRequest {
        name: "2".to_owned(),
        set: "web".to_owned(),
        ..Default::default()
    };
    // Its entries are lost: an error, and no empty release.
    refused(
        api.list_releases(ada(request)).await,
        Code::DataLoss,
        &["failed to read a release"],
    );
}

#[tokio::test]
async fn the_audit_log_is_read_in_order_and_in_parts() {
    let hub = Hub::new().await;
    for n in 0..5 {
        hub.write(|changes| {
            let subject = format!("x/{n}");
            changes.decide(crate::changes::Decision::by(
                "bob",
                "default",
                "test",
                subject,
                String::new(),
            ));
        })
        .await;
    }
    let read = |after, limit| {
        let request = wire::ListAuditRequest {
            project: String::new(),
            after,
            limit,
        };
        let api = hub.api();
        async move {
            api.list_audit(ada(request))
                .await
                .unwrap()
                .into_inner()
                .items
        }
    };
    let sequence =
        |items: &[wire::AuditRecord]| items.iter().map(|item| item.sequence).collect::<Vec<_>>();
    assert_eq!(sequence(&read(0, 0).await), [1, 2, 3, 4, 5]);
    assert_eq!(sequence(&read(2, 2).await), [3, 4]);
    let last = read(4, 0).await.remove(0);
    assert_eq!((last.actor.as_str(), last.subject.as_str()), ("bob", "x/4"));
    assert_eq!(last.previous, read(3, 1).await[0].hash);
    // What is told is enough to compute the chain anew, as `tidegate audit verify` does.
    let mut end = crate::audit::genesis("default");
    for told in read(0, 0).await {
        assert_eq!(told.invoker, "Person");
        let record = AuditRecord {
            project: "default".to_owned(),
            sequence: told.sequence,
            context: tidegate_model::audit::Context::by(&told.actor),
            at: jiff::Timestamp::from_millisecond(told.at_ms).unwrap(),
            actor: told.actor,
            action: told.action,
            subject: told.subject,
            reason: told.reason,
            before: told.before,
            after: told.after,
            hash: told.hash.parse().unwrap(),
            previous: told.previous.parse().unwrap(),
        };
        end = tidegate_model::audit::follow(&end, &record).unwrap();
    }
    assert_eq!(end.hash.to_string(), last.hash);
}

#[tokio::test]
async fn health_in_a_list_is_what_the_evidence_says() {
    use crate::{
        backend::Backend,
        link::{port::LinkBackend as _, testing::Agent},
        testing::report,
    };
    use tidegate_model::health::Health;
    let mut world = World::new(&json!({}), 1, 1).await;
    world.roll_out("a").await;
    let api = world.hub.api();
    let read = || async {
        let request = || ada(wire::ListRequest::default());
        let app = api
            .list_applications(request())
            .await
            .unwrap()
            .into_inner()
            .items
            .remove(0);
        let cluster = api
            .list_clusters(request())
            .await
            .unwrap()
            .into_inner()
            .items
            .remove(0);
        (
            app.health(),
            app.synced,
            cluster.health(),
            cluster.connected,
        )
    };
    assert_eq!(
        read().await,
        (wire::Health::Healthy, true, wire::Health::Healthy, true)
    );
    let backend = Backend::new(world.hub.db.clone());
    backend
        .report(cluster_uid(1), report(&world.apps()[0], Health::Degraded))
        .await
        .unwrap();
    world.agents.iter_mut().for_each(Agent::confirm);
    assert_eq!(
        read().await,
        (wire::Health::Degraded, true, wire::Health::Degraded, true)
    );
    world.agents.clear();
    assert_eq!(
        read().await,
        (wire::Health::Unknown, true, wire::Health::Unknown, false)
    );
}
