//! Whoever is asked at a gate.

use tidegate_model::strategy::Gate;

use crate::Outcome;

/// What everybody says who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doorman {
    Yes,
    No,
    /// An answer that says neither.
    Nonsense,
    /// Nobody can be reached.
    Away,
    /// Nobody is asked.
    Silent,
}

impl Doorman {
    /// The answer at this gate.
    pub(crate) fn says(self, gate: &Gate) -> Option<Outcome> {
        let series = matches!(gate, Gate::AlarmClear(alarm) if alarm.http.is_none());
        let webhook = matches!(gate, Gate::Webhook(_));
        Some(match self {
            Self::Silent => return None,
            Self::Away => Err("no route to host".to_owned()),
            Self::No | Self::Nonsense if webhook => Err("HTTP 403: change freeze".to_owned()),
            Self::Yes if series => Ok("0".to_owned()),
            Self::No if series => Ok("2 HighErrors, Latency".to_owned()),
            Self::Yes => Ok("1.5".to_owned()),
            Self::No => Ok("30".to_owned()),
            Self::Nonsense => Ok("NaN".to_owned()),
        })
    }
}
