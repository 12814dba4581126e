//! What becomes of the run, now that its members are up to date.
//!
//! Owns the run's states on the way forward and out of it: doors and gates, soak, regression,
//! supersede. Never looks at a report: members carry what the evidence says. Makes at
//! most one change of state a step, and none that lets something happen while members wait to be
//! stored.

use std::time::Duration;

use tidegate_model::{
    duration::Span,
    run::{Cause, CauseCode, GatePosition, Member, MemberState, Paused, RunState, SoakClock},
    strategy::{SoakMode, SupersedeWhen},
};

use super::{
    analysis, assign, breach, debt, finish, gates, member, windows,
    work::{Work, elapsed, is_opened},
};
use crate::{
    Action, SYSTEM, evidence,
    mutant::{self, Mutant},
};

/// Decides.
pub(crate) fn decide(work: &mut Work<'_>) {
    if work.paused_by_person() && !mutant::on(Mutant::PauseIgnored) {
        return;
    }
    if work.run.state == RunState::Breached {
        return breach::answer(work);
    }
    if let Some(cause) = breach::look(work) {
        return breach::begin(work, cause);
    }
    if work.run.strategy.supersede.newer == SupersedeWhen::Immediately
        && let Some(newer) = work.facts.newer_release
        && !mutant::on(Mutant::SupersedeLate)
    {
        return finish::supersede(work, newer);
    }
    let regressed = work
        .members()
        .find(|known| known.state == MemberState::Soaked && member::is_regressed(known))
        .cloned();
    let moves = matches!(
        work.run.state,
        RunState::WaitingGate | RunState::Rolling | RunState::Soaking
    );
    if moves
        && regressed.is_none()
        && !work.is_truncated()
        && let Some(first) = pays_from(work)
    {
        assign::pay(work, first);
    }
    match (work.run.state, regressed) {
        (RunState::Paused, Some(_)) => wait_for_recovery(work),
        (RunState::Paused, None) => go_on(work),
        (_, Some(regressed)) => pause(work, &regressed),
        (RunState::WaitingGate, None) if is_opened(&work.run) => after_gate(work),
        (RunState::Planned | RunState::WaitingGate, None) => door(work),
        (RunState::Rolling, None) => roll(work),
        (RunState::Soaking, None) => soak(work),
        (RunState::Superseded, None) if mutant::on(Mutant::ZombieAssigns) => roll(work),
        (_, None) => {}
    }
}

/// The first wave whose deferred members are brought what they are owed. What a newer release is about
/// to take over is brought to nobody any more, except where the open wave cannot come to its end
/// without.
pub(crate) fn pays_from(work: &Work<'_>) -> Option<usize> {
    if takes_over(work).is_none() || work.run.state.is_terminal() {
        return Some(0);
    }
    let open = work.run.state == RunState::Rolling && !is_through(work);
    open.then_some(work.run.wave)
}

/// The newer release, if there is one and the strategy lets it take over when nothing is under way.
fn takes_over(work: &Work<'_>) -> Option<u64> {
    match work.run.strategy.supersede.newer {
        SupersedeWhen::FinishWave | SupersedeWhen::Immediately => work.facts.newer_release,
        SupersedeWhen::Queue | SupersedeWhen::Never => work
            .facts
            .newer_release
            .filter(|_| mutant::on(Mutant::SupersedeUnasked)),
    }
}

/// Stands before the open wave.
fn door(work: &mut Work<'_>) {
    if work.is_truncated() {
        return;
    }
    let wave = work.run.wave;
    if wave >= work.run.plan.waves.len() {
        return finish::finish(work, RunState::Succeeded, None, SYSTEM);
    }
    if let Some(newer) = takes_over(work)
        && !mutant::on(Mutant::NewerReleaseIgnored)
    {
        return finish::supersede(work, newer);
    }
    if work
        .wave_members(wave)
        .all(|member| member.state == MemberState::Skipped)
    {
        // Nobody is there to be asked about: an empty wave skips its gates too.
        work.run.wave += 1;
        work.run.gate = None;
        work.run.state = RunState::WaitingGate;
        return;
    }
    let was_shut = work.run.gate.is_some() && windows::has_windows(&work.run, wave);
    if was_shut && mutant::on(Mutant::WindowNeverReopens) {
        return;
    }
    if let Some(closed) = windows::closed(&work.run, wave, work.hub_now) {
        return gates::close(work, GatePosition::Before, &closed.message());
    }
    if !gates::pass(work, GatePosition::Before) {
        let why = gates::why(work, GatePosition::Before);
        return gates::close(work, GatePosition::Before, &why);
    }
    work.run.state = RunState::Rolling;
    work.run.gate = None;
    if !mutant::on(Mutant::SoakCarriedOver) {
        work.run.soak = SoakClock::default();
    }
    let name = work.run.plan.waves.get(wave).map_or("", |wave| &wave.name);
    let reason = format!("wave {name} opens");
    work.decide(Action::OpenWave, reason);
}

fn roll(work: &mut Work<'_>) {
    if work.is_truncated() {
        return;
    }
    debt::defer(work);
    if is_through(work) {
        work.run.state = RunState::Soaking;
        analysis::begin(work);
        return;
    }
    let assigned = assign::assign(work);
    if let Some(newer) = takes_over(work)
        && !assigned
        && (nothing_moves(work) || mutant::on(Mutant::SupersedeMidFlight))
    {
        // The wave waits for clusters that are cut off, or for the hour at which the rest may be
        // assigned; the newer release must not starve with it.
        finish::supersede(work, newer);
    }
}

/// Whether nobody in the open wave is on the way, or will be by what others do.
fn nothing_moves(work: &Work<'_>) -> bool {
    let wave = work.run.wave;
    let closed = windows::closed(&work.run, wave, work.hub_now).is_some();
    work.wave_members(wave).all(|member| match member.state {
        MemberState::Unreachable => true,
        MemberState::Queued => closed,
        MemberState::Deferred => !assign::takes_place(work, member),
        _ => is_settled(member),
    })
}

fn soak(work: &mut Work<'_>) {
    let wave = work.run.wave;
    if !is_through(work) && !mutant::on(Mutant::SoakWhileUnwell) {
        stop_soak(work);
        work.run.state = RunState::Rolling;
        return;
    }
    if work.run.soak.running_since.is_none() {
        analysis::begin(work);
    }
    analysis::take_in(work);
    if let Some(cause) = analysis::failed(work) {
        return breach::begin(work, cause);
    }
    if let Some(why) = analysis::says_too_little(work) {
        work.run.soak = SoakClock {
            done: Span(soaked(work)),
            running_since: None,
        };
        return gates::close(work, GatePosition::Analysis, &why);
    }
    let soaks = soaked(work) < work.spec(wave).soak.time.0 && !mutant::on(Mutant::SoakSkipped);
    if work.is_truncated() || soaks || analysis::lacks(work) {
        return;
    }
    if gates::pass(work, GatePosition::After) {
        return finish_wave(work);
    }
    work.run.soak = SoakClock {
        done: work.spec(wave).soak.time,
        running_since: None,
    };
    let why = gates::why(work, GatePosition::After);
    gates::close(work, GatePosition::After, &why);
}

fn after_gate(work: &mut Work<'_>) {
    if !is_through(work) {
        stop_soak(work);
        work.run.state = RunState::Rolling;
        work.run.gate = None;
        return;
    }
    if work.is_truncated() {
        return;
    }
    if work.run.gate == Some(GatePosition::Analysis) {
        if gates::pass(work, GatePosition::Analysis) {
            return soak_on(work);
        }
    } else if gates::pass(work, GatePosition::After) {
        return finish_wave(work);
    }
    if let Some(newer) = takes_over(work) {
        finish::supersede(work, newer);
    }
}

/// A person goes on with what is not known: the rest of the soak is the same one's.
fn soak_on(work: &mut Work<'_>) {
    work.run.state = RunState::Soaking;
    work.run.gate = None;
    work.run.soak.running_since = Some(work.now);
    if let Some(known) = work.run.analysing.as_mut() {
        known.accepted = true;
    }
}

/// Nothing is in flight and everybody is healthy. The next step records what ran well and stands
/// before the next wave.
fn finish_wave(work: &mut Work<'_>) {
    let name = work
        .run
        .plan
        .waves
        .get(work.run.wave)
        .map_or("", |wave| &wave.name);
    let reason = format!("wave {name} is done");
    work.decide(Action::FinishWave, reason);
    work.run.wave += 1;
    work.run.gate = None;
    if !mutant::on(Mutant::SoakCarriedOver) {
        work.run.soak = SoakClock::default();
    }
    work.run.state = RunState::WaitingGate;
}

/// Whether nobody of the open wave is waited for. Where some were deferred, others must have shown
/// that the content works: a wave with nobody healthy has shown nothing.
fn is_through(work: &Work<'_>) -> bool {
    let members = || work.wave_members(work.run.wave);
    let healthy = |member: &Member| member.state == MemberState::Healthy;
    let shown = members().any(healthy) || !members().any(debt::is_deferred);
    members().all(is_settled) && (shown || mutant::on(Mutant::DeferredAloneIsDone))
}

/// Whether nothing more is waited for: it is healthy, left out, deferred, or failed within the
/// budget.
pub(crate) fn is_settled(member: &Member) -> bool {
    use MemberState::{Deferred, Healthy, Skipped};
    matches!(member.state, Healthy | Skipped | Deferred)
        || member.state.is_failed()
        || (member.state == MemberState::Verifying && mutant::on(Mutant::NextWaveEarly))
        || (member.state == MemberState::Unreachable && mutant::on(Mutant::UnreachableSettled))
}

/// How long the open wave has soaked: what is banked, and since then no more than the member with
/// the least unbroken health has.
fn soaked(work: &Work<'_>) -> Duration {
    let Some(since) = work.run.soak.running_since else {
        return work.run.soak.done.0;
    };
    let members = work.wave_members(work.run.wave);
    let least = members
        .filter(|member| member.state == MemberState::Healthy)
        .map(|member| {
            let cluster = work.cluster(&member.id);
            let seen = evidence::see(member, cluster, evidence::Side::Forward, work.times());
            seen.credit
        })
        .min();
    let shown = elapsed(since, work.now);
    let done = work.run.soak.done.0;
    if is_continuous(work) {
        // A break between two reports shows in how long the agents say that they are healthy.
        let all = done.saturating_add(shown);
        return least.map_or(all, |least| least.min(all));
    }
    done.saturating_add(least.map_or(shown, |least| least.min(shown)))
}

/// Moves what has soaked into the bank, so that what follows cannot take it back. Called whenever
/// the run's clock is stored.
pub(crate) fn bank_soak(work: &mut Work<'_>) {
    if work.run.state == RunState::Soaking && work.run.soak.running_since.is_some() {
        work.run.soak.done.0 = soaked(work);
        work.run.soak.running_since = Some(work.now);
    }
}

/// Stops the soak clock. What is not banked is lost: nobody knows when health ended. Where the soak
/// must be unbroken, all of it is.
pub(crate) fn stop_soak(work: &mut Work<'_>) {
    work.run.soak.running_since = None;
    if is_continuous(work) && !mutant::on(Mutant::ContinuousGoesOn) {
        work.run.soak.done = Span::default();
    }
}

fn is_continuous(work: &Work<'_>) -> bool {
    work.spec(work.run.wave).soak.clock == SoakMode::Continuous
}

fn pause(work: &mut Work<'_>, regressed: &Member) {
    stop_soak(work);
    work.run.paused = Some(Paused {
        from: work.run.state,
        by_person: false,
    });
    work.run.state = RunState::Paused;
    let message = breach::describe(work, regressed);
    work.run.cause = Some(Cause {
        code: CauseCode::Regression,
        message: message.clone(),
    });
    work.decide(Action::Pause, message);
}

/// Paused by a regression that goes on. A newer release may hold the repair: before an unopened
/// wave nothing is in flight, and it takes over.
fn wait_for_recovery(work: &mut Work<'_>) {
    if let Some(newer) = takes_over(work)
        && !is_opened(&work.run)
        && !work.is_truncated()
    {
        finish::supersede(work, newer);
    }
}

fn go_on(work: &mut Work<'_>) {
    let Some(paused) = work.run.paused.take() else {
        return;
    };
    work.run.state = paused.from;
    work.run.cause = None;
    work.decide(
        Action::Resume,
        "nobody in the earlier waves is unwell any more",
    );
}
