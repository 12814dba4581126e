//! Who may open a session: versions, epochs, one Kubernetes cluster an identity.
//!
//! Never admits: the backend has the last word.

use std::{ops::RangeInclusive, time::Duration};

use super::{Config, End};
use crate::link::{
    message::Hello,
    port::{Alarm, Refusal},
};

/// Protocol versions of one side, oldest to newest.
pub type Versions = RangeInclusive<u32>;

/// The newest protocol version of this hub.
const NEWEST: u32 = 1;
/// Protocol versions of this hub: the newest and the two before it (design/protocol.md, 11).
pub const PROTOCOL: Versions = RangeInclusive::new(if NEWEST > 3 { NEWEST - 2 } else { 1 }, NEWEST);

/// How long an agent stays away from a hub that it cannot work with until somebody did something.
const UNTIL_SOMEBODY_ACTS: Duration = Duration::from_mins(2);
/// How long an agent stays away from a hub that lost its term: the one that took it is near.
const UNTIL_THE_NEXT_HUB: Duration = Duration::from_secs(5);

/// The protocol version to speak, or why there is none.
pub(super) fn check(config: &Config, hello: &Hello) -> Result<u32, End> {
    let uid = &hello.facts.kubernetes_uid;
    if hello.highest_epoch > config.epoch {
        let alarm = Alarm::StaleHub {
            seen: hello.highest_epoch,
            own: config.epoch,
        };
        let reason = format!(
            "this hub has epoch {}, the agent has seen {}: it takes orders from the later hub only",
            config.epoch, hello.highest_epoch
        );
        return Err(refused(reason, UNTIL_THE_NEXT_HUB, Some(alarm)));
    }
    if uid.is_empty() {
        return Err(End::Protocol(
            "the hello names no Kubernetes cluster".into(),
        ));
    }
    if let Some(bound) = config
        .bound_kubernetes_uid
        .as_ref()
        .filter(|bound| *bound != uid)
    {
        let alarm = Alarm::SecondCluster {
            bound: bound.clone(),
            given: uid.clone(),
        };
        let reason = format!(
            "this identity belongs to the Kubernetes cluster {bound}, the agent runs in {uid}; make a join token for this cluster"
        );
        return Err(refused(reason, UNTIL_SOMEBODY_ACTS, Some(alarm)));
    }
    negotiate(&config.versions, &hello.versions)
        .map_err(|reason| refused(reason, UNTIL_SOMEBODY_ACTS, None))
}

fn refused(reason: String, retry_after: Duration, alarm: Option<Alarm>) -> End {
    End::Refused(
        Refusal {
            reason,
            retry_after,
        },
        alarm,
    )
}

/// The newest version that both speak.
fn negotiate(hub: &Versions, agent: &Versions) -> Result<u32, String> {
    let (oldest, newest) = (hub.start().max(agent.start()), *hub.end().min(agent.end()));
    if *oldest <= newest {
        return Ok(newest);
    }
    let upgrade = if agent.end() < hub.start() {
        "agent"
    } else {
        "hub"
    };
    Err(format!(
        "the agent speaks protocol versions {} to {}, the hub {} to {}; upgrade the {upgrade}",
        agent.start(),
        agent.end(),
        hub.start(),
        hub.end()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_of_both_is_spoken_and_a_refused_one_is_told_why() {
        for (hub, agent, spoken) in [
            (1..=1, 1..=1, Ok(1)),
            (2..=4, 3..=5, Ok(4)),
            (2..=4, 1..=2, Ok(2)),
            (3..=5, 1..=2, Err("upgrade the agent")),
            (1..=2, 3..=4, Err("upgrade the hub")),
            // An agent whose range is empty speaks nothing.
            (1..=2, RangeInclusive::new(2, 1), Err("versions 2 to 1")),
        ] {
            match (negotiate(&hub, &agent), spoken) {
                (Ok(version), Ok(expected)) => assert_eq!(version, expected),
                (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
                (got, expected) => panic!("{hub:?} and {agent:?}: {got:?}, not {expected:?}"),
            }
        }
    }
}
