//! Who belongs to which wave, and in which order.
//!
//! A pure function of strategy, members and seed: the same input gives the same plan, whatever the
//! order of arrival. Never looks at content: the same plan serves a preview.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use sha2::{Digest as _, Sha256};
use tidegate_model::{
    ids::{AppUid, ClusterUid},
    run::{MemberId, Plan, PlannedWave},
    strategy::{Amount, BudgetMode, Limit, Strategy, StrategyType, Unmatched, Wave},
};

use crate::{
    mutant::{self, Mutant},
    validate::{StrategyErrors, validate},
};

/// One application that a release could bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its cluster.
    pub cluster: ClusterUid,
    /// The cluster's name.
    pub cluster_name: String,
    /// The cluster's labels.
    pub cluster_labels: BTreeMap<String, String>,
    /// The application.
    pub app: AppUid,
    /// The application's labels.
    pub app_labels: BTreeMap<String, String>,
}

/// A plan and what a run needs of it besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Waves and order.
    pub plan: Plan,
    /// The member that each planned application belongs to; excluded ones are not in it.
    pub placement: BTreeMap<AppUid, MemberId>,
    /// Names of the clusters, for people.
    pub cluster_names: BTreeMap<ClusterUid, String>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The strategy is wrong by itself.
    #[error(transparent)]
    Strategy(#[from] StrategyErrors),
    /// The strategy names a plan instead of being one.
    #[error(
        "failed to plan the waves: there is no WavePlan {name} in the set's project; apply it, or \
         name another in strategy.wavePlan"
    )]
    NoPlan {
        /// The name.
        name: String,
    },
    /// Members that no wave picks.
    #[error(
        "failed to plan the waves: strategy.waves: no wave picks {} (waves in order: {}); widen a \
         wave's select or limit, or set strategy.unmatched to lastWave or exclude",
        .clusters.join(", "), .waves.join(", ")
    )]
    Unmatched {
        /// All of them: names of clusters, by name.
        clusters: Vec<String>,
        /// Names of the waves.
        waves: Vec<String>,
    },
}

/// The one wave of `AllAtOnce`: everybody is under way, so a strict budget would have nobody to spare.
pub(crate) fn all_at_once() -> Wave {
    let mut wave = Wave::named("all");
    wave.max_concurrency = Some(Amount::Percent(100));
    wave.failure_budget.mode = BudgetMode::Fast;
    wave
}

/// Plans the waves of a strategy that names no `WavePlan`: whoever holds the plans puts them in its
/// place. `seed` decides whom a limit picks and nothing else; the same seed for every run
/// of a set keeps its canaries the same.
pub fn plan(strategy: &Strategy, members: &[Candidate], seed: u64) -> Result<Planned, PlanError> {
    validate(strategy)?;
    if !strategy.wave_plan.is_empty() {
        let name = strategy.wave_plan.clone();
        return Err(PlanError::NoPlan { name });
    }
    let strategy = strategy.as_waves();
    let everybody = [all_at_once()];
    let waves = match strategy.kind {
        StrategyType::AllAtOnce => &everybody[..],
        StrategyType::Waves | StrategyType::RollingSync => &strategy.waves,
    };
    let mut planner = Planner::new(members);
    let seed = match members.first() {
        Some(first) if mutant::on(Mutant::SeedByArrival) => first.cluster.0.as_u64_pair().0,
        _ => seed,
    };
    for (index, wave) in waves.iter().enumerate() {
        planner.pick(index, wave, seed);
    }
    let excluded = planner.settle_unmatched(strategy.unmatched, waves)?;
    let planned_waves = waves.iter().enumerate().map(|(index, wave)| {
        let members = planner.ordered(index, wave);
        PlannedWave {
            name: wave.name.clone(),
            concurrency: concurrency(index, wave, members.len()),
            members,
        }
    });
    Ok(Planned {
        plan: Plan {
            waves: planned_waves.collect(),
            excluded,
        },
        placement: planner.placement,
        cluster_names: planner
            .clusters
            .iter()
            .map(|(uid, known)| (*uid, known.cluster_name.clone()))
            .collect(),
    })
}

fn concurrency(index: usize, wave: &Wave, members: usize) -> usize {
    let default = if index == 0 {
        Amount::Count(1)
    } else {
        Amount::Percent(25)
    };
    wave.max_concurrency
        .unwrap_or(default)
        .floor_at_least_one(members)
}

struct Planner<'a> {
    /// By application: arrival order must not matter.
    candidates: BTreeMap<AppUid, &'a Candidate>,
    clusters: BTreeMap<ClusterUid, &'a Candidate>,
    placement: BTreeMap<AppUid, MemberId>,
}

impl<'a> Planner<'a> {
    fn new(members: &'a [Candidate]) -> Self {
        let by_app: BTreeMap<_, _> = members.iter().map(|member| (member.app, member)).collect();
        Self {
            clusters: by_app
                .values()
                .map(|member| (member.cluster, *member))
                .collect(),
            candidates: by_app,
            placement: BTreeMap::new(),
        }
    }

    /// Gives `wave` what no earlier one took and it selects, up to its limit.
    fn pick(&mut self, index: usize, wave: &Wave, seed: u64) {
        let matching: Vec<_> = self
            .unplaced()
            .filter(|member| {
                wave.select.clusters.matches(&member.cluster_labels)
                    && wave.select.applications.matches(&member.app_labels)
            })
            .collect();
        let clusters = matching.iter().map(|member| member.cluster).collect();
        let taken = limited(clusters, wave.limit, seed);
        for member in matching
            .iter()
            .filter(|member| taken.contains(&member.cluster))
        {
            self.place(member, index);
        }
    }

    fn unplaced(&self) -> impl Iterator<Item = &'a Candidate> {
        self.candidates
            .values()
            .copied()
            .filter(|member| !self.placement.contains_key(&member.app))
    }

    fn place(&mut self, member: &Candidate, index: usize) {
        self.placement
            .insert(member.app, member_id(index, member.cluster));
    }

    fn settle_unmatched(
        &mut self,
        unmatched: Unmatched,
        waves: &[Wave],
    ) -> Result<Vec<MemberId>, PlanError> {
        let rest: Vec<_> = self.unplaced().collect();
        if rest.is_empty() {
            return Ok(Vec::new());
        }
        match unmatched {
            Unmatched::Error => {
                let names: BTreeSet<_> = rest
                    .iter()
                    .map(|member| member.cluster_name.clone())
                    .collect();
                Err(PlanError::Unmatched {
                    clusters: names.into_iter().collect(),
                    waves: waves.iter().map(|wave| wave.name.clone()).collect(),
                })
            }
            Unmatched::LastWave => {
                for member in rest {
                    self.place(member, waves.len() - 1);
                }
                Ok(Vec::new())
            }
            Unmatched::Exclude => {
                let clusters: BTreeSet<_> = rest.iter().map(|member| member.cluster).collect();
                let id = |cluster| MemberId {
                    wave: u32::MAX,
                    cluster,
                };
                Ok(clusters.into_iter().map(id).collect())
            }
        }
    }

    /// The wave's members in the order of assignment.
    fn ordered(&self, index: usize, wave: &Wave) -> Vec<MemberId> {
        let wave_members: BTreeSet<_> = self
            .placement
            .values()
            .filter(|id| id.wave as usize == index)
            .filter_map(|id| self.clusters.get(&id.cluster))
            .map(|member| (member.cluster, &member.cluster_labels, &member.cluster_name))
            .collect();
        let mut members: Vec<_> = wave_members.into_iter().collect();
        members.sort_by(|a, b| {
            by_label(a.1.get(&wave.order.by_label), b.1.get(&wave.order.by_label))
                .then_with(|| a.2.cmp(b.2))
                .then_with(|| a.0.cmp(&b.0))
        });
        if mutant::on(Mutant::PlanLosesMember) {
            members.pop();
        }
        members
            .into_iter()
            .map(|(cluster, ..)| member_id(index, cluster))
            .collect()
    }
}

fn member_id(index: usize, cluster: ClusterUid) -> MemberId {
    MemberId {
        wave: u32::try_from(index).unwrap_or(u32::MAX - 1),
        cluster,
    }
}

/// Integers as integers and before words, words as words, a missing label last.
fn by_label(a: Option<&String>, b: Option<&String>) -> Ordering {
    let key = |value: Option<&String>| match value {
        Some(text) => match text.parse::<i64>() {
            Ok(number) => (0, number, String::new()),
            Err(_) => (1, 0, text.clone()),
        },
        None => (2, 0, String::new()),
    };
    key(a).cmp(&key(b))
}

/// Those clusters whose hash comes first: a member that joins or leaves moves at most one other.
fn limited(
    clusters: BTreeSet<ClusterUid>,
    limit: Option<Limit>,
    seed: u64,
) -> BTreeSet<ClusterUid> {
    let Some(limit) = limit else { return clusters };
    let count = match (limit.count, limit.percent) {
        (Some(count), _) => count as usize,
        (None, Some(percent)) => (clusters.len() * percent as usize).div_ceil(100),
        (None, None) => clusters.len(),
    };
    let mut ranked: Vec<_> = clusters
        .into_iter()
        .map(|cluster| (rank(seed, cluster), cluster))
        .collect();
    ranked.sort();
    ranked
        .into_iter()
        .take(count)
        .map(|(_, cluster)| cluster)
        .collect()
}

fn rank(seed: u64, cluster: ClusterUid) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_be_bytes());
    hasher.update(cluster.0.as_bytes());
    hasher.finalize().into()
}
