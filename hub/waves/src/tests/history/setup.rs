//! Any fleet with any strategy.

use jiff::Timestamp;
use proptest::{
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
};
use tidegate_model::{
    duration::Span,
    strategy::{
        Amount, Analysis, ApprovalGate, Approver, BudgetMode, DenyScope, FailureBudget, Gate,
        Invoker, Limit, RollbackOn, RollbackOrder, RollbackScope, SoakMode, Strategy as Waves,
        SupersedeWhen, Unmatched, UnreachableThen, Wave, WindowAction, WindowKind,
    },
};

use crate::tests::{
    agent::Kind,
    fixture::{Before, Row, analysis, app, asked_gate, at, cluster, waves, world},
    world::World,
};
use crate::window::tests::recurring;

/// Where a history begins.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) strategy: Waves,
    pub(crate) rows: Vec<Row>,
    /// On the hub's clock.
    pub(crate) begins: Timestamp,
}

impl Setup {
    pub(crate) fn world(&self) -> World {
        let mut world = world(&self.strategy, &self.rows);
        world.jump(self.begins.duration_since(world.now).as_secs());
        for cluster in world.sessions.keys().copied().collect::<Vec<_>>() {
            world.heartbeat(cluster);
        }
        world
    }

    pub(crate) fn cluster(&self, n: usize) -> tidegate_model::ids::ClusterUid {
        cluster(self.rows[n % self.rows.len()].cluster)
    }

    pub(crate) fn app(&self, n: usize) -> tidegate_model::ids::AppUid {
        app(self.rows[n % self.rows.len()].app)
    }
}

fn any_row() -> impl Strategy<Value = Row> {
    let before = prop_oneof![
        1 => Just(Before::Nothing),
        6 => Just(Before::Old),
        1 => Just(Before::Unproven),
        1 => Just(Before::Target),
        1 => Just(Before::Resumed),
    ];
    let kind = prop_oneof![
        20 => Just(Kind::Good),
        4 => Just(Kind::Degrades),
        1 => Just(Kind::Sticks),
        1 => Just(Kind::Refused),
        1 => Just(Kind::Prunes),
    ];
    let rendered = prop_oneof![30 => Just(true), 1 => Just(false)];
    (
        0..5_u64,
        select(vec!["dev", "prod"]),
        select(vec!["web", "db"]),
        before,
        kind,
        rendered,
    )
        .prop_map(|(cluster, env, tier, before, kind, rendered)| Row {
            cluster,
            app: 0,
            env,
            tier,
            before,
            kind,
            rendered,
        })
}

fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    proptest::collection::vec(any_row(), 1..7).prop_map(|mut rows| {
        for n in 0..rows.len() {
            rows[n].app = n as u64;
            let first = rows
                .iter()
                .position(|row| row.cluster == rows[n].cluster)
                .unwrap_or(n);
            rows[n].env = rows[first].env;
        }
        rows
    })
}

/// What a wave puts up with.
#[derive(Clone, Debug)]
struct Tolerance {
    unavailable: Option<Amount>,
    budget: FailureBudget,
    min_healthy: Amount,
    then: UnreachableThen,
    max_deferred: Option<Amount>,
}

impl Tolerance {
    fn apply(&self, wave: &mut Wave) {
        wave.max_unavailable = self.unavailable;
        wave.failure_budget = self.budget;
        wave.min_healthy = self.min_healthy;
        wave.unreachable.then = self.then;
        wave.unreachable.max_deferred = self.max_deferred;
    }
}

fn any_tolerance() -> impl Strategy<Value = Tolerance> {
    let unavailable = proptest::option::weighted(0.3, (1..3_u32).prop_map(Amount::Count));
    let max = select(vec![
        Amount::Count(0),
        Amount::Count(0),
        Amount::Count(1),
        Amount::Percent(50),
    ]);
    let mode = select(vec![BudgetMode::Strict, BudgetMode::Fast]);
    let min_healthy = select(vec![
        Amount::Percent(100),
        Amount::Percent(50),
        Amount::Count(1),
    ]);
    let then = select(vec![
        UnreachableThen::Wait,
        UnreachableThen::Fail,
        UnreachableThen::Defer,
        UnreachableThen::Defer,
        UnreachableThen::Defer,
    ]);
    let deferred = select(vec![
        None,
        None,
        Some(Amount::Count(2)),
        Some(Amount::Percent(50)),
    ]);
    (unavailable, max, mode, min_healthy, then, deferred).prop_map(
        |(unavailable, max, mode, min_healthy, then, deferred)| Tolerance {
            unavailable,
            budget: FailureBudget { max, mode },
            min_healthy,
            then,
            max_deferred: deferred.filter(|_| then == UnreachableThen::Defer),
        },
    )
}

/// Some day, or minutes before the clock goes back by half an hour on Lord Howe, or by one in Berlin.
fn any_begin() -> impl Strategy<Value = Timestamp> {
    let edges = [1_775_314_800, 1_792_890_000];
    let begins = [vec![at(0).as_second()], edges.to_vec(), edges.to_vec()].concat();
    (select(begins), 1..600_i64).prop_map(|(edge, ago)| Timestamp::from_second(edge - ago).unwrap())
}

/// Windows that open and close within minutes, at some minutes of the hour or in one hour only, so
/// that none of the edges in [`any_begin`] leaves all as it is. Where there are both, deny windows
/// cover some of the minutes of an allow window and leave others.
fn any_windows() -> impl Strategy<Value = Vec<Gate>> {
    let allow = select(vec![
        ("Asia/Kathmandu", "*/10 * * * *", "4m"),
        ("Europe/Berlin", "2-59/6 * * * *", "5m"),
    ]);
    let deny = select(vec![
        ("UTC", "6-59/10 * * * *", "1m"),
        ("Australia/Lord_Howe", "7-59/8 * * * *", "3m"),
        ("Europe/Berlin", "5-59/10 2 * * *", "3m"),
    ]);
    let invokers = select(vec![
        vec![Invoker::Automation, Invoker::Human],
        vec![Invoker::Automation, Invoker::Human],
        vec![Invoker::Human],
    ]);
    let gate = |kind, (tz, cron, length): (&str, &str, &str), back, invokers: &[Invoker]| {
        let mut window = recurring(kind, tz, cron, length);
        window.invokers = invokers.to_vec();
        if back {
            window.actions.push(WindowAction::Rollback);
        }
        Gate::Window(window)
    };
    let allow = proptest::option::weighted(0.2, (allow, any::<bool>()));
    let deny = proptest::option::weighted(0.2, (deny, any::<bool>()));
    (allow, deny, invokers).prop_map(move |(allow, deny, invokers)| {
        let allow = allow.map(|(times, back)| gate(WindowKind::Allow, times, back, &invokers));
        let deny = deny.map(|(times, back)| gate(WindowKind::Deny, times, back, &invokers));
        allow.into_iter().chain(deny).collect()
    })
}

/// Gates that somebody else is asked about.
fn any_asked() -> impl Strategy<Value = Vec<Gate>> {
    let gate = select(vec![
        asked_gate("alarm", "alarmClear"),
        asked_gate("limit", "alarmClear"),
        asked_gate("board", "webhook"),
        asked_gate("rate", "analysis"),
    ]);
    let some = proptest::collection::vec(gate, 1..3).prop_map(|mut gates| {
        gates.dedup_by(|a, b| a.asked() == b.asked());
        gates
    });
    proptest::option::weighted(0.2, some).prop_map(Option::unwrap_or_default)
}

/// Gates that grace, and kim of the group sre, can open together.
fn any_approval() -> impl Strategy<Value = ApprovalGate> {
    let sre = |required| Approver {
        group: "sre".to_owned(),
        required,
        ..Approver::default()
    };
    let grace = Approver {
        user: "grace".to_owned(),
        ..Approver::default()
    };
    let approvers = select(vec![
        Vec::new(),
        vec![sre(true), grace.clone()],
        vec![sre(false), grace],
    ]);
    let expires = proptest::option::weighted(0.3, Just(Span::secs(60)));
    (1..3_u32, approvers, any::<bool>(), expires).prop_map(
        |(min_approvals, approvers, separation_of_duties, expires)| ApprovalGate {
            min_approvals,
            approvers,
            separation_of_duties,
            expires,
        },
    )
}

/// What a wave measures, in half of the waves nothing.
fn any_analyses() -> impl Strategy<Value = (Vec<Analysis>, u32)> {
    let seconds = select(vec![5, 10, 30]).prop_map(Span::secs);
    let shape = select(vec![
        (true, true),
        (true, true),
        (true, false),
        (false, true),
    ]);
    let one = (1..3_u32, seconds, 0..3_u32, shape).prop_map(
        |(count, interval, inconclusive_limit, (pass, fail))| {
            let known = analysis("errors");
            Analysis {
                pass: known.pass.filter(|_| pass),
                fail: known.fail.filter(|_| fail),
                interval,
                count,
                inconclusive_limit,
                ..known
            }
        },
    );
    let few = proptest::collection::vec(one, 1..3).prop_map(|mut all| {
        for (n, analysis) in all.iter_mut().enumerate() {
            analysis.name = format!("errors-{n}");
        }
        all
    });
    proptest::option::weighted(0.4, (few, 0..4_u32)).prop_map(Option::unwrap_or_default)
}

fn any_wave() -> impl Strategy<Value = Wave> {
    let limit = proptest::option::weighted(0.2, 1..3_u32);
    let concurrency = proptest::option::of(prop_oneof![
        (1..4_u32).prop_map(Amount::Count),
        Just(Amount::Percent(50)),
    ]);
    let seconds = |choices: &[u64]| select(choices.to_vec()).prop_map(Span::secs);
    (
        (limit, concurrency, any_tolerance()),
        (
            seconds(&[120, 300]),
            seconds(&[60, 60, 600]),
            seconds(&[0, 10, 30]),
            seconds(&[0, 0, 60, 120]),
        ),
        (
            proptest::option::weighted(0.25, any_approval()),
            proptest::option::weighted(0.2, any_approval()),
            (any_windows(), any_asked(), any_asked()),
            any_analyses(),
            select(vec![SoakMode::HealthyOnly, SoakMode::Continuous]),
        ),
    )
        .prop_map(
            |(
                (limit, concurrency, tolerance),
                (deadline, grace, window, soak),
                (before, after, (windows, ahead, behind), (analysis, min_samples), clock),
            )| {
                let mut wave = Wave::named("x");
                wave.limit = limit.map(|count| Limit {
                    count: Some(count),
                    percent: None,
                });
                wave.max_concurrency = concurrency;
                tolerance.apply(&mut wave);
                wave.progress_deadline = deadline;
                wave.unreachable.grace = grace;
                wave.health_window = window;
                wave.soak.time = soak;
                wave.soak.min_samples = min_samples;
                wave.soak.clock = clock;
                wave.analysis = analysis;
                wave.gates.before = before.into_iter().map(Gate::Approval).collect();
                wave.gates.before.extend(windows);
                wave.gates.before.extend(ahead);
                wave.gates.after = after.into_iter().map(Gate::Approval).collect();
                wave.gates.after.extend(behind);
                wave
            },
        )
}

/// The windows of the first wave before every wave: what opens one must not open the next.
fn share_windows(strategy: &mut Waves) {
    let gates = &strategy.waves[0].gates.before;
    let windows = gates.iter().filter(|gate| gate.window().is_some());
    let windows: Vec<_> = windows.cloned().collect();
    for wave in &mut strategy.waves[1..] {
        wave.gates.before.retain(|gate| gate.window().is_none());
        wave.gates.before.extend(windows.iter().cloned());
    }
}

/// How far and in which order a rollback goes, and what it denies.
fn any_reach() -> impl Strategy<Value = (RollbackScope, RollbackOrder, DenyScope)> {
    (
        select(vec![
            RollbackScope::Run,
            RollbackScope::Run,
            RollbackScope::Wave,
        ]),
        select(vec![RollbackOrder::Reverse, RollbackOrder::Parallel]),
        select(vec![
            DenyScope::Content,
            DenyScope::Content,
            DenyScope::Release,
        ]),
    )
}

fn any_strategy() -> impl Strategy<Value = Waves> {
    let on = select(vec![
        vec![RollbackOn::Budget, RollbackOn::Deadline],
        vec![
            RollbackOn::Budget,
            RollbackOn::Analysis,
            RollbackOn::Deadline,
        ],
        vec![RollbackOn::Budget, RollbackOn::MinHealthy],
        vec![RollbackOn::Manual],
    ]);
    let by_waves = (any_wave(), any_wave(), any_wave(), any::<(bool, bool)>()).prop_map(
        |(a, b, c, (by_tier, shared))| {
            let mut strategy = waves(&["dev", "prod", "rest"]);
            for (known, wave) in strategy.waves.iter_mut().zip([a, b, c]) {
                let (name, select) = (known.name.clone(), known.select.clone());
                *known = Wave {
                    name,
                    select,
                    ..wave
                };
            }
            if shared {
                share_windows(&mut strategy);
            }
            if by_tier {
                strategy.waves[1].select.applications.match_labels =
                    crate::tests::fixture::labels(&[("tier", "db")]);
            }
            strategy.unmatched = Unmatched::LastWave;
            strategy
        },
    );
    let strategy = prop_oneof![1 => Just(Waves::default()), 6 => by_waves];
    let newer = select(vec![
        SupersedeWhen::FinishWave,
        SupersedeWhen::FinishWave,
        SupersedeWhen::Immediately,
        SupersedeWhen::Queue,
        SupersedeWhen::Never,
    ]);
    (strategy, on, newer, any_reach()).prop_map(
        |(mut strategy, on, newer, (scope, order, deny))| {
            strategy.rollback.on = on;
            (strategy.rollback.scope, strategy.rollback.order) = (scope, order);
            strategy.rollback.deny = deny;
            let listed = |gate: &Gate| {
                gate.window()
                    .is_some_and(|window| window.actions.contains(&WindowAction::Rollback))
            };
            let mut gates = strategy.waves.iter().flat_map(|wave| &wave.gates.before);
            strategy.rollback.ignore_windows = !gates.any(listed);
            strategy.supersede.newer = newer;
            strategy
        },
    )
}

pub(crate) fn any_setup() -> impl Strategy<Value = Setup> {
    (any_strategy(), any_rows(), any_begin()).prop_map(|(strategy, rows, begins)| Setup {
        strategy,
        rows,
        begins,
    })
}
