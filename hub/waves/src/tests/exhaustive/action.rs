//! What can happen in a model: the names of its actions, and which of them come by themselves.

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Step,
    /// A step of the first run, which is over and owes something, beside the second.
    Pay,
    /// A heartbeat's time passes; whoever is connected vouches for its word.
    Tick,
    /// The agent takes the hub's last word over.
    Pull(usize),
    Well(usize),
    Ill(usize),
    /// What was healthy falls back, and recovers.
    Fall,
    Rise,
    Deliver,
    Cut,
    Back,
    Approve,
    /// Another person says no, and takes it back.
    Refuse,
    Relent,
    Pause,
    Resume,
    RollBack,
    /// A person tries what failed again, or leaves the cluster out whose reports lag.
    Retry,
    Skip,
    /// The sources bring this content.
    Publish(u8),
    Unpin,
    /// The second release's run begins.
    Begin,
}

impl Action {
    /// Whether it comes by itself, sooner or later.
    pub(crate) fn is_fair(self) -> bool {
        use Action::{Back, Begin, Deliver, Ill, Pay, Pull, Rise, Step, Tick, Well};
        matches!(
            self,
            Step | Pay | Tick | Pull(_) | Well(_) | Ill(_) | Rise | Deliver | Back | Begin
        )
    }
}

/// What else can happen in a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum May {
    /// A person pauses the first run and resumes it.
    Pause,
    /// A person rolls back.
    RollBack,
    /// A person tries what failed again, once a run.
    Retry,
    /// A person leaves the cluster out whose reports lag.
    Skip,
    /// The first cluster falls back once after it was healthy.
    Fall,
    /// A person unpins.
    Unpin,
    /// The second release fails too.
    SecondFails,
    /// Somebody says no at the gate, and later yes.
    Refuse,
    /// The cluster whose reports lag is cut off.
    Cut,
    /// It is cut off when the first run begins, and comes back once.
    CutFirst,
    /// The first cluster works with whatever it is given.
    FirstHolds,
    /// The sources bring nothing before the first run is over.
    PublishLate,
}

/// What is in a model besides the base.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extras {
    pub(crate) may: &'static [May],
    /// Contents that the sources may bring as the second release.
    pub(crate) publish: &'static [u8],
}

impl Extras {
    pub(crate) fn may(&self, what: May) -> bool {
        self.may.contains(&what)
    }
}
