//! What the link is for: the last word of the hub arrives, reports come back, whatever breaks.

use tidegate_hub::link::{CommandError, message::Command, port::AckOutcome};
use tidegate_model::{health::Health, report::Phase};

use super::{
    agent::{self, FakeCluster},
    hub::FakeHub,
    model::{FIRST, app, row, run, tombstone, until},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assignment_is_fetched_accepted_reported_and_confirmed() {
    let hub = FakeHub::new();
    hub.store("one");
    hub.assign(run(FIRST, 1, 1, "one"));
    let serving = hub.serve(5).await;
    let cluster = FakeCluster::new("k1");
    let agent = agent::start(&serving.url(), hub.identity(FIRST), &cluster);

    until("the assignment to be held", || {
        cluster.generation(app(1)) == Some(1)
    })
    .await;
    let assignment = run(FIRST, 1, 1, "one");
    until("the report to be stored", || {
        let records = hub.records();
        records
            .reports
            .get(&app(1))
            .is_some_and(|report| report.digest == assignment.digest())
    })
    .await;
    until("the reports to be confirmed", || {
        serving.sessions.live(FIRST).confirmed.is_some()
    })
    .await;
    assert!(agent.link.status().connected && serving.sessions.live(FIRST).connected);
    {
        let records = hub.records();
        assert!(
            records
                .acks
                .iter()
                .all(|ack| ack.outcome == AckOutcome::Accepted)
        );
        let (_, facts) = &records.hellos[0];
        assert_eq!(
            facts.labels.keys().collect::<Vec<_>>(),
            ["fact.tidegate.dev/version"]
        );
    }
    assert_eq!(cluster.state().epoch.0, 5, "the hub's term is durable");

    // A change of health comes at once, and confirmation goes on.
    let before = serving.sessions.live(FIRST).confirmed;
    cluster.see(&assignment, Health::Degraded);
    until("the news", || {
        hub.records().reports[&app(1)].health == Health::Degraded
    })
    .await;
    until("a later confirmation", || {
        serving.sessions.live(FIRST).confirmed > before
    })
    .await;

    // A newer word, and the content of both versions was fetched once.
    hub.store("two");
    hub.assign(run(FIRST, 1, 2, "two"));
    until("the newer word", || cluster.generation(app(1)) == Some(2)).await;
    assert_eq!(cluster.state().objects.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tombstone_is_carried_out_once_and_forgotten_when_the_hub_knows() {
    let hub = FakeHub::new();
    let serving = hub.serve(5).await;
    let cluster = FakeCluster::new("k1");
    cluster.hold(&run(FIRST, 1, 1, "one"));
    hub.assign(tombstone(FIRST, 1, 2));
    let agent = agent::start(&serving.url(), hub.identity(FIRST), &cluster);
    until("the removal to be stored", || {
        hub.records()
            .reports
            .get(&app(1))
            .is_some_and(|report| report.phase == Phase::Removed)
    })
    .await;
    assert_eq!(
        cluster.generation(app(1)),
        Some(2),
        "not before the hub is known to know"
    );
    // The next session finds equal roots.
    drop(agent);
    let _agent = agent::start(&serving.url(), hub.identity(FIRST), &cluster);
    until("it to be forgotten", || {
        cluster.state().forgotten == [app(1)]
    })
    .await;
    assert_eq!(cluster.state().accepted.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_was_killed_is_found_again_and_nothing_is_lost() {
    let hub = FakeHub::new();
    hub.store("one");
    hub.store("two");
    hub.assign(run(FIRST, 1, 1, "one"));
    let serving = hub.serve(5).await;
    let address = serving.address;
    let cluster = FakeCluster::new("k1");
    let agent = agent::start(&serving.url(), hub.identity(FIRST), &cluster);
    until("the first", || cluster.generation(app(1)) == Some(1)).await;
    serving.kill().await;
    until("the agent to notice", || !agent.link.status().connected).await;

    // Both sides go on alone.
    hub.assign(run(FIRST, 1, 2, "two"));
    cluster.see(&run(FIRST, 1, 1, "one"), Health::Degraded);
    let serving = hub.serve_again(address, 6).await;
    until("the second", || cluster.generation(app(1)) == Some(2)).await;
    until("evidence", || {
        serving.sessions.live(FIRST).confirmed.is_some()
    })
    .await;
    assert_eq!(cluster.state().epoch.0, 6);
    let accepted: Vec<_> = cluster
        .state()
        .accepted
        .iter()
        .map(|(epoch, _, g)| (epoch.0, g.0))
        .collect();
    assert_eq!(accepted, [(5, 1), (6, 2)], "nothing twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_with_an_empty_store_deletes_nothing_and_confirms_what_it_knows() {
    let hub = FakeHub::new();
    let serving = hub.serve(5).await;
    let cluster = FakeCluster::new("k1");
    cluster.hold(&run(FIRST, 1, 3, "one"));
    let _agent = agent::start(&serving.url(), hub.identity(FIRST), &cluster);
    until("evidence", || {
        serving.sessions.live(FIRST).confirmed.is_some()
    })
    .await;
    assert_eq!(
        cluster.state().held.values().copied().collect::<Vec<_>>(),
        [row(&run(FIRST, 1, 3, "one"))]
    );
    assert!(hub.records().reports.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_reach_the_agent_and_its_answer_comes_back() {
    let hub = FakeHub::new();
    let serving = hub.serve(5).await;
    let cluster = FakeCluster::new("k1");
    cluster.hold(&run(FIRST, 1, 3, "one"));
    let sync = |n| {
        serving
            .sessions
            .send_command(FIRST, Command::SyncNow(app(n)))
    };
    assert_eq!(sync(1).await, Err(CommandError::NotConnected(FIRST)));
    let agent = agent::start(&serving.url(), hub.identity(FIRST), &cluster);
    until("a session", || agent.link.status().connected).await;
    assert_eq!(sync(1).await, Ok("reconciling".to_owned()));
    let refused = sync(2).await.unwrap_err();
    assert!(
        matches!(&refused, CommandError::Refused(why) if why.contains("no such")),
        "{refused}"
    );
}
