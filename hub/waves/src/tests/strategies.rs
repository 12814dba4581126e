//! What is refused before anything is planned.

use crate::{PlanError, plan, validate};
use tidegate_model::{
    duration::Span,
    selector::{Operator, Requirement},
    strategy::{
        Amount, Limit, RollbackOn, RollingStep, RollingSync, Strategy, StrategyType,
        UnreachableThen, Wave,
    },
};

use crate::tests::fixture::{approval, waves};

fn with(change: impl Fn(&mut Wave)) -> Strategy {
    let mut strategy = waves(&["dev", "prod"]);
    change(&mut strategy.waves[1]);
    strategy
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of mistakes")]
fn each_mistake_is_named_with_its_field() {
    let requirement = Requirement {
        key: "rank".to_owned(),
        operator: Operator::Gt,
        values: vec!["x".to_owned()],
    };
    let select =
        |wave: &mut Wave| wave.select.clusters.match_expressions = vec![requirement.clone()];
    let limit = |count, percent| move |wave: &mut Wave| wave.limit = Some(Limit { count, percent });
    let kind = |kind, envs: &[&str]| Strategy {
        kind,
        ..waves(envs)
    };
    let mut mixed = waves(&["dev"]);
    mixed.rollback.on = vec![RollbackOn::Manual, RollbackOn::Budget];
    let mut catching_up = waves(&["dev"]);
    catching_up.membership = serde_json::from_str(r#"{"added": "catchUp"}"#).unwrap();
    let table: Vec<(Strategy, &str)> = vec![
        (
            catching_up,
            "strategy.membership.added: catchUp is not supported",
        ),
        (
            kind(StrategyType::Waves, &[]),
            "strategy.waves: type Waves needs",
        ),
        (
            kind(StrategyType::AllAtOnce, &["dev"]),
            "strategy.waves: type AllAtOnce has no waves",
        ),
        (
            Strategy {
                rolling_sync: Some(RollingSync {
                    steps: vec![RollingStep::default()],
                }),
                ..kind(StrategyType::RollingSync, &["dev"])
            },
            "strategy.waves: type RollingSync has steps",
        ),
        (
            kind(StrategyType::RollingSync, &[]),
            "strategy.rollingSync.steps: type RollingSync needs",
        ),
        (
            Strategy {
                rolling_sync: Some(RollingSync::default()),
                ..waves(&["dev"])
            },
            "strategy.rollingSync: steps are for type RollingSync",
        ),
        (
            Strategy {
                kind: StrategyType::RollingSync,
                rolling_sync: Some(RollingSync {
                    steps: vec![RollingStep {
                        match_expressions: vec![requirement.clone()],
                        max_update: None,
                    }],
                }),
                ..Strategy::default()
            },
            "strategy.rollingSync.steps[0].matchExpressions: failed to use the requirement",
        ),
        (
            Strategy {
                wave_plan: "standard".to_owned(),
                ..waves(&["dev"])
            },
            "strategy.wavePlan: the plan says everything",
        ),
        (mixed, "strategy.rollback.on"),
        (
            with(|wave| wave.name = "dev".to_owned()),
            "strategy.waves[1].name (wave \"dev\")",
        ),
        (
            with(|wave| wave.name = " ".to_owned()),
            "strategy.waves[1].name",
        ),
        (
            with(select),
            "strategy.waves[1].select.clusters (wave \"prod\")",
        ),
        (
            with(limit(Some(1), Some(1))),
            "strategy.waves[1].limit (wave \"prod\"): it has both",
        ),
        (
            with(limit(None, None)),
            "strategy.waves[1].limit (wave \"prod\"): it has neither",
        ),
        (with(limit(Some(0), None)), "strategy.waves[1].limit.count"),
        (
            with(limit(None, Some(101))),
            "strategy.waves[1].limit.percent",
        ),
        (
            with(|wave| wave.health_window = Span::secs(900)),
            "strategy.waves[1].progressDeadline",
        ),
        (
            with(|wave| wave.unreachable.max_deferred = Some(Amount::Count(1))),
            "strategy.waves[1].unreachable.maxDeferred (wave \"prod\"): nobody is deferred without",
        ),
        (
            with(|wave| {
                wave.unreachable.then = UnreachableThen::Defer;
                wave.unreachable.max_deferred = Some(Amount::Percent(0));
            }),
            "strategy.waves[1].unreachable.maxDeferred (wave \"prod\"): it must be at least 1",
        ),
        (
            with(|wave| wave.gates.after = [approval(), approval()].concat()),
            "strategy.waves[1].gates.after",
        ),
    ];
    for (strategy, want) in table {
        let error = validate(&strategy).unwrap_err();
        assert_eq!(error.0.len(), 1, "{error}");
        assert!(error.to_string().contains(want), "{error}\nlacks {want}");
        assert!(matches!(
            plan(&strategy, &[], 0),
            Err(PlanError::Strategy(_))
        ));
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let mut strategy = with(|wave| wave.limit = Some(Limit::default()));
    strategy.waves[0].name = String::new();
    assert_eq!(validate(&strategy).unwrap_err().0.len(), 2);
}

#[test]
fn the_default_and_plain_waves_are_fine() {
    assert_eq!(validate(&Strategy::default()), Ok(()));
    assert_eq!(validate(&waves(&["dev", "prod"])), Ok(()));
}
