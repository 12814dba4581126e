//! Approvals: how many, whose, for how long, and a no.

use crate::{Action, BlockCode};
use tidegate_model::{
    duration::Span,
    run::{GatePosition, RunState, Verdict},
    strategy::{ApprovalGate, Approver, Gate},
};

use crate::tests::{
    fixture::{bundle, row, waves, world},
    world::World,
};

const BEFORE: GatePosition = GatePosition::Before;

fn gated(gate: ApprovalGate) -> World {
    let mut strategy = waves(&["dev"]);
    strategy.waves[0].gates.before = vec![Gate::Approval(gate)];
    let mut world = world(&strategy, &[row(1, "dev")]);
    world.settle();
    assert_eq!(world.run.state, RunState::WaitingGate);
    world
}

fn say(world: &mut World, who: &str, verdict: Verdict) -> RunState {
    world.say(0, BEFORE, world.run.content, who, verdict);
    world.settle();
    world.run.state
}

fn waits_for(world: &World) -> String {
    let said = world.explain();
    assert_eq!((said.len(), said[0].code), (1, BlockCode::Approval));
    let message = said[0]
        .message
        .strip_prefix("the gate before wave dev ")
        .unwrap();
    message.split_once(" for content").unwrap().0.to_owned()
}

fn group(name: &str, required: bool) -> Approver {
    Approver {
        group: name.to_owned(),
        required,
        ..Approver::default()
    }
}

#[test]
fn two_approvals_are_those_of_two_people() {
    let mut world = gated(ApprovalGate {
        min_approvals: 2,
        ..ApprovalGate::default()
    });
    assert_eq!(waits_for(&world), "needs the approval of 2 people");
    assert_eq!(
        say(&mut world, "grace", Verdict::Approve),
        RunState::WaitingGate
    );
    assert_eq!(
        say(&mut world, "grace", Verdict::Approve),
        RunState::WaitingGate
    );
    assert_eq!(
        waits_for(&world),
        "has the approval of grace and needs 1 more"
    );
    world.say(
        0,
        GatePosition::After,
        world.run.content,
        "ada",
        Verdict::Approve,
    );
    world.say(0, BEFORE, bundle("other"), "ada", Verdict::Approve);
    world.settle();
    assert_eq!(world.run.state, RunState::WaitingGate);
    assert_eq!(say(&mut world, "kim", Verdict::Approve), RunState::Rolling);
    let passed = |audit: &&crate::Audit| audit.action == Action::PassGate;
    let record = world.audits.iter().find(passed).unwrap();
    assert_eq!(record.reason, "approved by grace, kim");
}

#[test]
fn one_rejection_keeps_it_closed_until_the_same_person_approves() {
    let mut world = gated(ApprovalGate::default());
    say(&mut world, "kim", Verdict::Reject);
    assert_eq!(
        say(&mut world, "grace", Verdict::Approve),
        RunState::WaitingGate
    );
    assert_eq!(
        waits_for(&world),
        "has the approval of grace, kim rejected it (a word)"
    );
    assert_eq!(say(&mut world, "kim", Verdict::Approve), RunState::Rolling);
}

#[test]
fn only_those_asked_are_heard_and_those_required_are_waited_for() {
    let gate = ApprovalGate {
        approvers: vec![
            group("sre", true),
            Approver {
                user: "grace".to_owned(),
                ..Approver::default()
            },
        ],
        ..ApprovalGate::default()
    };
    let mut world = gated(gate);
    // Neither the yes nor the no of somebody else says anything.
    assert_eq!(
        say(&mut world, "bob", Verdict::Approve),
        RunState::WaitingGate
    );
    say(&mut world, "bob", Verdict::Reject);
    assert_eq!(
        say(&mut world, "grace", Verdict::Approve),
        RunState::WaitingGate
    );
    assert_eq!(
        waits_for(&world),
        "has the approval of grace, one of them by group sre"
    );
    assert_eq!(say(&mut world, "kim", Verdict::Approve), RunState::Rolling);
}

#[test]
fn who_made_the_release_does_not_approve_it_where_duties_are_separate() {
    let mut world = gated(ApprovalGate {
        separation_of_duties: true,
        ..ApprovalGate::default()
    });
    assert_eq!(world.run.authors, ["ada@example.com"]);
    assert_eq!(
        say(&mut world, "ada", Verdict::Approve),
        RunState::WaitingGate
    );
    assert_eq!(
        say(&mut world, "grace", Verdict::Approve),
        RunState::Rolling
    );
    let mut world = gated(ApprovalGate::default());
    assert_eq!(say(&mut world, "ada", Verdict::Approve), RunState::Rolling);
}

#[test]
fn a_yes_is_good_for_as_long_as_the_gate_says() {
    let mut world = gated(ApprovalGate {
        min_approvals: 2,
        expires: Some(Span::secs(60)),
        ..ApprovalGate::default()
    });
    say(&mut world, "grace", Verdict::Approve);
    world.tick(60);
    assert_eq!(
        say(&mut world, "kim", Verdict::Approve),
        RunState::WaitingGate
    );
    assert_eq!(
        waits_for(&world),
        "has the approval of kim and needs 1 more, that of grace expired"
    );
    // The hub's clock is set back: nothing is good for longer by that than it was.
    world.jump(-30);
    world.settle();
    assert_eq!(
        say(&mut world, "grace", Verdict::Approve),
        RunState::Rolling
    );
}
