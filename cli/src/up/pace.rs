//! How long each wave of a run took.
//!
//! Pure: states of the run and times in, seconds out. A wave's time begins when it is the open one
//! and ends when the next is, or the run has ended.

use std::time::Duration;

use serde::Serialize;
use tidegate_proto::v1 as wire;

/// Times of one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    run: String,
    waves: Vec<Times>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Times {
    opened: Option<Duration>,
    done: Option<Duration>,
}

/// A wave of the summary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct WaveTime {
    name: String,
    /// Clusters.
    members: usize,
    /// From its opening to its end, to a hundredth.
    seconds: f64,
}

impl Pace {
    /// Takes note of a state of the run, seen at `at`.
    pub(super) fn see(&mut self, run: &wire::Run, at: Duration) {
        if self.run != run.id {
            *self = Self {
                run: run.id.clone(),
                waves: Vec::new(),
            };
        }
        self.waves.resize(run.waves.len(), Times::default());
        for (times, wave) in self.waves.iter_mut().zip(&run.waves) {
            if wave.state == "Waiting" {
                continue;
            }
            times.opened.get_or_insert(at);
            if wave.state == "Done" || run.terminal {
                times.done.get_or_insert(at);
            }
        }
    }

    /// The waves of the run that was seen last.
    pub(super) fn waves(&self, run: &wire::Run) -> Vec<WaveTime> {
        let pairs = run.waves.iter().zip(&self.waves);
        pairs
            .map(|(wave, times)| WaveTime {
                name: wave.name.clone(),
                members: wave.members.len(),
                seconds: seconds(match (times.opened, times.done) {
                    (Some(opened), Some(done)) => done.saturating_sub(opened),
                    _ => Duration::ZERO,
                }),
            })
            .collect()
    }
}

/// Seconds to a hundredth.
pub(super) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str, terminal: bool, states: [&str; 2]) -> wire::Run {
        wire::Run {
            id: id.to_owned(),
            terminal,
            waves: ["dev", "prod"]
                .into_iter()
                .zip(states)
                .map(|(name, state)| wire::RunWave {
                    name: name.to_owned(),
                    state: state.to_owned(),
                    members: vec![wire::RunMember::default(); 2],
                    concurrency: 1,
                    analyses: Vec::new(),
                })
                .collect(),
            ..wire::Run::default()
        }
    }

    #[test]
    fn a_wave_lasts_from_its_opening_to_the_next_ones() {
        let mut pace = Pace::default();
        let at = Duration::from_secs;
        pace.see(&run("old", false, ["Rolling", "Waiting"]), at(0));
        pace.see(&run("a", false, ["Rolling", "Waiting"]), at(1));
        pace.see(&run("a", false, ["Soaking", "Waiting"]), at(3));
        pace.see(&run("a", false, ["Done", "Rolling"]), at(5));
        let end = run("a", true, ["Done", "Succeeded"]);
        pace.see(&end, at(12));
        pace.see(&end, at(20));
        let seconds: Vec<_> = pace.waves(&end).iter().map(|wave| wave.seconds).collect();
        assert_eq!(seconds, [4.0, 7.0]);
        assert_eq!(pace.waves(&end)[1].members, 2);
    }
}
