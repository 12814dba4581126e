//! Faults that a test can put into the engine, one at a time.
//!
//! Owns their list and the switch. Outside of this crate's tests no fault can be on: [`on`] is then
//! a constant `false`, and the line that asks it is compiled away.

/// One fault: what the engine gets wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    // Evidence.
    /// A report counts whatever digest it echoes.
    DigestIgnored,
    /// A report counts whatever generation it echoes.
    GenerationIgnored,
    /// A report from before the run counts for what the run did not write.
    StaleReportCounts,
    /// Health that nobody confirmed counts.
    UnfreshCounts,
    /// One healthy report is enough, however long the health window.
    HealthWindowIgnored,
    /// What is not healthy in an earlier wave is not looked at.
    RegressionIgnored,
    // Gates and soak.
    /// An approval is good for its wave, whatever content it was given for.
    ApprovalOfOtherContent,
    /// An approval before a wave also opens the gate after it, and the other way round.
    ApprovalOfOtherPosition,
    /// An approval opens the gates of every wave.
    ApprovalOfOtherWave,
    /// A yes is good for ever.
    ExpiryIgnored,
    /// One yes opens every gate.
    OneApprovalIsEnough,
    /// Whose yes is required is not looked at.
    RequiredIgnored,
    /// A no does not close a gate.
    RejectionIgnored,
    /// Who made the release may approve it where duties are separated.
    AuthorApproves,
    /// A wave begins with the soak of the one before.
    SoakCarriedOver,
    /// A wave soaks on while a member of it is unwell.
    SoakWhileUnwell,
    /// A wave is done without having soaked.
    SoakSkipped,
    /// A soak that must be unbroken goes on where it was broken off.
    ContinuousGoesOn,
    // Analysis.
    /// No data is a pass.
    NoDataPasses,
    /// A sample that failed stops nothing.
    FailIgnored,
    /// A run goes on however often an analysis said nothing.
    InconclusiveAdvances,
    /// A soak begins with the samples of the one before.
    SamplesCarriedOver,
    /// What was measured in another soak counts.
    StaleSampleCounts,
    /// One answer is taken for every sample.
    SampleTwice,
    /// A sample is taken whenever there is an answer.
    IntervalIgnored,
    /// A wave is done when it has soaked, whatever was measured.
    TimeAlonePasses,
    /// What the soak asks of every analysis is not looked at.
    MinSamplesIgnored,
    /// Who went on with the silence of one soak went on with that of every other.
    AnalysisApprovalReused,
    /// A soaking run does not say what it must measure.
    AnalysisUnexplained,
    // Whoever is asked.
    /// Nobody is asked at a gate.
    AnswersIgnored,
    /// An answer is good for ever.
    OldAnswerCounts,
    /// What was answered at one wave opens every other.
    AnswerOfOtherWave,
    /// A run does not say whose answer is lacking.
    AnswerUnexplained,
    // Windows.
    /// No window holds anybody back.
    WindowsIgnored,
    /// A window is asked before a wave and not before each of its members.
    WindowAtDoorOnly,
    /// A wave that a window closed stays closed when it opens.
    WindowNeverReopens,
    /// For an hour after its clock changed, a zone still shows the time of before.
    OffsetOfAnHourAgo,
    /// A deny window yields to an allow window.
    AllowBeatsDeny,
    /// A window binds everybody, whomever it lists.
    InvokerIgnored,
    /// A rollback heeds the windows of the way forward.
    RollbackHeedsWindows,
    // Order and amount.
    /// Who is being verified is taken for settled.
    NextWaveEarly,
    /// Who cannot be reached is taken for settled.
    UnreachableSettled,
    /// Nobody counts as under way.
    ConcurrencyIgnored,
    /// Nobody counts as unavailable.
    UnavailableIgnored,
    /// The budget allows one failure more.
    BudgetOffByOne,
    /// A strict budget limits nobody who is under way.
    StrictIgnored,
    /// A wave is done well with whatever is healthy.
    MinHealthyIgnored,
    /// A failed member is watched on and may become healthy.
    FailureForgiven,
    // Clocks, reach and membership.
    /// A step back of the hub's clock moves the run's clock on.
    StepBackCounts,
    /// The engine ends a person's pause.
    PauseIgnored,
    /// The run's clock runs while a person has paused the run.
    PauseCounts,
    /// The progress deadline runs while the cluster cannot be reached.
    DeadlineWhileUnreachable,
    /// A cluster that cannot be reached is judged like any other.
    UnreachableJudged,
    /// A removed cluster is a failure.
    RemovedFails,
    // Debts.
    /// A wave goes on without as many as are silent.
    DeferUnbounded,
    /// A wave of which everybody is deferred is done.
    DeferredAloneIsDone,
    /// A run that is over forgets whom it owes.
    DebtForgotten,
    /// A member is written although an earlier run still owes it something.
    NewerBeforeDebt,
    /// A debt is brought although newer content has taken its place.
    DebtOverNewer,
    /// A debt is paid once its content is applied, healthy or not.
    DebtPaidUnproven,
    /// A rollback leaves deferred members what they are owed.
    DebtSurvivesRollback,
    /// A run does not say whom it goes on without.
    DeferredUnexplained,
    // Identity and superseding.
    /// An assignment repeats the highest generation.
    GenerationNotRaised,
    /// A run does not heed a newer one of its set.
    NewerRunIgnored,
    /// A superseded run goes on assigning.
    ZombieAssigns,
    /// A newer release takes over while members are under way.
    SupersedeMidFlight,
    /// A newer release takes over although the strategy lets every run come to its end.
    SupersedeUnasked,
    /// A newer release waits for the wave although the strategy says at once.
    SupersedeLate,
    /// A run stands at a gate although a newer release waits.
    NewerReleaseIgnored,
    // Rollback, pins and denies.
    /// A rollback goes to the release's own content.
    RollbackToRelease,
    /// A rollback leaves out who was healthy.
    RollbackSkipsHealthy,
    /// A rollback writes applications that the run did not write.
    RollbackWritesUntouched,
    /// A rollback of some takes everybody back.
    ScopeIgnored,
    /// An automatic rollback takes everybody back, whatever the strategy says.
    WaveScopeIgnored,
    /// All waves go back at once, whatever the strategy says.
    OrderIgnored,
    /// A rollback to a release goes to the last known good.
    ReleaseIgnored,
    /// A rollback is over before everybody is back.
    RollbackOverEarly,
    /// A member is back once its last known good is applied, healthy or not.
    RevertUnproven,
    /// A rollback denies nothing.
    NoDeny,
    /// A rollback denies every object that is different, where only the bundle is to be denied.
    DenyScopeIgnored,
    /// A rollback pins nothing.
    NoPin,
    /// Denied content is admitted.
    DenyIgnored,
    /// A pin holds nothing.
    PinIgnored,
    // Another attempt, and members that are left out.
    /// Another attempt takes the former assignment for its own.
    RetryAdopts,
    /// Another attempt forgets what the run wrote.
    RetryForgetsWritten,
    /// Another attempt begins in the open wave, whatever wave failed.
    RetryKeepsWave,
    /// Another attempt leaves one behind who failed.
    RetryForgetsOne,
    /// A run that went back is tried again.
    RetryAfterRollback,
    /// Who is tried again has no record.
    RetryUnrecorded,
    /// Whom a person leaves out counts as healthy.
    SkipIsHealth,
    /// A person may leave a whole wave out.
    SkipEmptiesWave,
    /// Who failed may be left out.
    SkipForgives,
    /// Who was left out has no record.
    SkipUnrecorded,
    /// A rollback leaves out whom a person left out on the way forward.
    SkippedStaysBehind,
    // Books and words.
    /// What ran well is not recorded.
    LastGoodForgotten,
    /// An assignment has no record.
    AssignUnrecorded,
    /// A failure has no record.
    FailureUnrecorded,
    /// What moves by itself has no record.
    MoveUnrecorded,
    /// A record says where the run stood before.
    OutcomeOfBefore,
    /// A soaking run does not say so.
    SoakUnexplained,
    /// A member that cannot be reached is said to wait for a report.
    UnreachableUnexplained,
    // Planning.
    /// A wave loses its last member.
    PlanLosesMember,
    /// Whom a limit picks depends on who arrived first.
    SeedByArrival,
}

#[cfg(test)]
thread_local! {
    static ON: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Whether this fault is on.
#[cfg(not(test))]
pub(crate) const fn on(_: Mutant) -> bool {
    false
}

/// Whether this fault is on in this thread.
#[cfg(test)]
pub(crate) fn on(mutant: Mutant) -> bool {
    ON.get() == Some(mutant)
}

/// Puts one fault, or none, into the engine as this thread sees it.
#[cfg(test)]
pub(crate) fn set(mutant: Option<Mutant>) {
    ON.set(mutant);
}
