//! Tests of the promotion engine against simulated agents around the production `step`.
//!
//! `world` is the hub's rim and the agents; `history` drives it at random and holds the invariants;
//! the other modules show one rule each by example.

mod admitting;
mod agent;
mod approving;
mod clock;
mod crowd;
mod failing;
mod fixture;
mod history;
mod planning;
mod requests;
mod rolling;
mod strategies;
mod superseding;
mod tolerating;
mod windows;
mod world;
