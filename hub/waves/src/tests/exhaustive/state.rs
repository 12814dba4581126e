//! The base model's states: hub, links and agents of three clusters with one application each.
//!
//! Owns what is in a state, how the facts are read off it, how effects are stored in it, and its
//! fingerprint. The engine's part of it is the production [`Run`] and its members.

use std::{collections::BTreeMap, rc::Rc};

use jiff::Timestamp;
use tidegate_model::{
    assignment::Assignment,
    deny::Pin,
    digest::Digest,
    duration::Span,
    health::Health,
    ids::{AppUid, Epoch, Generation},
    report::{Phase, Report},
    run::{Cause, Member, MemberId, ProgressClock, Run, RunState},
};

use crate::{
    AppFacts, ClusterFacts, Evidence, Facts,
    debts::{self, Side},
    tests::fixture::{app, at, cluster},
};

/// Clusters of the model.
pub(crate) const SITES: usize = 3;
/// A tick, in seconds: a heartbeat.
pub(crate) const TICK: i64 = 30;
/// No wait of the model is longer than a tick, so older is as old.
const OLD: i64 = TICK;

/// What an agent says: always that everything is applied; its health is in question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) generation: Generation,
    pub(crate) digest: Digest,
    pub(crate) content: u8,
    pub(crate) health: Health,
    pub(crate) healthy_for: i64,
}

/// One cluster, on both ends of its link.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// The hub's last word and its content.
    pub(crate) current: Rc<Assignment>,
    pub(crate) current_digest: Digest,
    pub(crate) content: u8,
    /// Content of the last known good.
    pub(crate) good: u8,
    pub(crate) pin: Option<Rc<Pin>>,
    /// The stored report, when it came and when the first of its healthy stretch did.
    pub(crate) stored: Option<(Word, i64)>,
    pub(crate) first_healthy: Option<i64>,
    pub(crate) cut_since: Option<i64>,
    pub(crate) confirmed: Option<i64>,
    /// The report on its way; a newer one takes its place.
    pub(crate) wire: Option<Word>,
    /// What the agent holds, and since when it is healthy.
    pub(crate) held: (Generation, Digest, u8),
    pub(crate) health: Health,
    pub(crate) healthy_since: Option<i64>,
    /// What it holds was healthy once: the truth, whatever was reported.
    pub(crate) proven: bool,
}

impl Site {
    /// What the agent would say now.
    pub(crate) fn word(&self, now: i64) -> Word {
        let (generation, digest, content) = self.held;
        Word {
            generation,
            digest,
            content,
            health: self.health,
            healthy_for: self.healthy_since.map_or(0, |since| now - since),
        }
    }

    pub(crate) fn is_confirmed(&self, now: i64) -> bool {
        let same = self.stored.is_some_and(|(stored, _)| {
            let word = self.word(now);
            (stored.generation, stored.health) == (word.generation, word.health)
        });
        same && self.cut_since.is_none() && self.wire.is_none()
    }

    /// The hub stores a report.
    pub(crate) fn ingest(&mut self, word: Word, now: i64) {
        let healthy = |word: &Word| word.health == Health::Healthy;
        let same = self.stored.is_some_and(|(known, _)| {
            healthy(&known) && (known.generation, known.digest) == (word.generation, word.digest)
        });
        self.first_healthy = match healthy(&word) {
            true if same => self.first_healthy.or(Some(now)),
            true => Some(now),
            false => None,
        };
        self.stored = Some((word, now));
        self.confirmed = self.is_confirmed(now).then_some(now);
    }

    fn facts(&self, n: u64, now: i64) -> ClusterFacts {
        let evidence = self.stored.map(|(word, received)| Evidence {
            report: report(n, word),
            received_at: at(received),
            confirmed_at: at(self.confirmed.unwrap_or(received)),
            first_healthy_at: self.first_healthy.map(at),
            fresh: self.cut_since.is_none()
                && self
                    .confirmed
                    .is_some_and(|confirmed| now - confirmed <= TICK),
        });
        let facts = AppFacts {
            removed: false,
            highest: self.current.generation,
            current: Some((*self.current).clone()),
            evidence,
            owed: None,
            overtaken: false,
        };
        ClusterFacts {
            unreachable_since: self.cut_since.map(at),
            removed: false,
            apps: [(app(n), facts)].into(),
        }
    }
}

fn report(n: u64, word: Word) -> Report {
    Report {
        app: app(n),
        generation: word.generation,
        digest: word.digest,
        phase: Phase::Applied,
        health: word.health,
        healthy_for: Span::secs(word.healthy_for.unsigned_abs()),
        drift: Vec::new(),
        problems: Vec::new(),
        held_prune: None,
    }
}

/// A run as the hub holds it.
pub(crate) type Held = (Rc<Run>, Rc<BTreeMap<MemberId, Member>>);

/// Everything.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) run: Rc<Run>,
    pub(crate) members: Rc<BTreeMap<MemberId, Member>>,
    /// The first run beside the second, while it owes something.
    pub(crate) older: Option<Held>,
    /// The run's place: first or second.
    pub(crate) second: bool,
    pub(crate) now: i64,
    pub(crate) sites: [Site; SITES],
    /// Content of the second release while it waits for its run.
    pub(crate) newer: Option<u8>,
    pub(crate) published: bool,
    /// The first cluster fell back once.
    pub(crate) fell: bool,
    /// Contents that the engine denied, and those that reverts really took back.
    pub(crate) denied: u8,
    pub(crate) taken: u8,
}

impl State {
    /// What the second run is told; the first one while it is alone.
    pub(crate) fn facts(&self) -> Facts {
        let mut facts = self.common();
        if let Some(older) = &self.older {
            for (app, known) in apps_of(&mut facts) {
                known.owed = debts::owed(side(older), side(&self.own()), app);
            }
        }
        self.heed_pins(&self.run, &mut facts);
        facts
    }

    /// What the first run is told beside the second.
    pub(crate) fn facts_of_older(&self) -> Facts {
        let mut facts = self.common();
        facts.newer_run = true;
        for (app, known) in apps_of(&mut facts) {
            known.overtaken = debts::overtaken(side(&self.own()), app);
        }
        if let Some((run, _)) = &self.older {
            self.heed_pins(run, &mut facts);
        }
        facts
    }

    pub(crate) fn own(&self) -> Held {
        (Rc::clone(&self.run), Rc::clone(&self.members))
    }

    /// What is pinned is not brought what was owed before.
    fn heed_pins(&self, run: &Run, facts: &mut Facts) {
        for (app, known) in apps_of(facts).filter(|_| run.owes) {
            let pins = self.sites.iter().filter_map(|site| site.pin.as_ref());
            if pins.into_iter().any(|pin| pin.app == app) {
                known.overtaken = true;
            }
        }
    }

    /// Whether somebody moves by himself: the run, or the one before it.
    pub(crate) fn is_live(&self) -> bool {
        self.run.is_live() || self.older.is_some()
    }

    fn common(&self) -> Facts {
        let sites = (0_u64..).zip(&self.sites);
        Facts {
            answers: BTreeMap::new(),
            epoch: Epoch(7),
            newer_release: self.newer.map(|_| 5),
            newer_run: false,
            back: None,
            measured: BTreeMap::new(),
            clusters: sites
                .map(|(n, site)| (cluster(n), site.facts(n, self.now)))
                .collect(),
        }
    }

    /// Equal for states that go on alike: times count from now, ages are cut off where nothing asks
    /// any more, generations count down from the highest.
    pub(crate) fn fingerprint(&self) -> u128 {
        let mut print = Print::default();
        print.put(u64::from(self.denied) | u64::from(self.taken) << 8);
        print.put(self.newer.map_or(9, u64::from));
        for flag in [self.second, self.published, self.fell] {
            print.put(u64::from(flag));
        }
        let older = self.older.clone();
        for (run, members) in older.iter().chain([&self.own()]) {
            print.put(run.state as u64 | u64::from(run.owes) << 8);
            print.digest(&run.content);
            // Nobody asks again about a run that went back.
            if !(run.state.is_terminal() && run.rollback.is_some()) {
                self.header(run, &mut print);
                for (member, site) in members.values().zip(self.in_order()) {
                    self.member(run, member, site, &mut print);
                }
            }
        }
        print.put(u64::from(older.is_some()));
        for site in &self.sites {
            self.site(site, &mut print);
        }
        print.get()
    }

    /// The sites in the order of the members.
    fn in_order(&self) -> impl Iterator<Item = &Site> {
        let ids = self.members.keys();
        ids.filter_map(|id| {
            let site = (0_u64..).zip(&self.sites);
            let mut own = site.filter(|(n, _)| cluster(*n) == id.cluster);
            own.next().map(|(_, site)| site)
        })
    }

    /// Whether somebody asks how long health has lasted: on the way back nobody does, and a run
    /// begins a tick after the one before, when all health is old.
    fn is_forward(&self) -> bool {
        let state = self.run.state;
        let back = matches!(state, RunState::Breached | RunState::RollingBack);
        !back && !state.is_terminal() || self.run.owes || self.older.is_some()
    }

    fn header(&self, run: &Run, print: &mut Print) {
        let (shows, hub) = (secs(run.clock.shows), secs(run.clock.hub));
        let words = run.approvals.iter().rev().take(3);
        let words = words.fold(0, |all, word| {
            let kim = u64::from(word.actor == "kim");
            all << 2 | kim << 1 | word.verdict as u64
        });
        print.put(run.wave as u64 | (run.approvals.len() as u64) << 8 | words << 16);
        let why = if self.is_forward() {
            cause(run.cause.as_ref())
        } else {
            0
        };
        print.put(why | run.gate.map_or(9, |gate| gate as u64) << 8);
        let paused = run
            .paused
            .map(|paused| paused.from as u64 * 2 + u64::from(paused.by_person));
        let by_person = run.rollback.as_ref().map(|by| by.by_person);
        print.put(
            run.retry
                .as_ref()
                .map_or(9, |retry| u64::from(retry.pending)),
        );
        print.put(paused.unwrap_or(99) | by_person.map_or(2, u64::from) << 8);
        let running = run
            .soak
            .running_since
            .map_or(0, |since| shows - secs(since));
        let soaked = i64::try_from(run.soak.done.0.as_secs()).unwrap_or(OLD) + running;
        if self.is_forward() {
            print.put(age(soaked) | u64::from(run.soak.running_since.is_some()) << 8);
        }
        print.put(age(self.now - hub) | u64::from(self.now > secs(run.started_at)) << 8);
    }

    fn member(&self, run: &Run, member: &Member, site: &Site, print: &mut Print) {
        let shows = secs(run.clock.shows);
        let flags = u64::from(member.deferred) * 4
            + u64::from(member.healthy_since.is_some()) * 2
            + u64::from(member.reached);
        print.put(member.state as u64 | cause(member.cause.as_ref()) << 8 | flags << 16);
        let ProgressClock {
            used,
            running_since,
        } = member.progress;
        let running = running_since.map_or(0, |since| shows - secs(since));
        let used = i64::try_from(used.0.as_secs()).unwrap_or(OLD) + running;
        let cut = member
            .unreachable_since
            .map_or(9, |since| age(self.now - secs(since)));
        print.put(age(used) | u64::from(running_since.is_some()) << 8 | cut << 16);
        let back = |generation: Option<Generation>| {
            generation.map_or(99, |known| site.current.generation.0 - known.0)
        };
        for app in member.apps.values() {
            let unchanged = !app.touched && app.generation.is_some();
            let began = secs(run.started_at);
            let late = unchanged && site.confirmed.is_some_and(|at| at > began);
            let flags = u64::from(app.touched) | u64::from(late) << 1;
            print.put(back(app.generation) | back(app.revert) << 8 | flags << 16);
            if let Some(good) = &app.last_good {
                print.digest(&good.bundle);
            }
        }
    }

    fn site(&self, site: &Site, print: &mut Print) {
        let now = self.now;
        let back = |generation: Generation| site.current.generation.0 - generation.0;
        let word = |word: Option<Word>, said: i64| {
            word.map_or(u64::MAX, |word| {
                let healthy = word.health == Health::Healthy;
                let known = back(word.generation) << 24 | u64::from(word.content) << 16;
                known
                    | (word.health as u64) << 8
                    | if healthy && self.is_forward() {
                        age(said)
                    } else {
                        0
                    }
            })
        };
        let pin = site.pin.as_ref();
        let pinned = pin.map_or(9, |pin| pin.release as u64);
        print.put(u64::from(site.content) | u64::from(site.good) << 8 | pinned << 16);
        if let Some(pin) = pin {
            print.digest(&pin.bundle);
            print.digest(&pin.bad);
        }
        // Health counts no longer than the agent says, nor than the hub knows.
        let known = site.first_healthy.map_or(0, |first| now - first);
        let stored = site.stored.map(|(stored, at)| (stored, now - at));
        let said = stored.map_or(0, |(stored, since)| known.min(stored.healthy_for + since));
        print.put(word(stored.map(|(stored, _)| stored), said));
        print.put(word(
            site.wire,
            site.wire.map_or(0, |word| word.healthy_for),
        ));
        let cut = site.cut_since.map_or(9, |since| age(now - since));
        print.put(cut | u64::from(site.confirmed == Some(now)) << 8);
        print.put(back(site.held.0) << 16 | u64::from(site.held.2) << 8 | site.health as u64);
        let forward = self.is_forward();
        let healthy = site.healthy_since.filter(|_| forward);
        let healthy = healthy.map_or(9, |since| age(now - since));
        print.put(healthy << 8 | u64::from(site.proven));
    }
}

fn side(held: &Held) -> Side<'_> {
    Side {
        run: &held.0,
        members: &held.1,
    }
}

fn apps_of(facts: &mut Facts) -> impl Iterator<Item = (AppUid, &mut AppFacts)> {
    let apps = facts.clusters.values_mut();
    apps.flat_map(|cluster| &mut cluster.apps)
        .map(|(uid, app)| (*uid, app))
}

fn secs(at: Timestamp) -> i64 {
    at.as_second() - 1_700_000_000
}

/// Ticks, as far as anything asks for them.
fn age(secs: i64) -> u64 {
    secs.clamp(0, OLD).unsigned_abs() / TICK.unsigned_abs()
}

fn cause(cause: Option<&Cause>) -> u64 {
    cause.map_or(99, |cause| cause.code as u64)
}

/// 128 bits over what is put in: two lanes of folded multiplication.
struct Print(u64, u64);

impl Default for Print {
    fn default() -> Self {
        Self(0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344)
    }
}

impl Print {
    fn put(&mut self, value: u64) {
        self.0 = fold(self.0 ^ value, 0xa076_1d64_78bd_642f);
        self.1 = fold(self.1.rotate_left(17) ^ value, 0xe703_7ed1_a0b4_28db);
    }

    fn digest(&mut self, digest: &Digest) {
        let bytes = digest.as_bytes().first_chunk().copied().unwrap_or_default();
        self.put(u64::from_be_bytes(bytes));
    }

    fn get(&self) -> u128 {
        u128::from(self.0) << 64 | u128::from(self.1)
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    let [high, low] = halves(wide);
    high ^ low
}

/// The upper and the lower half.
pub(crate) fn halves(wide: u128) -> [u64; 2] {
    let [a, b] = [wide >> 64, wide & u128::from(u64::MAX)];
    [a, b].map(|half| u64::try_from(half).unwrap_or_default())
}

/// No session any more.
pub(crate) fn cut(site: &mut Site, now: i64) {
    (site.cut_since, site.confirmed, site.wire) = (Some(now), None, None);
}

/// The agent takes the last word over.
pub(crate) fn pull(site: &mut Site) {
    site.held = (site.current.generation, site.current_digest, site.content);
    site.proven = false;
    site.healthy_since = None;
    site.health = Health::Progressing;
}
