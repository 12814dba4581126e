//! Windows: invariants 16, 17 and 18.
//!
//! Judged minute by minute: whether a window covers an instant is found by looking at every minute
//! on the wall back to the length of the window, not by the arithmetic that the engine uses.

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZoneDatabase};
use tidegate_model::{
    run::{Member, MemberState, Run, RunState},
    strategy::{Gate, Invoker, Window, WindowAction, WindowKind},
};

use super::{Transition, Verdict, touched};
use crate::{
    AssignKind, BlockCode,
    window::{Schedule, read_cron},
};

/// 16: nothing is assigned while the windows of its wave are closed, unless a person broke the glass
/// for it; a revert heeds those that list it, and only where the strategy asks for that.
pub fn i16_windows(step: &Transition<'_>) -> Verdict {
    let run = step.run;
    let mut premise = false;
    let mut problems = Vec::new();
    for assign in step.forward() {
        let wave = assign.member.wave as usize;
        premise |= has_windows(run, wave);
        let broken = run.broken_glass.iter().any(|broken| broken.wave == wave);
        if !broken && !is_open(run, wave, WindowAction::Assign, mover(run, wave), step.now) {
            problems.push(format!("{:?} is assigned out of hours", assign.member));
        }
    }
    let heeds = heeds_windows(run);
    for assign in step.assigns(AssignKind::Revert).filter(|_| heeds) {
        let wave = assign.member.wave as usize;
        premise |= has_windows(run, wave);
        if !is_open(run, wave, WindowAction::Rollback, taker(run), step.now) {
            problems.push(format!("{:?} is taken back out of hours", assign.member));
        }
    }
    Verdict::of(premise, problems.into_iter())
}

/// 17: a window covers an instant exactly when the clock on the wall of its zone says so.
pub fn i17_window_zone(step: &Transition<'_>) -> Verdict {
    let windows: Vec<_> = windows(step.run, step.run.wave).collect();
    let wrong = windows.iter().filter(|window| {
        let said = Schedule::read(window)
            .ok()
            .map(|read| read.covers(step.now));
        said != Some(covers(window, step.now))
    });
    let wrong = wrong.map(|window| format!("{window} is judged wrongly at {}", step.now));
    Verdict::of(!windows.is_empty(), wrong)
}

/// 18: nobody is stopped or taken back because a window closed, and a run waits for no window that
/// is open, on the way forward or back.
pub fn i18_closing_edge(step: &Transition<'_>) -> Verdict {
    let run = step.run;
    let after = &step.after.run;
    let going_back = |run: &Run| run.state == RunState::RollingBack;
    if going_back(after) {
        return way_back(step);
    }
    if !has_windows(run, run.wave) || run.state.is_terminal() || going_back(run) {
        return Verdict::Idle;
    }
    let mut problems = Vec::new();
    let back = |state| {
        use MemberState::{Queued, Reverted, Reverting};
        matches!(state, Queued | Reverted | Reverting)
    };
    let tried_again = |member: &Member| after.retry.is_some() && member.state.is_failed();
    let touched = |member: &Member| touched(member) && !tried_again(member);
    for (before, after) in step.moved().filter(|(before, _)| touched(before)) {
        let known = step.alive(before).all(|(_, app)| app.generation.is_some());
        if known && !back(before.state) && back(after.state) {
            problems.push(format!("{:?} went back to {:?}", after.id, after.state));
        }
    }
    // Who is owed something waits for the windows of its own wave, which the run has left behind.
    let open = |wave: usize| {
        let mut broken = after.broken_glass.iter();
        let who = mover(after, wave);
        broken.any(|broken| broken.wave == wave)
            || is_open(after, wave, WindowAction::Assign, who, step.now)
    };
    let waits = step.after.report.iter();
    let mut waits = waits.filter(|said| said.code == BlockCode::Window);
    if waits.any(|said| open(said.wave)) {
        problems.push("it waits for a window that is open".to_owned());
    }
    Verdict::of(true, problems.into_iter())
}

/// Whether no member waits for a window that does not bind its way back, or is open to it.
fn way_back(step: &Transition<'_>) -> Verdict {
    let run = &step.after.run;
    let waits = step.after.report.iter();
    let waits = waits.filter(|said| said.code == BlockCode::Window);
    let free = |wave| {
        !heeds_windows(run) || is_open(run, wave, WindowAction::Rollback, taker(run), step.now)
    };
    let wrong = waits.filter(|said| free(said.wave)).map(|said| {
        format!(
            "the way back waits for what does not bind it: {}",
            said.message
        )
    });
    let waves = 0..run.strategy.waves.len();
    Verdict::of(waves.into_iter().any(|wave| has_windows(run, wave)), wrong)
}

/// Whether a rollback is stopped by windows at all.
fn heeds_windows(run: &Run) -> bool {
    !run.strategy.rollback.ignore_windows && run.broken_glass.is_empty()
}

/// Who takes members back.
fn taker(run: &Run) -> Invoker {
    if run.rollback.as_ref().is_some_and(|by| by.by_person) {
        Invoker::Human
    } else {
        Invoker::Automation
    }
}

fn windows(run: &Run, wave: usize) -> impl Iterator<Item = &Window> {
    let wave = run.strategy.waves.get(wave);
    let gates = wave.map_or(&[][..], |wave| &wave.gates.before);
    gates.iter().filter_map(Gate::window)
}

fn has_windows(run: &Run, wave: usize) -> bool {
    windows(run, wave).next().is_some()
}

fn mover(run: &Run, wave: usize) -> Invoker {
    let wave = run.strategy.waves.get(wave);
    if wave.is_some_and(|wave| wave.gates.before.iter().any(Gate::is_approval)) {
        Invoker::Human
    } else {
        Invoker::Automation
    }
}

fn is_open(run: &Run, wave: usize, action: WindowAction, who: Invoker, at: Timestamp) -> bool {
    let of = |kind| {
        windows(run, wave).filter(move |window| {
            window.kind == kind
                && window.actions.contains(&action)
                && window.invokers.contains(&who)
        })
    };
    let mut allowed = of(WindowKind::Allow).peekable();
    let free = allowed.peek().is_none() || allowed.any(|window| covers(window, at));
    free && !of(WindowKind::Deny).any(|window| covers(window, at))
}

/// Whether the clock on the wall of the window's zone shows a time within it.
pub(crate) fn covers(window: &Window, at: Timestamp) -> bool {
    let Ok(zone) = TimeZoneDatabase::bundled().get(&window.tz) else {
        return false;
    };
    let wall = at.to_zoned(zone).datetime();
    if let (Some(start), Some(end)) = (&window.start, &window.end) {
        let read = |text: &String| text.parse::<DateTime>().ok();
        return read(start).is_some_and(|start| start <= wall)
            && read(end).is_some_and(|end| wall < end);
    }
    let Some(Ok(cron)) = window.cron.as_deref().map(read_cron) else {
        return false;
    };
    let minutes = window.duration.unwrap_or_default().0.as_secs() / 60;
    let minute = wall.with().second(0).subsec_nanosecond(0).build();
    let Ok(minute) = minute else { return false };
    (0..minutes).any(|ago| {
        let ago = SignedDuration::from_mins(i64::try_from(ago).unwrap_or(i64::MAX));
        minute
            .checked_sub(ago)
            .is_ok_and(|began| cron.is_time_matching(&began).unwrap_or_default())
    })
}
