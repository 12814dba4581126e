//! Everything that can happen between two steps.

use crate::{step::unjudged, walk};
use proptest::{
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
};
use tidegate_model::{
    deny::PinRelease,
    health::Health,
    run::{GatePosition, MemberState, Only, RequestVerb, Verdict, WayBack},
};

use super::{admitting, clearing, setup::Setup};
use crate::tests::{
    agent::Kind,
    fixture::bundle,
    world::{Doorman, Meter, World},
};

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// The hub makes one step.
    Step,
    /// The hub makes one step and dies before it is stored.
    Crash,
    /// The hub makes as many steps as go into one transaction.
    Walk,
    /// Agents work, reports and heartbeats arrive, time passes, the hub steps until it rests.
    Rounds(u8),
    Work(usize),
    Deliver(usize),
    Heartbeat(usize),
    Tick(i64),
    /// The hub's clock is set.
    Jump(i64),
    Flap(usize, Health),
    Lie(usize, u64),
    Disconnect(usize),
    Reconnect(usize),
    /// Cut off for longer than most graces, while everybody else goes on.
    Away(usize, bool),
    RemoveCluster(usize),
    RemoveApp(usize),
    Ask(RequestVerb),
    /// A person leaves a cluster out.
    Skip(usize),
    /// A person takes one cluster or all back, to an earlier release or to what ran well.
    Back(Option<usize>, Option<u64>),
    Approve(bool, GatePosition),
    ApproveAll,
    /// One person's word on a gate of the open wave.
    Say(&'static str, bool, GatePosition),
    NewerRelease,
    NewerRun,
    /// An earlier run owes it something; or no longer.
    Owe(usize, bool),
    /// Newer content came in front of what this run owes.
    Overtake(usize),
    /// The hub is away, and so is every session.
    HubDown(i64),
    /// A person approves a prune: same content, new word.
    ApprovePrune(usize),
    /// The provider answers what is due.
    Measure(Meter),
    /// Whoever is asked at a gate answered so, so many seconds ago.
    Answer(Doorman, i64),
    /// What they say from now on, in rounds.
    Doorman(Doorman),
    /// What it says from now on, when it is asked in rounds.
    Provider(Option<Meter>),
    /// An answer to the next sample of each analysis, due or not.
    Early(Meter),
    /// Somebody goes on with what was not known in the soak before.
    OldWord,
    /// The sources bring content again: what a rollback took back, what it went to, or new.
    Judge,
    /// Everything the run waits for is cleared in a copy of the world: it must move.
    Clear,
}

pub(crate) fn any_acts() -> impl Strategy<Value = Vec<Act>> {
    proptest::collection::vec(any_act(), 1..60)
}

fn any_act() -> impl Strategy<Value = Act> {
    let n = || 0..6_usize;
    let health = select(vec![
        Health::Progressing,
        Health::Missing,
        Health::Degraded,
        Health::Healthy,
    ]);
    let verb = select(vec![
        RequestVerb::Pause,
        RequestVerb::Resume,
        RequestVerb::Resume,
        RequestVerb::Cancel,
        RequestVerb::Cancel,
        RequestVerb::Rollback,
    ]);
    let position = select(vec![
        GatePosition::Before,
        GatePosition::After,
        GatePosition::Analysis,
    ]);
    prop_oneof![
        20 => Just(Act::Step),
        3 => Just(Act::Crash),
        6 => Just(Act::Walk),
        20 => (1..12_u8).prop_map(Act::Rounds),
        8 => n().prop_map(Act::Work),
        8 => n().prop_map(Act::Deliver),
        8 => n().prop_map(Act::Heartbeat),
        8 => (1..40_i64).prop_map(Act::Tick),
        2 => select(vec![-3600, -300, -20, 20, 3600]).prop_map(Act::Jump),
        5 => (n(), health).prop_map(|(n, health)| Act::Flap(n, health)),
        2 => (n(), 0..3_u64).prop_map(|(n, back)| Act::Lie(n, back)),
        3 => n().prop_map(Act::Disconnect),
        4 => n().prop_map(Act::Reconnect),
        8 => (n(), any::<bool>()).prop_map(|(n, back)| Act::Away(n, back)),
        1 => n().prop_map(Act::RemoveCluster),
        1 => n().prop_map(Act::RemoveApp),
        2 => verb.prop_map(Act::Ask),
        2 => Just(Act::Ask(RequestVerb::BreakGlass)),
        9 => Just(Act::Ask(RequestVerb::Retry)),
        3 => n().prop_map(Act::Skip),
        2 => (proptest::option::of(n()), proptest::option::of(Just(2)))
            .prop_map(|(only, to)| Act::Back(only, to)),
        2 => (any::<bool>(), position.clone()).prop_map(|(right, position)| Act::Approve(right, position)),
        3 => Just(Act::ApproveAll),
        6 => (select(vec!["grace", "kim", "ada"]), proptest::bool::weighted(0.6), position.clone())
            .prop_map(|(who, yes, position)| Act::Say(who, yes, position)),
        2 => Just(Act::NewerRelease),
        1 => Just(Act::NewerRun),
        3 => (n(), proptest::bool::weighted(0.4)).prop_map(|(n, owes)| Act::Owe(n, owes)),
        3 => n().prop_map(Act::Overtake),
        1 => (10..4000_i64).prop_map(Act::HubDown),
        2 => n().prop_map(Act::ApprovePrune),
        1 => Just(Act::Clear),
        2 => Just(Act::Judge),
        15 => any_measuring(),
    ]
}

/// What providers say, and what people say of their silence.
fn any_measuring() -> impl Strategy<Value = Act> {
    let meters = vec![
        Meter::Good,
        Meter::Good,
        Meter::Good,
        Meter::Good,
        Meter::Bad,
        Meter::Between,
        Meter::NotANumber,
        Meter::Nothing,
    ];
    let meter = || select(meters.clone());
    prop_oneof![
        4 => meter().prop_map(Act::Measure),
        3 => proptest::option::weighted(0.9, meter()).prop_map(Act::Provider),
        2 => meter().prop_map(Act::Early),
        3 => Just(Act::OldWord),
        3 => any_doorman().prop_map(Act::Doorman),
        4 => (any_doorman(), select(vec![-20, 0, 0, 40, 100, 600]))
            .prop_map(|(who, ago)| Act::Answer(who, ago)),
    ]
}

fn any_doorman() -> impl Strategy<Value = Doorman> {
    select(vec![
        Doorman::Yes,
        Doorman::Yes,
        Doorman::No,
        Doorman::Nonsense,
        Doorman::Away,
        Doorman::Silent,
    ])
}

impl Act {
    pub(crate) fn on(&self, world: &mut World, setup: &Setup) {
        match *self {
            Self::Step => drop(world.step()),
            Self::Crash => {
                let (lost, _) = unjudged(&world.run, &world.members, &world.facts(), world.now);
                world.step();
                assert_eq!(Some(lost), world.last, "crash: the step after it differs");
            }
            Self::Walk => walk_on(world),
            Self::Rounds(n) => (0..n).for_each(|_| world.round(7)),
            Self::Work(n) => world.work(setup.cluster(n)),
            Self::Deliver(n) => drop(world.deliver(setup.cluster(n))),
            Self::Heartbeat(n) => world.heartbeat(setup.cluster(n)),
            Self::Tick(secs) => world.tick(secs),
            Self::Jump(secs) => {
                // Nobody can tell a clock that was set forward from time.
                world.strict_truth &= secs < 0;
                world.jump(secs);
            }
            Self::Flap(n, health) => flap(world, setup, n, health),
            Self::Lie(n, back) => world.lie(setup.app(n), back),
            Self::Disconnect(n) => world.disconnect(setup.cluster(n)),
            Self::Reconnect(n) => world.reconnect(setup.cluster(n)),
            Self::Away(n, back) => away(world, setup, n, back),
            Self::RemoveCluster(n) => {
                world.sessions.get_mut(&setup.cluster(n)).unwrap().removed = true;
            }
            Self::RemoveApp(n) => world.apps.get_mut(&setup.app(n)).unwrap().removed = true,
            Self::Ask(verb) => world.ask(verb),
            Self::Skip(n) => world.ask_of(RequestVerb::Skip, clusters(setup, Some(n))),
            Self::Back(n, to) => {
                let (only, pin) = (clusters(setup, n), to.map(|_| PinRelease::Manual));
                world.ask_way(RequestVerb::Rollback, WayBack { only, to, pin });
            }
            Self::Approve(right, position) => approve(world, right, position),
            Self::ApproveAll => approve_all(world),
            Self::Say(who, yes, position) => {
                let verdict = if yes {
                    Verdict::Approve
                } else {
                    Verdict::Reject
                };
                world.say(world.run.wave, position, world.run.content, who, verdict);
            }
            Self::NewerRelease => world.newer_release = Some(5),
            Self::NewerRun => world.newer_run = true,
            Self::Owe(n, owes) => {
                world.apps.get_mut(&setup.app(n)).unwrap().owed = owes.then_some(2);
            }
            Self::Overtake(n) => overtake(world, n),
            Self::HubDown(secs) => hub_down(world, secs),
            Self::ApprovePrune(n) => approve_prune(world, setup, n),
            Self::Clear => clearing::check(world),
            Self::Measure(meter) => world.measure(meter),
            Self::Provider(meter) => world.provider = meter,
            Self::Answer(who, ago) => world.answer(who, ago),
            Self::Doorman(who) => world.doorman = who,
            Self::OldWord => old_word(world),
            Self::Early(meter) => early(world, meter),
            Self::Judge => admitting::judge(world),
        }
    }
}

/// What is walked is what single steps come to, each with the facts as they are then.
fn walk_on(world: &mut World) {
    let walked = walk(&world.run, &world.members, &world.facts(), world.now);
    let told = world.log.len();
    let is_there = |world: &World| {
        let mut changed = walked.changed.iter();
        world.run == walked.run && changed.all(|(id, member)| world.members[id] == *member)
    };
    for _ in 0..9 {
        if is_there(world) && world.log[told..] == walked.effects {
            return;
        }
        world.step();
    }
    panic!("walk: single steps come elsewhere: {walked:#?}");
}

fn away(world: &mut World, setup: &Setup, n: usize, back: bool) {
    world.disconnect(setup.cluster(n));
    (0..8).for_each(|_| world.round(8));
    if back {
        world.reconnect(setup.cluster(n));
        (0..6).for_each(|_| world.round(8));
    }
}

fn overtake(world: &mut World, n: usize) {
    // Newer content comes only in front of what a run that is over owes.
    if !world.run.owes {
        return;
    }
    let deferred = world.members.values();
    let deferred = deferred.filter(|member| member.state == MemberState::Deferred);
    let apps: Vec<_> = deferred.flat_map(|member| member.apps.keys()).collect();
    let Some(known) = world.apps.get_mut(apps[n % apps.len()]) else {
        return;
    };
    known.overtaken = true;
    // Whoever is owed something is back, and must not get it any more.
    if let Some(cluster) = known.cluster {
        world.reconnect(cluster);
        (0..3).for_each(|_| world.round(8));
    }
}

fn flap(world: &mut World, setup: &Setup, n: usize, health: Health) {
    let truth = world.truth;
    let agent = world.agents.get_mut(&setup.cluster(n)).unwrap();
    agent.set_health(setup.app(n), health, truth);
}

fn old_word(world: &mut World) {
    let first = world.run.approvals.len();
    world.approve(world.run.wave, GatePosition::Analysis, world.run.content);
    for word in &mut world.run.approvals[first..] {
        word.soak = word.soak.saturating_sub(1);
    }
}

fn early(world: &mut World, meter: Meter) {
    let Some(known) = world.run.analysing.clone() else {
        return;
    };
    for tally in &known.tallies {
        let id = crate::measure::next(&known, tally);
        world.measured.insert(id, meter.outcome());
    }
}

fn clusters(setup: &Setup, n: Option<usize>) -> Only {
    Only {
        clusters: n.map(|n| setup.cluster(n)).into_iter().collect(),
        ..Only::default()
    }
}

fn approve(world: &mut World, right: bool, position: GatePosition) {
    let content = if right {
        world.run.content
    } else {
        bundle("other")
    };
    world.approve(world.run.wave, position, content);
}

fn approve_all(world: &mut World) {
    let content = world.run.content;
    for wave in 0..world.run.plan.waves.len() {
        world.approve(wave, GatePosition::Before, content);
        world.approve(wave, GatePosition::After, content);
        world.approve(wave, GatePosition::Analysis, content);
    }
}

fn hub_down(world: &mut World, secs: i64) {
    let clusters: Vec<_> = world.sessions.keys().copied().collect();
    for cluster in &clusters {
        world.disconnect(*cluster);
        world.work(*cluster);
    }
    world.tick(secs);
    for cluster in clusters {
        world.reconnect(cluster);
    }
}

fn approve_prune(world: &mut World, setup: &Setup, n: usize) {
    use tidegate_model::assignment::Desired;
    let known = world.apps.get_mut(&setup.app(n)).unwrap();
    let Some(current) = known.current.as_mut() else {
        return;
    };
    current.generation = known.highest.next();
    known.highest = current.generation;
    if let Desired::Run {
        prune_approved,
        bundle,
        ..
    } = &mut current.desired
    {
        *prune_approved = true;
        if world.kinds.get(bundle) == Some(&Kind::Prunes) {
            world.kinds.insert(*bundle, Kind::Good);
        }
    }
}
