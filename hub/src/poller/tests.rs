//! Sources followed over real repositories on this machine.

use tidegate_model::ids::SetUid;
use uuid::Uuid;

use super::*;
use crate::testing::{Hub, repository::Repository, soon};

const SET: SetUid = SetUid(Uuid::from_u128(1));

fn poller(hub: &Hub, interval: Duration) -> (Poller, PollerHandle) {
    Poller::new(hub.db.clone(), hub.git(), interval)
}

fn recorded(hub: &Hub, source: &RepoRevision) -> Option<SourceRecord> {
    let state = hub.db.read();
    let row = state.sources.find(|record| record.source == *source);
    row.map(|row| SourceRecord::clone(&row.record))
}

async fn refresh(handle: &PollerHandle, source: &RepoRevision) -> SourceRecord {
    handle
        .refresh(vec![source.clone()])
        .await
        .unwrap()
        .remove(0)
}

#[tokio::test]
async fn a_commit_is_recorded_when_it_moves_and_not_before() {
    let hub = Hub::new().await;
    let (_, handle) = poller(&hub, Duration::from_secs(60));
    let repository = Repository::new(&[("a.yaml", "one")]);
    let source = repository.source();
    let first = refresh(&handle, &source).await;
    assert_eq!(recorded(&hub, &source), Some(first.clone()));
    let told = hub.audit(FLEET).await.pop().unwrap();
    let commit = first.commit.unwrap();
    assert_eq!(
        (told.action.as_str(), told.before.as_str()),
        ("source.commit", "")
    );
    assert_eq!(told.after, commit);

    let revision = hub.revision().await;
    hub.clock.wind(jiff::SignedDuration::from_secs(60));
    refresh(&handle, &source).await;
    assert_eq!(
        hub.revision().await,
        revision,
        "a quiet source costs no write"
    );

    let next = repository.commit(&[("a.yaml", "two")]);
    assert_eq!(
        refresh(&handle, &source).await.commit.as_deref(),
        Some(next.as_str())
    );
    let told = hub.audit(FLEET).await.pop().unwrap();
    assert_eq!((told.before, told.after), (commit, next));
}

#[tokio::test]
async fn a_failed_fetch_keeps_the_last_commit_and_says_why() {
    let hub = Hub::new().await;
    let (_, handle) = poller(&hub, Duration::from_secs(60));
    let repository = Repository::new(&[("a.yaml", "one")]);
    let source = repository.source();
    let commit = refresh(&handle, &source).await.commit;
    repository.hide(true);
    let failed = refresh(&handle, &source).await;
    assert_eq!(failed.commit, commit);
    assert!(failed.error.is_some());
    assert_eq!(recorded(&hub, &source), Some(failed));
    let records = hub.audit(FLEET).await.len();
    let revision = hub.revision().await;
    refresh(&handle, &source).await;
    assert_eq!(
        hub.revision().await,
        revision,
        "the same failure is told once"
    );
    repository.hide(false);
    let mended = refresh(&handle, &source).await;
    assert_eq!((mended.commit, mended.error), (commit, None));
    assert!(hub.audit(FLEET).await.len() >= records);
}

#[tokio::test]
async fn a_wanted_source_is_fetched_at_once_and_again_each_period() {
    let hub = Hub::new().await;
    let (poller, handle) = poller(&hub, Duration::from_millis(20));
    let repository = Repository::new(&[("a.yaml", "one")]);
    let source = repository.source();
    let cancel = CancellationToken::new();
    let running = tokio::spawn(poller.run(cancel.clone()));
    let mut changes = hub.db.changes();
    handle.want(SET, [source.clone()].into());
    soon(changes.wait_for(|_| recorded(&hub, &source).is_some()))
        .await
        .unwrap();
    let next = repository.commit(&[("a.yaml", "two")]);
    let moved = || recorded(&hub, &source).and_then(|record| record.commit) == Some(next.clone());
    soon(changes.wait_for(|_| moved())).await.unwrap();
    cancel.cancel();
    soon(running).await.unwrap();
}

#[tokio::test]
async fn what_nobody_wants_is_not_due() {
    let hub = Hub::new().await;
    let (mut poller, handle) = poller(&hub, Duration::from_secs(60));
    let [one, two] = ["a", "b"].map(|name| RepoRevision {
        repo_url: format!("https://git.example.org/{name}"),
        revision: "main".to_owned(),
    });
    let other = SetUid(Uuid::from_u128(2));
    let mut due = BTreeMap::new();
    handle.want(SET, [one.clone(), two.clone()].into());
    handle.want(other, [two.clone()].into());
    poller.schedule(&mut due);
    assert!(
        due.values().all(|at| *at <= now()),
        "new ones are due at once"
    );
    let later = now() + Duration::from_secs(60);
    due.insert(two.clone(), later);
    handle.forget(SET);
    poller.schedule(&mut due);
    assert_eq!(
        due,
        [(two.clone(), later)].into(),
        "the other set still wants it, no sooner"
    );
    handle.want(other, BTreeSet::new());
    poller.schedule(&mut due);
    assert_eq!(due, BTreeMap::new());
}

#[test]
fn few_are_fetched_at_once_and_none_twice() {
    let source = |n: u32| RepoRevision {
        repo_url: format!("r{n:02}"),
        revision: "main".to_owned(),
    };
    let at = now();
    let due: BTreeMap<_, _> = (0..20).map(|n| (source(n), at)).collect();
    assert_eq!(ready(&due, &BTreeSet::new(), at).len(), CONCURRENCY);
    let busy: BTreeSet<_> = (0..3).map(source).collect();
    let next = ready(&due, &busy, at);
    assert_eq!(next.len(), CONCURRENCY - 3);
    assert!(next.iter().all(|source| !busy.contains(source)));
    let later: BTreeMap<_, _> = [(source(1), at + Duration::from_secs(1))].into();
    assert_eq!(ready(&later, &BTreeSet::new(), at), []);
}
