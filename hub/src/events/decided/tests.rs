//! Rows of the table of actions, and who is named in what is said.

use jiff::Timestamp;

use super::*;
use crate::{audit, changes::Decision, records::FLEET};

fn record(action: &str, subject: &str, reason: &str) -> AuditRecord {
    let project = if subject.starts_with("cluster/") {
        FLEET
    } else {
        "shop"
    };
    let decision = Decision::by_system(project, action, subject.to_owned(), reason.to_owned());
    audit::append(&audit::genesis(project), &decision, Timestamp::UNIX_EPOCH).0
}

fn told(action: &str, subject: &str, reason: &str) -> Event {
    event(&record(action, subject, reason), |_| None).unwrap()
}

const RUN: &str = "set/web run/0197 wave/dev";

#[test]
fn an_event_is_about_the_narrowest_thing_of_its_decision() {
    let failed = told("run.fail-member", &format!("{RUN} cluster/c1"), "no pods");
    assert!(failed.warning);
    assert_eq!(
        (failed.reason, failed.object.as_str()),
        ("MemberFailed", "cluster/c1")
    );
    let about = About {
        project: "shop".to_owned(),
        set: "web".to_owned(),
        cluster: "c1".to_owned(),
        application: String::new(),
        run: "0197".to_owned(),
    };
    assert_eq!(failed.about, about);
    let pinned = told(
        "run.pin",
        &format!("{RUN} cluster/c1 application/web-c1"),
        "bad",
    );
    assert_eq!(
        (pinned.reason, pinned.object.as_str()),
        ("Pinned", "application/web-c1")
    );
    let opened = told("run.open-wave", RUN, "wave dev opens");
    assert_eq!(
        (opened.object.as_str(), opened.message.as_str()),
        ("set/web", "wave dev opens")
    );
    let held = told(
        "hold.approve",
        "hold/3f9a: set/other has none left",
        "wanted",
    );
    assert_eq!(
        (held.object.as_str(), held.about.set.as_str()),
        ("hold/3f9a", "")
    );
}

#[test]
fn a_run_ends_by_the_word_of_its_state() {
    for (reason, event, message, warning) in [
        ("Succeeded", "RunSucceeded", "every wave is done", false),
        (
            "RolledBack: too many failed",
            "RolledBack",
            "too many failed",
            true,
        ),
        ("Failed: c1: no pods", "RunFailed", "c1: no pods", true),
        (
            "Superseded: release 3 takes over",
            "RunSuperseded",
            "release 3 takes over",
            false,
        ),
    ] {
        let told = told("run.finish", RUN, reason);
        assert_eq!(
            (told.reason, told.message.as_str(), told.warning),
            (event, message, warning)
        );
    }
}

#[test]
fn people_are_named_and_the_hub_is_not() {
    let mut approved = record("run.approve", RUN, "looks good");
    approved.actor = "ada".to_owned();
    let told = event(&approved, |_| None).unwrap();
    assert_eq!(told.message, "wave dev: looks good (by ada)");
    assert_eq!(told.actor, "ada");
    let gate = event(
        &record("run.close-gate", RUN, "Before: a person must approve"),
        |_| None,
    );
    assert_eq!(
        gate.unwrap().message,
        "wave dev: Before: a person must approve"
    );
}

#[test]
fn an_application_is_found_at_home() {
    let gone = record(
        "application.delete",
        "application/web-c1",
        "its row is gone",
    );
    let home = |name: &str| (name == "web-c1").then(|| ("web".to_owned(), "c1".to_owned()));
    let told = event(&gone, home).unwrap();
    assert_eq!(
        (told.about.set.as_str(), told.about.cluster.as_str()),
        ("web", "c1")
    );
}

#[test]
fn no_message_is_longer_than_agreed() {
    let long = told("run.breach", RUN, &"é".repeat(5_000)).message;
    assert!(
        long.len() <= super::super::LONGEST && long.ends_with('…'),
        "{}",
        long.len()
    );
}

#[test]
fn what_the_engine_decides_is_told_or_left_out_on_purpose() {
    use tidegate_waves::Action;
    for action in [
        Action::OpenWave,
        Action::CloseGate,
        Action::PassGate,
        Action::Assign,
        Action::FailMember,
        Action::SkipMember,
        Action::DeferMember,
        Action::PayDebt,
        Action::FinishWave,
        Action::Pause,
        Action::Resume,
        Action::Breach,
        Action::Rollback,
        Action::Revert,
        Action::Pin,
        Action::Deny,
        Action::Finish,
        Action::Refuse,
    ] {
        let silent = SILENT.contains(&action.name());
        let event = event(&record(action.name(), RUN, "Succeeded"), |_| None);
        assert_eq!(event.is_none(), silent, "{action}");
    }
}

#[test]
fn what_people_say_of_gates_and_groups_is_told() {
    let told = |action, subject| event(&record(action, subject, "no"), |_| None).unwrap();
    let no = told("run.reject", RUN);
    assert_eq!((no.reason, no.warning), ("Rejected", true));
    assert!(no.message.starts_with("wave dev: no"), "{}", no.message);
    assert_eq!(told("user.groups", "user/bob").reason, "UserRegrouped");
}

#[test]
fn every_state_in_which_a_run_ends_has_its_word() {
    use tidegate_model::run::RunState;
    for state in [
        RunState::Succeeded,
        RunState::RolledBack,
        RunState::RollbackFailed,
        RunState::Superseded,
        RunState::Cancelled,
        RunState::Failed,
    ] {
        assert!(state.is_terminal());
        let told = event(&record("run.finish", RUN, &format!("{state:?}")), |_| None);
        assert!(told.is_some(), "{state:?}");
    }
}
