//! Tests of the promotion engine against simulated agents around the production `step`.
//!
//! `world` is the hub's rim and the agents. Three modules are the proof, each with the invariants
//! of [`crate::invariants`] by name:
//! - `history` plays a million random transitions and counts how often each premise was true;
//! - `exhaustive` looks at every state of six small models and looks for states without a way out;
//! - `mutants` puts one fault at a time into the engine and has the other two find it.
//!
//! `cargo test -p tidegate-waves -- --show-output history exhaustive mutants` prints their counts;
//! `PROPTEST_CASES` widens the histories. The other modules show one rule each by example.

mod admitting;
mod again;
mod agent;
mod analysing;
mod approving;
mod asking;
mod clock;
mod crowd;
mod deferring;
mod exhaustive;
mod failing;
mod fixture;
mod forecasting;
mod going_back;
mod history;
mod measuring;
mod mutants;
mod planning;
mod reaching;
mod requests;
mod rolling;
mod rolling_sync;
mod strategies;
mod superseding;
mod tolerating;
mod windows;
mod world;
