//! Joining and renewing: who gets a certificate, and what the others are told.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use tempfile::TempDir;
use tidegate_agent::identity::{
    DiskStore, Identity, IdentityStore, Keeper, KeeperHandle, Options, StoreError, TokenSource,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    agent::{self, BACKOFF, FakeCluster},
    hub::{FakeHub, Serving},
    model::{FIRST, eventually, until},
};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A keeper of an agent; it ends when it is dropped.
struct Kept {
    handle: KeeperHandle,
    _cancel: DropGuard,
}

fn keep(serving: &Serving, token: Option<&str>, folder: &TempDir) -> Kept {
    let token = token.map_or(TokenSource::None, |text| {
        TokenSource::Text(text.parse().unwrap())
    });
    keep_with(serving, token, folder)
}

fn keep_with(serving: &Serving, token: TokenSource, folder: &TempDir) -> Kept {
    let mut options = Options::new(serving.url().parse().unwrap(), token, "k1".to_owned());
    options.backoff = BACKOFF;
    options.period = Duration::from_millis(50);
    let keeper = Keeper::new(options, DiskStore::open(folder.path()).unwrap());
    let cancel = CancellationToken::new();
    let kept = Kept {
        handle: keeper.handle(),
        _cancel: cancel.clone().drop_guard(),
    };
    tokio::spawn(keeper.run(cancel));
    kept
}

async fn identity_of(kept: &Kept) -> Arc<Identity> {
    let mut identity = kept.handle.identity();
    let got = tokio::time::timeout(Duration::from_secs(20), identity.wait_for(Option::is_some));
    let Ok(identity) = got.await else {
        panic!("no identity: {:?}", kept.handle.problem());
    };
    identity.unwrap().clone().unwrap()
}

/// What an agent with this token is told.
async fn told(serving: &Serving, token: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let kept = keep(serving, Some(token), &folder);
    let problem = eventually("a problem", || kept.handle.problem()).await;
    assert!(
        kept.handle.identity().borrow().is_none(),
        "it got an identity"
    );
    problem
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_makes_an_identity_that_outlives_the_process() {
    let hub = FakeHub::new();
    let serving = hub.serve(5).await;
    let folder = tempfile::tempdir().unwrap();
    let kept = keep(&serving, Some(&hub.token(HOUR)), &folder);
    let first = identity_of(&kept).await;
    assert_eq!(
        (first.cluster, first.cluster_name.as_str()),
        (FIRST, "prod-1")
    );
    assert_eq!(kept.handle.problem(), None);
    assert_eq!(
        hub.records().bound[&FIRST],
        "k1",
        "the identity is bound to its cluster"
    );
    drop(kept);

    // A new process needs no token, and the identity opens a session.
    until("the identity to be on disk", || {
        folder.path().join("identity.json").exists()
    })
    .await;
    let kept = keep(&serving, None, &folder);
    let identity = kept.handle.identity();
    let second = identity_of(&kept).await;
    assert_eq!(first, second);
    let agent = agent::start_with(&serving.url(), identity, &FakeCluster::new("k1"));
    until("a session", || agent.link.status().connected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_a_replayed_and_an_expired_token_are_refused_and_the_agent_says_why() {
    let hub = FakeHub::new();
    let serving = hub.serve(5).await;

    // Another secret under a known id.
    let good = hub.token(HOUR);
    let mut parts: Vec<_> = good.split('.').map(str::to_owned).collect();
    parts[2] = "00".repeat(32);
    let wrong = told(&serving, &parts.join(".")).await;
    assert!(
        wrong.contains("the hub refused") && wrong.contains("not known"),
        "{wrong}"
    );

    let expired = told(&serving, &hub.token(-HOUR)).await;
    assert!(expired.contains("expired at"), "{expired}");

    let folder = tempfile::tempdir().unwrap();
    let kept = keep(&serving, Some(&good), &folder);
    identity_of(&kept).await;
    let replayed = told(&serving, &good).await;
    assert!(replayed.contains("good once"), "{replayed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_did_not_make_the_token_never_sees_its_secret() {
    let (hub, impostor) = (FakeHub::new(), FakeHub::new());
    let serving = impostor.serve(5).await;
    let token = hub.token(HOUR);
    // Even an impostor that knows the record of the token.
    let records = hub.records().tokens.clone();
    impostor.records().tokens.extend(records);
    let problem = told(&serving, &token).await;
    assert!(
        problem.contains("failed to connect") && problem.contains("make a token at this hub"),
        "{problem}"
    );
    assert!(
        impostor
            .records()
            .tokens
            .values()
            .all(|record| record.used_at.is_none())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_in_time_and_the_session_goes_on_with_the_new_one() {
    let hub = FakeHub::new();
    // Certificates live for a day: two thirds of it are over.
    hub.records().age = SignedDuration::from_hours(20);
    let serving = hub.serve(5).await;
    let folder = tempfile::tempdir().unwrap();
    let kept = keep(&serving, Some(&hub.token(HOUR)), &folder);
    let agent = agent::start_with(
        &serving.url(),
        kept.handle.identity(),
        &FakeCluster::new("k1"),
    );
    until("the renewal", || hub.records().renewals == 1).await;
    until("a session", || agent.link.status().connected).await;
    let tomorrow = tidegate_hub::clock::Clock::default().now() + SignedDuration::from_hours(23);
    until("the new certificate", || {
        kept.handle.not_after() > Some(tomorrow)
    })
    .await;
    until("a session with it", || agent.link.status().connected).await;
    assert_eq!(hub.records().renewals, 1, "once is enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_token_in_the_file_makes_a_running_agent_join_anew() {
    let (first, second) = (FakeHub::new(), FakeHub::new());
    let serving = first.serve(5).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, first.token(HOUR)).unwrap();
    let kept = keep_with(&serving, TokenSource::File(file.clone()), &folder);
    let identity = identity_of(&kept).await;
    let again = anew(&kept, &file, first.token(HOUR)).await;
    assert_ne!(again.key_pem, identity.key_pem);
    assert_eq!(again.agent_uid, identity.agent_uid);

    // Another hub takes the place of the first, with an authority of its own.
    let address = serving.address;
    serving.kill().await;
    let _serving = second.serve_again(address, 6).await;
    let other = anew(&kept, &file, second.token(HOUR)).await;
    assert_ne!(other.ca_pem, identity.ca_pem);
    assert_eq!(other.agent_uid, identity.agent_uid);
}

/// The identity that the agent gets with this token.
async fn anew(kept: &Kept, file: &std::path::Path, token: String) -> Arc<Identity> {
    std::fs::write(file, &token).unwrap();
    let mut current = kept.handle.identity();
    let got = current.wait_for(|now| {
        now.as_ref()
            .is_some_and(|now| token.contains(&now.token_id))
    });
    let got = tokio::time::timeout(Duration::from_secs(20), got).await;
    got.unwrap().unwrap().clone().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_whose_certificate_is_to_be_replaced_makes_a_new_key_and_comes_back_with_it() {
    let hub = FakeHub::new();
    let serving = hub.serve(5).await;
    let folder = tempfile::tempdir().unwrap();
    // A minute old, so that a certificate that is made now is a later one.
    hub.records().age = SignedDuration::from_mins(1);
    let kept = keep(&serving, Some(&hub.token(HOUR)), &folder);
    let former = identity_of(&kept).await;
    hub.records().age = SignedDuration::ZERO;
    let agent = agent::start_kept(&serving.url(), &kept.handle, &FakeCluster::new("k1"));
    until("a session", || agent.link.status().connected).await;
    let begins = former.validity().unwrap().not_before;
    assert_eq!(hub.records().certificates, [begins]);

    let least = begins + SignedDuration::from_secs(1);
    hub.records().renew_before = Some(least);
    hub.nudge.send_modify(|nudge| *nudge += 1);
    until("a session with the new certificate", || {
        hub.records().certificates.last() >= Some(&least)
    })
    .await;
    let renewed = identity_of(&kept).await;
    assert_ne!(renewed.key_pem, former.key_pem, "the key is the former");
    assert_eq!(renewed.cluster, former.cluster);
    assert_eq!(hub.records().renewals, 1, "once is enough");
}

/// A disk that is full until somebody makes room.
struct Full {
    disk: DiskStore,
    full: Arc<std::sync::atomic::AtomicBool>,
}

impl IdentityStore for Full {
    async fn load(&self) -> Result<Option<Identity>, StoreError> {
        self.disk.load().await
    }

    async fn save(&self, identity: &Identity) -> Result<(), StoreError> {
        if self.full.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(StoreError::Timeout {
                action: "write",
                namespace: "full".to_owned(),
            });
        }
        self.disk.save(identity).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_is_not_used_before_it_is_kept() {
    let hub = FakeHub::new();
    let serving = hub.serve(5).await;
    let folder = tempfile::tempdir().unwrap();
    hub.records().age = SignedDuration::from_mins(1);
    let first = keep(&serving, Some(&hub.token(HOUR)), &folder);
    let former = identity_of(&first).await;
    until("the identity to be on disk", || {
        folder.path().join("identity.json").exists()
    })
    .await;
    drop(first);
    hub.records().age = SignedDuration::ZERO;

    let full = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let store = Full {
        disk: DiskStore::open(folder.path()).unwrap(),
        full: Arc::clone(&full),
    };
    let mut options = Options::new(
        serving.url().parse().unwrap(),
        TokenSource::None,
        "k1".to_owned(),
    );
    options.backoff = BACKOFF;
    options.period = Duration::from_millis(50);
    let keeper = Keeper::new(options, store);
    let cancel = CancellationToken::new();
    let kept = Kept {
        handle: keeper.handle(),
        _cancel: cancel.clone().drop_guard(),
    };
    tokio::spawn(keeper.run(cancel));
    identity_of(&kept).await;
    let least = former.validity().unwrap().not_before + SignedDuration::from_secs(1);
    kept.handle.renewals().send_replace(Some(least));
    let problem = eventually("a problem", || kept.handle.problem()).await;
    assert!(problem.contains("not used until it is kept"), "{problem}");
    assert_eq!(hub.records().renewals, 1);
    assert_eq!(
        identity_of(&kept).await,
        former,
        "a restart now would lose it"
    );
    full.store(false, std::sync::atomic::Ordering::SeqCst);
    until("the new certificate", || {
        let current = kept.handle.identity().borrow().clone();
        current.is_some_and(|current| current.key_pem != former.key_pem)
    })
    .await;
    assert_eq!(
        hub.records().renewals,
        1,
        "what was made is kept, not made again"
    );
    let stored = DiskStore::open(folder.path())
        .unwrap()
        .load()
        .await
        .unwrap();
    assert_eq!(stored, Some(identity_of(&kept).await.as_ref().clone()));
}
