//! Whose turn it is: of many sets, those that something new concerns or whose clocks need looking at.
//!
//! Owns when a set was looked at last and at which version. Never looks at one: the controller does.

use std::{collections::BTreeMap, time::Duration};

use tidegate_model::ids::SetUid;
use tokio::time::Instant;

use crate::{promote, records::SetRecord, restored, state::State};

/// How long nothing may happen to a set whose run is open: its clocks (windows, soaks, deadlines)
/// need looking at.
const TICK: Duration = Duration::from_millis(250);
/// How long nothing may happen to any other.
const PERIOD: Duration = Duration::from_secs(10);
/// A set whose turn it is.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) set: SetUid,
    pub(super) project: String,
    pub(super) name: String,
}

/// What was seen of a set when there was nothing more to do for it.
#[derive(Clone, Copy, Debug)]
struct Looked {
    version: u64,
    /// Of the sessions.
    live: u64,
    at: Instant,
}

impl Looked {
    /// When the set is due again while neither it nor a session changes.
    fn next(&self, state: &State, set: &SetRecord) -> Instant {
        self.at + if is_open(state, set) { TICK } else { PERIOD }
    }

    fn is_over(&self, state: &State, set: &SetRecord, live: u64, now: Instant) -> bool {
        state.version(set) != self.version
            || (live != self.live && listens(state, set))
            || now >= self.next(state, set)
    }
}

/// When each set was looked at. One that is not here is due.
#[derive(Debug, Default)]
pub(super) struct Turns(BTreeMap<SetUid, Looked>);

impl Turns {
    /// The sets whose turn it is, in key order, with these news of sessions.
    pub(super) fn due(&mut self, state: &State, live: u64, now: Instant) -> Vec<Due> {
        // Sets that are gone are forgotten.
        let mut before = std::mem::take(&mut self.0);
        let mut due = Vec::new();
        for set in state.sets.iter() {
            let looked = before.remove(&set.uid);
            if let Some(looked) = looked.filter(|it| !it.is_over(state, set, live, now)) {
                self.0.insert(set.uid, looked);
                continue;
            }
            due.push(Due {
                set: set.uid,
                project: set.project.clone(),
                name: set.name.clone(),
            });
        }
        due
    }

    /// A set was looked at until there was nothing more to do at this version, with these news of
    /// sessions.
    pub(super) fn looked(&mut self, set: SetUid, version: u64, live: u64, at: Instant) {
        self.0.insert(set, Looked { version, live, at });
    }

    /// When the next set is due if nothing changes.
    pub(super) fn wake(&self, state: &State, now: Instant) -> Instant {
        let next = |set: &SetRecord| match self.0.get(&set.uid) {
            Some(looked) => looked.next(state, set),
            // Something was in the way, or others were to get their turn.
            None => now + TICK,
        };
        let times = state.sets.iter().map(|set| next(set));
        times.min().unwrap_or(now + PERIOD)
    }
}

/// Whether sessions mean something to a set: where somebody is owed content, his return does.
fn listens(state: &State, set: &SetRecord) -> bool {
    is_open(state, set) || promote::owes(state, set)
}

/// Whether time means something to a set, too.
fn is_open(state: &State, set: &SetRecord) -> bool {
    let run = set.latest_run.and_then(|id| state.run(id));
    run.is_some_and(|run| !run.record.run.state.is_terminal()) || restored::is_settling(state, set)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tidegate_model::health::Health;

    use super::*;
    use crate::testing::{Hub, app, assigned, bundle, cluster, report, set, world::World};

    fn names(due: &[Due]) -> Vec<&str> {
        due.iter().map(|due| &*due.name).collect()
    }

    /// Looks at everything that is due; says what it was.
    fn look(turns: &mut Turns, hub: &Hub, live: u64, now: Instant) -> Vec<String> {
        let state = hub.db.read();
        let due = turns.due(&state, live, now);
        for due in &due {
            let set = state.set(&due.project, &due.name).unwrap();
            turns.looked(due.set, state.version(&set.record), live, now);
        }
        names(&due).into_iter().map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn only_those_are_due_that_a_change_concerns() {
        let (hub, now) = (Hub::new().await, Instant::now());
        let [one, two] = [(1, "one"), (2, "two")].map(|(n, name)| set(n, name, &json!({})));
        hub.create([cluster(1)]).await;
        hub.create([one.clone(), two.clone()]).await;
        let mut turns = Turns::default();
        let all = ["one", "two"];
        assert_eq!(look(&mut turns, &hub, 0, now), all);
        assert_eq!(look(&mut turns, &hub, 0, now), [""; 0]);

        let placed = assigned(app(&two, 1, 1), 1, bundle("a"));
        hub.create([placed.clone()]).await;
        assert_eq!(look(&mut turns, &hub, 0, now), ["two"]);
        let said = crate::records::ReportRecord {
            project: two.project.clone(),
            set: two.uid,
            report: report(&placed, Health::Healthy),
            received_at: hub.clock.now(),
            first_healthy_at: None,
        };
        hub.create([said]).await;
        assert_eq!(look(&mut turns, &hub, 0, now), ["two"]);
        let row = hub.db.read().set("default", "one").unwrap().clone();
        let changed = SetRecord {
            version: 2,
            ..one.clone()
        };
        hub.write(|changes| changes.update(&row, &changed)).await;
        assert_eq!(look(&mut turns, &hub, 0, now), ["one"]);
        // Any set may be placed there.
        hub.create([cluster(2)]).await;
        assert_eq!(look(&mut turns, &hub, 0, now), all);
        // Sessions mean nothing where no run is open, and the decisions of others never do.
        hub.write(|changes| {
            changes.decide(crate::changes::Decision::by_system(
                "default",
                "set.refresh",
                "set/one".to_owned(),
                String::new(),
            ));
        })
        .await;
        assert_eq!(look(&mut turns, &hub, 1, now), [""; 0]);
        let row = hub.db.read().set("default", "one").unwrap().clone();
        hub.write(|changes| changes.delete(&row)).await;
        assert_eq!(look(&mut turns, &hub, 1, now + PERIOD), ["two"]);
    }

    #[tokio::test]
    async fn the_return_of_whom_a_run_owes_counts_when_it_is_over() {
        let mut world = World::new(&json!({}), 1, 1).await;
        world.publish("a").await;
        world.settle().await;
        world.recover().await;
        let row = world.hub.db.read().run(world.run().id).unwrap().clone();
        let mut owing = crate::records::RunRecord::clone(&row.record);
        assert_eq!(owing.run.state, tidegate_model::run::RunState::Succeeded);
        let (mut turns, now) = (Turns::default(), Instant::now());
        look(&mut turns, &world.hub, 0, now);
        assert_eq!(look(&mut turns, &world.hub, 1, now), [""; 0]);
        owing.run.owes = true;
        world
            .hub
            .write(|changes| changes.update(&row, &owing))
            .await;
        assert_eq!(look(&mut turns, &world.hub, 1, now), ["web"]);
        assert_eq!(look(&mut turns, &world.hub, 2, now), ["web"]);
        assert_eq!(look(&mut turns, &world.hub, 2, now + TICK * 2), [""; 0]);
    }

    #[tokio::test]
    async fn time_and_sessions_count_while_a_run_is_open() {
        let mut world = World::new(&json!({}), 1, 1).await;
        let (mut turns, now) = (Turns::default(), Instant::now());
        let wake = |turns: &Turns, world: &World| turns.wake(&world.hub.db.read(), now);
        assert_eq!(wake(&turns, &world), now + TICK, "not looked at yet");
        look(&mut turns, &world.hub, 0, now);
        assert_eq!(wake(&turns, &world), now + PERIOD);
        assert_eq!(look(&mut turns, &world.hub, 1, now), [""; 0]);

        world.publish("a").await;
        while world.pass().await {}
        assert_eq!(look(&mut turns, &world.hub, 1, now), ["web"]);
        assert_eq!(wake(&turns, &world), now + TICK);
        assert_eq!(look(&mut turns, &world.hub, 1, now + TICK / 2), [""; 0]);
        assert_eq!(look(&mut turns, &world.hub, 2, now + TICK / 2), ["web"]);
        assert_eq!(look(&mut turns, &world.hub, 2, now + TICK * 2), ["web"]);
    }
}
