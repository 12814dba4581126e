//! Gates that somebody else is asked about, by example.

use tidegate_model::{
    run::{GatePosition, RequestVerb, RunState},
    strategy::{Gate, Strategy},
};

use crate::{
    Action, BlockCode, questions,
    tests::{
        fixture::{asked_gate, row, waves, world},
        world::{Doorman, World},
    },
    validate,
};

fn all_kinds() -> Vec<Gate> {
    vec![
        asked_gate("errors", "alarmClear"),
        asked_gate("limit", "alarmClear"),
        asked_gate("board", "webhook"),
        asked_gate("rate", "analysis"),
    ]
}

/// A run that stands before prod.
fn before_prod(gates: Vec<Gate>, doorman: Doorman) -> World {
    let mut strategy = waves(&["dev", "prod"]);
    strategy.waves[1].gates.before = gates;
    let mut world = world(&strategy, &[row(1, "dev"), row(2, "prod")]);
    world.doorman = doorman;
    world.rounds_until(100, |world| {
        world.run.wave == 1 && world.run.gate == Some(GatePosition::Before)
    });
    world.round(5);
    world
}

#[test]
fn each_kind_opens_by_its_answer_and_by_nothing_else() {
    let shut = [
        Doorman::No,
        Doorman::Nonsense,
        Doorman::Away,
        Doorman::Silent,
    ];
    for gate in all_kinds() {
        for doorman in shut {
            let mut world = before_prod(vec![gate.clone()], doorman);
            for _ in 0..5 {
                world.round(30);
            }
            assert_eq!(
                world.run.state,
                RunState::WaitingGate,
                "{gate:?} {doorman:?}"
            );
            let said = world.explain();
            assert_eq!(said.len(), 1, "{said:#?}");
            assert!(said[0].message.contains(gate.asked().unwrap()), "{said:?}");
            world.doorman = Doorman::Yes;
            world.rounds_until(5, |world| world.run.state == RunState::Rolling);
            let mut told = world.audits.iter();
            let told = told
                .find(|audit| audit.action == Action::AnswerGate)
                .unwrap();
            assert!(
                told.reason.contains(gate.asked().unwrap()),
                "{}",
                told.reason
            );
            assert_eq!(told.context.evidence.len(), 1);
        }
    }
}

#[test]
fn all_that_is_lacking_is_told_with_what_was_answered() {
    let mut gates = all_kinds();
    gates.extend(crate::tests::fixture::approval());
    let world = before_prod(gates, Doorman::No);
    let said = world.explain();
    let codes: Vec<_> = said.iter().map(|said| said.code).collect();
    let all = [
        BlockCode::Approval,
        BlockCode::Alarm,
        BlockCode::Alarm,
        BlockCode::Webhook,
        BlockCode::Analysis,
    ];
    assert!(
        all.iter().all(|code| codes.contains(code)) && codes.len() == 5,
        "{codes:?}"
    );
    let text = format!("{said:?}");
    for part in [
        "fires: 2 HighErrors, Latency",
        "30 is > 20",
        "HTTP 403: change freeze",
        "< 10",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn an_old_answer_opens_nothing_and_neither_does_one_of_another_wave() {
    let mut world = before_prod(all_kinds(), Doorman::Silent);
    world.answer(Doorman::Yes, 91);
    world.settle();
    assert_eq!(world.run.state, RunState::WaitingGate);
    world.answer(Doorman::Yes, -10);
    world.settle();
    assert_eq!(world.run.state, RunState::WaitingGate, "from the future");
    world.answer(Doorman::Yes, 89);
    world.settle();
    assert_eq!(world.run.state, RunState::Rolling);

    let mut strategy = waves(&["dev", "prod"]);
    for wave in &mut strategy.waves {
        wave.gates.before = all_kinds();
    }
    let mut world = world_of(&strategy);
    world.doorman = Doorman::Silent;
    world.settle();
    world.answer(Doorman::Yes, 0);
    world.rounds_until(100, |world| world.run.wave == 1);
    world
        .answers
        .values_mut()
        .for_each(|answer| answer.at = world.now);
    world.settle();
    assert_eq!(world.run.gate, Some(GatePosition::Before));
}

fn world_of(strategy: &Strategy) -> World {
    world(strategy, &[row(1, "dev"), row(2, "prod")])
}

#[test]
fn a_wave_is_done_when_those_after_it_say_so() {
    let mut strategy = waves(&["dev", "prod"]);
    strategy.waves[0].gates.after = all_kinds();
    let mut world = world_of(&strategy);
    world.doorman = Doorman::No;
    world.rounds_until(100, |world| world.run.gate == Some(GatePosition::After));
    world.round(5);
    assert_eq!(world.run.wave, 0);
    assert_eq!(world.explain().len(), 4);
    world.doorman = Doorman::Yes;
    world.rounds_until(100, |world| world.run.state == RunState::Succeeded);
}

#[test]
fn nobody_is_asked_but_at_the_gate() {
    let mut world = before_prod(all_kinds(), Doorman::Silent);
    let asked = questions(&world.run);
    assert_eq!(asked.len(), 4);
    assert!(
        asked
            .iter()
            .all(|it| (it.id.wave, it.id.position) == (1, GatePosition::Before))
    );
    world.ask(RequestVerb::Pause);
    world.settle();
    assert!(questions(&world.run).is_empty(), "a pause asks nobody");
    world.ask(RequestVerb::Resume);
    world.doorman = Doorman::Yes;
    world.rounds_until(5, |world| world.run.state == RunState::Rolling);
    assert!(questions(&world.run).is_empty());
}

#[test]
fn each_mistake_is_named_with_its_field() {
    let said = |text: &str| {
        let mut strategy = waves(&["dev"]);
        strategy.waves[0].gates.before = serde_json::from_str(text).unwrap();
        let problems = validate(&strategy).unwrap_err();
        problems.to_string()
    };
    for (text, field, part) in [
        (
            r#"[{"alarmClear": {"name": ""}}]"#,
            "gates.before[0].alarmClear.name",
            "neither prometheus nor http",
        ),
        (
            r#"[{"alarmClear": {"name": "a", "http": {"url": "http://x"}}}]"#,
            "alarmClear.fires",
            "for which numbers",
        ),
        (
            r#"[{"alarmClear": {"name": "a", "prometheus": {"server": "http://x", "query": "up"}, "fires": "> 0"}}]"#,
            "alarmClear.fires",
            "compare in the query",
        ),
        (
            r#"[{"webhook": {"name": "a", "url": "ftp://x", "interval": "0s"}}]"#,
            "webhook.url",
            "at least 1s",
        ),
        (
            r#"[{"webhook": {"name": "a", "url": "http://x"}}, {"webhook": {"name": "a", "url": "http://y"}}]"#,
            "gates.before[1].webhook.name",
            "rename one",
        ),
        (
            r#"[{"analysis": {"name": "a", "http": {"url": "http://x"}, "pass": "< 1", "count": 3}}]"#,
            "analysis.count",
            "one sample",
        ),
    ] {
        let said = said(text);
        assert!(said.contains(field) && said.contains(part), "{said}");
    }
    let mut strategy = waves(&["dev"]);
    strategy.waves[0].gates.before = all_kinds();
    assert_eq!(validate(&strategy), Ok(()));
}
