//! Records made by dice, for tests: every field takes every shape it can have.
//!
//! A record is a function of its seed, so a failing test names the seed and can be repeated.

mod records;

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use jiff::Timestamp;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use tidegate_model::{
    assignment::{Assignment, Desired},
    digest::Digest,
    duration::Span,
    ids::{Epoch, Generation},
    object::ObjectId,
    policy::Policy,
    release::EntryContent,
    run::{Cause, LastGood, MemberApp, MemberId},
    source::RepoRevision,
    strategy::Strategy,
};
use uuid::Uuid;

use super::Named;

/// A source of arbitrary values.
pub(in crate::records) struct Dice(StdRng);

/// A record that dice can make.
pub(in crate::records) trait Sample {
    fn sample(dice: &mut Dice) -> Self;
}

impl Dice {
    pub(in crate::records) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    fn flag(&mut self) -> bool {
        self.0.random()
    }

    fn number(&mut self) -> u64 {
        match self.0.random_range(0..4) {
            0 => 0,
            1 => u64::MAX,
            _ => self.0.random_range(0..1_000),
        }
    }

    fn index(&mut self) -> usize {
        self.0.random_range(0..100)
    }

    fn text(&mut self) -> String {
        const TEXTS: [&str; 8] = [
            "",
            "web",
            "a/b",
            "with \"quotes\"",
            "é ☂ \u{10ffff}",
            "\u{0}\n\t",
            "..",
            "%2e",
        ];
        format!(
            "{}{}",
            TEXTS[self.0.random_range(0..TEXTS.len())],
            self.0.random_range(0..3)
        )
    }

    fn label(&mut self) -> String {
        format!("team-{}", self.0.random_range(0..1_000))
    }

    fn time(&mut self) -> Timestamp {
        let millis = self.0.random_range(-1_000..4_000_000_000_000);
        Timestamp::from_millisecond(millis).unwrap()
    }

    fn span(&mut self) -> Span {
        Span(Duration::from_millis(self.0.random_range(0..10_000_000)))
    }

    fn id<T: FromStr<Err = uuid::Error>>(&mut self) -> T {
        Uuid::from_u128(self.0.random())
            .to_string()
            .parse()
            .unwrap()
    }

    fn digest(&mut self) -> Digest {
        Digest::from_bytes(self.0.random())
    }

    fn one_of<T: Named>(&mut self) -> T {
        T::ALL[self.0.random_range(0..T::ALL.len())]
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| make(self))
    }

    fn some<T, C: FromIterator<T>>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> C {
        let count = self.0.random_range(0..4);
        (0..count).map(|_| make(self)).collect()
    }

    fn labels(&mut self) -> BTreeMap<String, String> {
        self.some(|dice| (dice.text(), dice.text()))
    }

    fn policy(&mut self) -> Policy {
        Policy {
            prune: self.flag(),
            drift: self.one_of(),
        }
    }

    fn object(&mut self) -> ObjectId {
        ObjectId {
            group: self.text(),
            kind: self.text(),
            namespace: self.text(),
            name: self.text(),
        }
    }

    fn last_good(&mut self) -> LastGood {
        LastGood {
            bundle: self.digest(),
            policy: self.policy(),
            namespace: self.text(),
            release: self.number(),
        }
    }

    fn cause(&mut self) -> Cause {
        Cause {
            code: self.one_of(),
            message: self.text(),
        }
    }

    fn revision(&mut self) -> RepoRevision {
        RepoRevision {
            repo_url: self.text(),
            revision: self.text(),
        }
    }

    fn member_id(&mut self) -> MemberId {
        let wave = if self.flag() {
            u32::MAX
        } else {
            self.0.random_range(0..20)
        };
        MemberId {
            wave,
            cluster: self.id(),
        }
    }

    fn assignment(&mut self) -> Assignment {
        let desired = if self.flag() {
            Desired::Tombstone {
                cascade: self.flag(),
            }
        } else {
            Desired::Run {
                bundle: self.digest(),
                policy: self.policy(),
                namespace: self.text(),
                run: self.id(),
                prune_approved: self.flag(),
            }
        };
        Assignment {
            cluster: self.id(),
            app: self.id(),
            app_name: self.text(),
            generation: Generation(self.number()),
            epoch: Epoch(self.number()),
            desired,
        }
    }

    fn strategy(&mut self) -> Strategy {
        if self.flag() {
            return Strategy::default();
        }
        let document = json!({"type": "Waves", "unmatched": "lastWave",
            "rollback": {"on": ["manual"]},
            "waves": [{"name": self.label(), "limit": {"percent": 5}, "maxConcurrency": "25%",
                "select": {"clusters": {"matchLabels": {"env": self.text()}}},
                "soak": {"time": self.span().to_string()},
                "unreachable": {"then": "defer", "maxDeferred": self.index()}, "gates": {"after": [{"approval": {}}]}}]});
        serde_json::from_value(document).unwrap()
    }

    fn member_app(&mut self) -> MemberApp {
        let target = if self.flag() {
            EntryContent::Bundle(self.digest())
        } else {
            EntryContent::Unrendered { cause: self.text() }
        };
        MemberApp {
            name: self.text(),
            target,
            policy: self.policy(),
            namespace: self.text(),
            prune_approved: self.flag(),
            last_good: self.maybe(Self::last_good),
            generation: self.maybe(|dice| Generation(dice.number())),
            assignment: self.maybe(Self::digest),
            touched: self.flag(),
            revert: self.maybe(|dice| Generation(dice.number())),
            revert_assignment: self.maybe(Self::digest),
        }
    }
}
