//! `ApplicationSet` to applications: a pure, deterministic expansion.
//!
//! [`needs`] says what an expansion will read from Git, the caller reads it, and [`expand`] turns
//! the set and those inputs into applications, each knowing the generator, row and input versions
//! it came from. The same inputs, in any order, give the same bytes. Never does I/O, never reads a
//! clock, never decides about deletion: it only says when its result must not be taken as complete.

mod application;
mod destination;
mod expand;
mod expansion;
mod flatten;
mod generator;
mod git;
mod inputs;
mod needs;
mod row;
mod template;
mod values;

pub use self::{
    expand::expand,
    expansion::{Expansion, Problem},
    inputs::{GitInput, Inputs},
    needs::{Need, needs},
};
