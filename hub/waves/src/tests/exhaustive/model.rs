//! The base model: what can happen in each state.
//!
//! Owns the actions of agents, links, people and the hub. Every step is the production one.

use std::{collections::BTreeSet, rc::Rc};

use tidegate_model::{
    assignment::{Assignment, Desired},
    deny::Deny,
    digest::Digest,
    health::Health,
    ids::{Epoch, Generation},
    policy::Policy,
    release::{EntryContent, Release, content_id},
    run::{
        Approval, GatePosition, LastGood, MemberState, Only, Request, RequestVerb, Run, RunState,
        Verdict as Word, WayBack,
    },
    strategy::Strategy,
};

use super::{
    action::{Action, Extras, May},
    state::{SITES, Site, State, TICK, cut, pull},
};
use crate::{
    AppStart, AssignKind, Begin, Effect, Facts, Planned, Step,
    admit::{Admit, Candidate, admit},
    invariants::{self, Transition, Verdict, i26_sticky_rollback, i27_pin_dominance},
    plan, start,
    step::unjudged,
    tests::fixture::{app, at, bundle, candidates, deployment, objects, release, row, run_id},
};

/// The cluster whose reports lag, and that may be cut off.
const LAGS: usize = 1;

/// A strategy with what can happen under it.
pub(crate) struct Model {
    strategy: Strategy,
    planned: Planned,
    contents: [Digest; 3],
    releases: [Release; 3],
    extras: Extras,
}

/// How a state goes on.
pub(crate) struct Next {
    pub(crate) state: State,
    /// For a step: there may be more to do at once.
    pub(crate) more: bool,
    /// For a step: nothing moved, and the run is over or waits for nothing but people.
    pub(crate) quiet: bool,
}

impl Model {
    /// Clusters 0 and 1 in the wave dev, 2 in the wave prod.
    pub(crate) fn new(strategy: Strategy, extras: Extras) -> Self {
        let rows = [row(0, "dev"), row(1, "dev"), row(2, "prod")];
        let contents = [0, 1, 2].map(|n| bundle(&format!("content {n}")));
        let releases = contents.map(|content| {
            let mut all = release(&rows);
            for entry in &mut all.entries {
                entry.content = EntryContent::Bundle(content);
            }
            all.content = content_id(&all.entries);
            all
        });
        Self {
            planned: plan(&strategy, &candidates(&rows), 1).unwrap(),
            strategy,
            contents,
            releases,
            extras,
        }
    }

    /// Everybody runs old content well, and the first run begins.
    pub(crate) fn first(&self) -> State {
        let mut sites = [0, 1, 2].map(|n| self.site(n));
        let (run, members) = self.begin(1, &sites, 1, 0);
        if self.extras.may(May::CutFirst) {
            cut(&mut sites[LAGS], 0);
        }
        State {
            run: Rc::new(run),
            members: Rc::new(members),
            older: None,
            second: false,
            now: 0,
            sites,
            newer: None,
            published: false,
            fell: false,
            denied: 0,
            taken: 0,
        }
    }

    fn site(&self, n: u64) -> Site {
        let current = Assignment {
            cluster: crate::tests::fixture::cluster(n),
            app: app(n),
            app_name: format!("p/web-{n}"),
            generation: Generation(3),
            epoch: Epoch(6),
            desired: Desired::Run {
                bundle: self.contents[0],
                policy: Policy::default(),
                namespace: "shop".to_owned(),
                run: run_id(0),
                prune_approved: false,
            },
        };
        let digest = current.digest();
        let mut site = Site {
            held: (current.generation, digest, 0),
            current: Rc::new(current),
            current_digest: digest,
            content: 0,
            good: 0,
            pin: None,
            stored: None,
            first_healthy: None,
            cut_since: None,
            confirmed: None,
            wire: None,
            health: Health::Healthy,
            healthy_since: Some(-600),
            proven: true,
        };
        site.ingest(site.word(-300), -300);
        site.confirmed = Some(0);
        site
    }

    /// A run with approvals that must open nothing: of the wrong wave, position and content, and of
    /// who made the release.
    fn begin(
        &self,
        id: u64,
        sites: &[Site; SITES],
        content: u8,
        now: i64,
    ) -> (
        Run,
        std::collections::BTreeMap<tidegate_model::run::MemberId, tidegate_model::run::Member>,
    ) {
        let starts = (0_u64..).zip(sites).map(|(n, site)| {
            let good = LastGood {
                bundle: self.contents[usize::from(site.good)],
                policy: Policy::default(),
                namespace: "shop".to_owned(),
                release: 3,
            };
            let start = AppStart {
                name: format!("p/web-{n}"),
                current: Some((*site.current).clone()),
                last_good: Some(good),
            };
            (app(n), start)
        });
        let mut release = self.releases[usize::from(content)].clone();
        release.number = 3 + id;
        let (mut run, members) = start(&Begin {
            id: run_id(id),
            epoch: Epoch(7),
            now: at(now),
            release: &release,
            strategy: &self.strategy,
            planned: &self.planned,
            apps: &starts.collect(),
        });
        let other = self.releases[usize::from(content == 1) + 1].content;
        for (wave, position, content) in [
            (0, GatePosition::Before, run.content),
            (1, GatePosition::After, run.content),
            (1, GatePosition::Before, other),
        ] {
            run.approvals.push(approval(wave, position, content));
        }
        let mut own = approval(1, GatePosition::Before, run.content);
        "ada".clone_into(&mut own.actor);
        run.approvals.push(own);
        (run, members)
    }

    /// What can happen.
    pub(crate) fn actions(&self, state: &State) -> Vec<Action> {
        let mut all = vec![Action::Step];
        all.extend(state.older.is_some().then_some(Action::Pay));
        let open = !state.run.state.is_terminal();
        let last = state.published || self.extras.publish.is_empty();
        if !state.is_live() && last && state.newer.is_none() {
            // Both runs are over: nobody looks any more, but for a person who rolls back.
            self.of_people(state, &mut all);
            return all;
        }
        // An open run is looked at with every heartbeat, and steps take no time: see `Search`.
        let held = state.run.paused.is_some_and(|paused| paused.by_person);
        if !open || held || state.run.clock.hub == at(state.now) {
            all.push(Action::Tick);
        }
        for (n, site) in state.sites.iter().enumerate() {
            let connected = site.cut_since.is_none();
            if connected && site.current.generation > site.held.0 {
                all.push(Action::Pull(n));
            }
            if site.health == Health::Progressing {
                all.push(Action::Well(n));
                let bad = match site.held.2 {
                    0 => false,
                    1 => n != 0 || !self.extras.may(May::FirstHolds),
                    _ => self.extras.may(May::SecondFails),
                };
                all.extend(bad.then_some(Action::Ill(n)));
            }
        }
        let lags = &state.sites[LAGS];
        let cut = lags.cut_since.is_some();
        if lags.wire.is_some() {
            all.push(Action::Deliver);
        }
        let first = self.extras.may(May::CutFirst) && cut;
        if first || (self.extras.may(May::Cut) && (cut || !state.second)) {
            all.push(if cut { Action::Back } else { Action::Cut });
        }
        let first = &state.sites[0];
        if self.extras.may(May::Fall) && first.held.2 == 1 {
            match first.health {
                Health::Healthy if !state.fell => all.push(Action::Fall),
                Health::Degraded if state.fell && first.proven => all.push(Action::Rise),
                _ => {}
            }
        }
        self.of_people(state, &mut all);
        all
    }

    fn of_people(&self, state: &State, all: &mut Vec<Action>) {
        let run = &state.run;
        let open = !run.state.is_terminal();
        if run.state == RunState::WaitingGate {
            let said = |actor| run.approvals[4..].iter().rfind(|word| word.actor == actor);
            let (grace, kim) = (said("grace"), said("kim"));
            all.extend(grace.is_none().then_some(Action::Approve));
            match kim.map(|word| word.verdict) {
                None if self.extras.may(May::Refuse) => all.push(Action::Refuse),
                Some(Word::Reject) => all.push(Action::Relent),
                _ => {}
            }
        }
        let held = run.paused.is_some_and(|paused| paused.by_person);
        let back = matches!(run.state, RunState::Breached | RunState::RollingBack);
        if self.extras.may(May::Pause) && open && !back && (held || !state.second) {
            all.push(if held { Action::Resume } else { Action::Pause });
        }
        let written = state
            .members
            .values()
            .any(|m| m.apps.values().any(|app| app.touched));
        if self.extras.may(May::RollBack) && written && !back && run.rollback.is_none() {
            all.push(Action::RollBack);
        }
        let rests = matches!(run.state, RunState::Failed | RunState::Paused);
        let failed = state.members.values().any(crate::step::again::may_again);
        if self.extras.may(May::Retry) && rests && failed && run.retry.is_none() {
            all.push(Action::Retry);
        }
        let lags = crate::tests::fixture::cluster(LAGS as u64);
        let mut waited = state.members.values();
        let waited = waited.any(|m| m.id.cluster == lags && crate::step::skip::is_waited_for(m));
        if self.extras.may(May::Skip) && waited && open && !back && run.rollback.is_none() {
            all.push(Action::Skip);
        }
        if !state.published && (!open || !self.extras.may(May::PublishLate)) {
            let contents = self.extras.publish.iter();
            // The same content is no news before something was taken back.
            let news = contents.filter(|content| **content == 2 || state.taken != 0);
            all.extend(news.map(|content| Action::Publish(*content)));
        }
        if self.extras.may(May::Unpin) && state.sites.iter().any(|site| site.pin.is_some()) && !open
        {
            all.push(Action::Unpin);
        }
        if state.newer.is_some() && !open {
            all.push(Action::Begin);
        }
    }

    /// Lets it happen.
    pub(crate) fn act(&self, state: &State, action: Action) -> Result<Next, String> {
        let mut next = state.clone();
        let now = state.now;
        match action {
            Action::Step => return self.step(next),
            Action::Pay => return self.pay(next),
            Action::Tick => tick(&mut next),
            Action::Pull(n) => pull(&mut next.sites[n]),
            Action::Well(n) => set_health(&mut next, n, Health::Healthy),
            Action::Ill(n) => set_health(&mut next, n, Health::Degraded),
            Action::Fall => {
                next.fell = true;
                set_health(&mut next, 0, Health::Degraded);
            }
            Action::Rise => set_health(&mut next, 0, Health::Healthy),
            Action::Deliver => {
                let site = &mut next.sites[LAGS];
                if let Some(word) = site.wire.take() {
                    site.ingest(word, now);
                }
            }
            Action::Cut => cut(&mut next.sites[LAGS], now),
            Action::Back => {
                let site = &mut next.sites[LAGS];
                site.cut_since = None;
                site.wire = Some(site.word(now));
            }
            Action::Approve | Action::Refuse | Action::Relent => {
                let run = Rc::make_mut(&mut next.run);
                let mut given = approval(1, GatePosition::Before, run.content);
                if action != Action::Approve {
                    "kim".clone_into(&mut given.actor);
                }
                if action == Action::Refuse {
                    given.verdict = Word::Reject;
                }
                run.approvals.push(given);
            }
            Action::Pause => return self.ask(next, RequestVerb::Pause, Only::default()),
            Action::Resume => return self.ask(next, RequestVerb::Resume, Only::default()),
            Action::RollBack => return self.ask(next, RequestVerb::Rollback, Only::default()),
            Action::Retry => return self.ask(next, RequestVerb::Retry, Only::default()),
            Action::Skip => return self.ask(next, RequestVerb::Skip, lagging()),
            Action::Publish(content) => self.publish(&mut next, content)?,
            Action::Unpin => {
                (next.denied, next.taken) = (0, 0);
                next.sites.iter_mut().for_each(|site| site.pin = None);
            }
            Action::Begin => self.begin_second(&mut next),
        }
        Ok(Next {
            state: next,
            more: false,
            quiet: false,
        })
    }

    fn begin_second(&self, next: &mut State) {
        let content = next.newer.take().unwrap_or_default();
        tick(next);
        next.older = next.run.owes.then(|| next.own());
        let (run, members) = self.begin(2, &next.sites, content, next.now);
        (next.run, next.members, next.second) = (Rc::new(run), Rc::new(members), true);
    }

    /// A person's word is carried out at once.
    fn ask(&self, mut state: State, verb: RequestVerb, only: Only) -> Result<Next, String> {
        Rc::make_mut(&mut state.run).request = Some(Request {
            verb,
            actor: "ada".to_owned(),
            reason: "because".to_owned(),
            way: WayBack {
                only,
                ..WayBack::default()
            },
        });
        let next = self.step(state)?;
        Ok(Next {
            quiet: false,
            ..next
        })
    }

    /// The production step, judged by every invariant and by the truth, and stored.
    fn step(&self, state: State) -> Result<Next, String> {
        let facts = state.facts();
        self.step_with(state, &facts)
    }

    /// The same for the first run, beside the second.
    fn pay(&self, mut state: State) -> Result<Next, String> {
        let facts = state.facts_of_older();
        let own = state.own();
        (state.run, state.members) = state.older.take().unwrap();
        let mut next = self.step_with(state, &facts)?;
        let older = next.state.own();
        next.state.older = older.0.owes.then_some(older);
        (next.state.run, next.state.members) = own;
        next.quiet = false;
        Ok(next)
    }

    fn step_with(&self, mut state: State, facts: &Facts) -> Result<Next, String> {
        let now = at(state.now);
        let (step, members_after) = unjudged(&state.run, &state.members, facts, now);
        let broken = invariants::check(&Transition {
            run: &state.run,
            members: &state.members,
            facts,
            now,
            after: &step,
            members_after: &members_after,
        });
        if let Some(problem) = broken.first() {
            return Err(problem.clone());
        }
        for effect in &step.effects {
            self.store(&mut state, effect)?;
        }
        let over = step.run.state.is_terminal();
        let quiet = is_quiet(&step) && state.older.is_none() && (state.newer.is_none() || !over);
        if step.run != *state.run {
            state.run = Rc::new(step.run.clone());
        }
        if !step.changed.is_empty() {
            state.members = Rc::new(members_after);
        }
        Ok(Next {
            state,
            more: step.more,
            quiet,
        })
    }

    fn store(&self, state: &mut State, effect: &Effect) -> Result<(), String> {
        match effect {
            Effect::Assign(assign) => {
                let content = self.content(assign.assignment.bundle());
                if assign.kind == AssignKind::Forward {
                    check_truth(state, assign.member.wave, content)?;
                }
                let site = site_of(state, &assign.assignment);
                let before = site.content;
                site.content = content;
                site.current_digest = assign.assignment.digest();
                site.current = Rc::new(assign.assignment.clone());
                if assign.kind == AssignKind::Revert && before != content {
                    state.taken |= 1 << before;
                }
            }
            Effect::RecordLastGood { app: own, good, .. } => {
                let content = self.content(Some(good.bundle));
                let site = (0_u64..)
                    .zip(&mut state.sites)
                    .find(|(n, _)| app(*n) == *own);
                if let Some((_, site)) = site {
                    site.good = content;
                }
            }
            Effect::Pin(pin) => {
                let site = (0_u64..)
                    .zip(&mut state.sites)
                    .find(|(n, _)| app(*n) == pin.app);
                if let Some((_, site)) = site {
                    site.pin = Some(Rc::new(pin.clone()));
                }
            }
            Effect::Deny { bad, .. } => state.denied |= 1 << self.content(Some(*bad)),
            Effect::Audit(_) => {}
        }
        Ok(())
    }

    fn content(&self, bundle: Option<Digest>) -> u8 {
        let place = self
            .contents
            .iter()
            .position(|known| Some(*known) == bundle);
        u8::try_from(place.unwrap()).unwrap()
    }

    /// A release is made if nothing of it is held; it opens the pins that it converges with.
    fn publish(&self, state: &mut State, content: u8) -> Result<(), String> {
        let bundle = self.contents[usize::from(content)];
        let offered: Vec<_> = (0..SITES as u64)
            .map(|n| Candidate {
                app: app(n),
                bundle,
                objects: objects(bundle),
            })
            .collect();
        let pins: Vec<_> = state
            .sites
            .iter()
            .filter_map(|site| site.pin.as_deref().cloned())
            .collect();
        let admitted = admit(&offered, &pins, &self.denies(state.denied));
        let truth = self.denies(state.taken);
        for (name, verdict) in [
            (
                "i26_sticky_rollback",
                i26_sticky_rollback(&offered, &truth, &admitted),
            ),
            (
                "i27_pin_dominance",
                i27_pin_dominance(&offered, &pins, &admitted),
            ),
        ] {
            if let Verdict::Broken(problem) = verdict {
                return Err(format!("{name}: {problem}"));
            }
        }
        if admitted.values().any(Admit::is_held) {
            return Ok(());
        }
        state.published = true;
        state.newer = Some(content);
        state.sites.iter_mut().for_each(|site| site.pin = None);
        Ok(())
    }

    fn denies(&self, bits: u8) -> BTreeSet<Deny> {
        let all = (0..).zip(&self.contents);
        all.filter(|(n, _)| bits & (1 << *n) != 0)
            .map(|(_, content)| deployment(*content))
            .collect()
    }
}

/// Nothing that was taken back goes out again, and prod moves only after dev was really healthy.
fn check_truth(state: &State, wave: u32, content: u8) -> Result<(), String> {
    if state.taken & (1 << content) != 0 {
        return Err(format!(
            "i26_sticky_rollback: content {content} goes out again"
        ));
    }
    let earlier = state
        .members
        .values()
        .filter(|member| member.id.wave < wave && member.state == MemberState::Soaked);
    for member in earlier {
        for (own, known) in member.apps.iter().filter(|(_, app)| app.touched) {
            let site = (0_u64..).zip(&state.sites).find(|(n, _)| app(*n) == *own);
            let site = site.map(|(_, site)| site);
            if !site.is_some_and(|site| Some(site.held.0) == known.generation && site.proven) {
                return Err(format!("truth: prod moves and {own} was never healthy"));
            }
        }
    }
    Ok(())
}

/// The cluster whose reports lag.
fn lagging() -> Only {
    Only {
        clusters: [crate::tests::fixture::cluster(LAGS as u64)].into(),
        ..Only::default()
    }
}

fn is_quiet(step: &Step) -> bool {
    let mut causes = step
        .report
        .iter()
        .filter(|said| said.code != crate::BlockCode::Turn);
    let people = causes.clone().next().is_some() && causes.all(|said| said.code.is_human());
    !step.more && (!step.run.is_live() || people)
}

fn site_of<'a>(state: &'a mut State, assignment: &Assignment) -> &'a mut Site {
    let mut sites = (0_u64..).zip(&mut state.sites);
    let own = sites.find(|(n, _)| app(*n) == assignment.app);
    own.map(|(_, site)| site).unwrap()
}

fn tick(state: &mut State) {
    state.now += TICK;
    let now = state.now;
    for site in &mut state.sites {
        site.confirmed = site.is_confirmed(now).then_some(now);
    }
}

/// Its report arrives at once, or is on its way.
fn set_health(state: &mut State, n: usize, health: Health) {
    let (site, now) = (&mut state.sites[n], state.now);
    site.health = health;
    site.healthy_since = (health == Health::Healthy).then_some(now);
    site.proven |= health == Health::Healthy;
    if n != LAGS {
        site.ingest(site.word(now), now);
    } else if site.cut_since.is_none() {
        site.wire = Some(site.word(now));
    }
}

fn approval(wave: usize, position: GatePosition, content: Digest) -> Approval {
    Approval {
        wave,
        position,
        content,
        verdict: Word::Approve,
        actor: "grace".to_owned(),
        groups: Vec::new(),
        reason: "looks good".to_owned(),
        at: at(0),
        soak: 0,
    }
}
